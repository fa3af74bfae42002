package filecache

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// Forget works on a disk that has no descriptors for a moment, or cannot read the
// entry.
func TestForgetWhenTheEntryCannotBeReadForAMoment(t *testing.T) {
	for _, op := range []string{"open", "fstat", "read", "lstat"} {
		d := &faultyDisk{err: syscall.EMFILE}
		c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(100)
		c.want(o)
		o.put(randomBytes(100, 2))
		d.fails = func(name string) bool { return name == op }
		if err := c.Forget(o); err != nil {
			t.Fatal(err)
		}
		d.fails = nil
		if n := len(c.entryFiles()); n != 0 && op != "lstat" {
			t.Errorf("%s: the entry is left for the next process", op)
		}
		c.wantBytes(o, o.body)
		if t.Failed() {
			t.Fatalf("%s", op)
		}
	}
}

// An Open in progress during Forget, whose data a Path keeps.
func TestForgottenCopyDoesNotComeBack(t *testing.T) {
	d := &hookDisk{}
	c, o := newTest(t, Options{MaxAge: time.Hour}, d), newOrigin(100)
	_, release, err := c.Path(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	d.opened = func(p string) {
		d.opened = nil
		c.Forget(o)
		o.put(randomBytes(100, 2))
	}
	c.clocks.Move(time.Minute, time.Minute) // so that its use is recorded
	f, err := c.Open(background, o)         // began before Forget
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	c.want(o) // begins after it
}

// Another process publishes a copy after Forget that it fetched before.
func TestForgetAndAnotherProcess(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(100)
	c.setBoot(func() ([16]byte, int64) { return [16]byte{1}, c.clocks.Now().Mono })
	c.clocks.Move(time.Second, time.Second)
	other := c.restart(nil)
	o.spoil = func(n int, b []byte) io.Reader {
		if n != 1 {
			return nil
		}
		read := false
		return readerFunc(func(p []byte) (int, error) {
			if read {
				return 0, io.EOF
			}
			read = true
			c.clocks.Move(time.Second, time.Second)
			o.put(randomBytes(100, 2))
			c.Forget(o)
			c.clocks.Move(time.Second, time.Second)
			return copy(p, b), io.EOF
		})
	}
	other.ReadFile(background, o) // fetched before c.Forget, published after
	c.want(o)
}

// The answer to a conditional request sent before Forget does not restore the copy.
func TestForgetDuringTheConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Must(New(Options{Dir: t.TempDir(), MaxAge: time.Minute}))
		o := newOrigin(100)
		if _, err := c.ReadFile(background, o); err != nil {
			t.Fatal(err)
		}
		_, release, err := c.Path(background, o) // keeps the data
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		time.Sleep(time.Minute)
		o.wait = make(chan struct{})
		done := make(chan struct{})
		go func() { defer close(done); c.ReadFile(background, o) }()
		synctest.Wait()
		o.put(randomBytes(100, 2))
		c.Forget(o)
		o.mu.Lock()
		wait := o.wait
		o.wait = nil
		o.mu.Unlock()
		close(wait)
		<-done
		if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) {
			t.Errorf("the forgotten copy is back (%v)", err)
		}
	})
}

func TestClearMakesRoom(t *testing.T) {
	const size = 100_000
	c := newTest(t, Options{MaxAge: Immutable, MaxBytes: 2 * onDisk(size)}, nil)
	for _, o := range objects(2, size) {
		c.want(o)
	}
	c.Clear()
	c.want(newOrigin(size))
	if c.usage().Used != onDisk(size) {
		t.Errorf("%d bytes are counted as used, want %d", c.usage().Used, onDisk(size))
	}
}
