package filecache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/childtest"
	"github.com/warmcache/warmcache/internal/disk"
)

const turnSize = 3 * lockFrom

// With these variables, the test binary is a process that reads an object once and
// writes its Stats.
const (
	readerDir = "WARMCACHE_TEST_READER_DIR"
	readerURL = "WARMCACHE_TEST_READER_URL"
	readerCRC = "WARMCACHE_TEST_READER_SUM"
)

func init() { // before TestMain, which would check for leaks
	if dir := os.Getenv(readerDir); dir != "" {
		c := Must(New(Options{Dir: dir, MaxAge: time.Hour, Concurrency: 1}))
		c.lockWait = func(int64, time.Duration) time.Duration { return time.Hour }
		b, err := c.ReadFile(background, webObject(os.Getenv(readerURL)))
		if err != nil || sumOf(b) != os.Getenv(readerCRC) {
			os.Stderr.WriteString("wrong bytes, or an error\n")
			os.Exit(1)
		}
		json.NewEncoder(os.Stdout).Encode(c.Stats())
		os.Exit(0)
	}
}

func startReader(t *testing.T, dir, url string, body []byte) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	cmd, out = childtest.Command(), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), readerDir+"="+dir, readerURL+"="+url, readerCRC+"="+sumOf(body))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, out
}

// bodyServer serves one object. write writes each answer.
func bodyServer(t *testing.T, body []byte, write func(w http.ResponseWriter, r *http.Request, n int)) *httptest.Server {
	var mu sync.Mutex
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		i := n
		mu.Unlock()
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		write(w, r, i)
	}))
	t.Cleanup(func() {
		srv.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return srv
}

// If several processes miss an object at the same time, one downloads it.
func TestProcessesTakeTurns(t *testing.T) {
	const processes = 4
	body := randomBytes(turnSize, 1)
	var all sync.WaitGroup
	all.Add(processes)
	srv := bodyServer(t, body, func(w http.ResponseWriter, r *http.Request, n int) {
		w.(http.Flusher).Flush()
		if r.Header.Get("Range") == "" { // not a second request of a process that has waited long
			all.Done()
		}
		all.Wait() // until each of them has missed
		w.Write(body)
	})
	dir := t.TempDir()
	var cmds [processes]*exec.Cmd
	var outs [processes]*bytes.Buffer
	for i := range cmds {
		cmds[i], outs[i] = startReader(t, dir, srv.URL, body)
	}
	var misses, shared, bytes int64
	for i, cmd := range cmds {
		var s Stats
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(outs[i].Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		misses, shared, bytes = misses+s.Misses, shared+s.Shared, bytes+s.OriginBytes
	}
	if misses != 1 || shared != processes-1 || bytes != turnSize {
		t.Errorf("%d downloads, %d copies of another process, %d bytes", misses, shared, bytes)
	}
	c := newTest(t, Options{Dir: dir}, nil)
	if d, e := len(c.dataFiles()), len(c.entryFiles()); d != 1 || e != 1 {
		t.Errorf("%d data files and %d entries", d, e)
	}
}

// hangingReader starts a process that hangs in the middle of the download, while it has
// the download lock. The others get the whole body.
func hangingReader(t *testing.T, dir string, body []byte) (cmd *exec.Cmd, url string, goOn chan struct{}) {
	reached := make(chan struct{})
	goOn = make(chan struct{})
	srv := bodyServer(t, body, func(w http.ResponseWriter, r *http.Request, n int) {
		if n > 1 {
			w.Write(body)
			return
		}
		// More than the connection buffers, so that the process has acquired the lock.
		w.Write(body[:len(body)-1])
		close(reached)
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
		w.Write(body[len(body)-1:])
	})
	cmd, _ = startReader(t, dir, srv.URL, body)
	<-reached
	return cmd, srv.URL, goOn
}

// hangingSize is more than a connection buffers.
const hangingSize = 32 << 20

// A frozen process makes others wait, but not forever; once thawed, it continues as
// usual.
func TestFrozenOwnerOfATurn(t *testing.T) {
	body := randomBytes(hangingSize, 1)
	dir := t.TempDir()
	cmd, url, goOn := hangingReader(t, dir, body)
	cmd.Process.Signal(syscall.SIGSTOP)

	c := Must(New(Options{Dir: dir, MaxAge: time.Hour, Concurrency: 1}))
	waited := 0
	c.watchLocks(&watchedTurns{took: func(err error) {
		if errors.Is(err, disk.ErrLocked) {
			waited++
		}
	}})
	b, err := c.ReadFile(background, webObject(url))
	if err != nil || !bytes.Equal(b, body) {
		t.Errorf("wrong bytes, or %v", err)
	}
	if s := c.Stats(); s.Misses != 1 || waited == 0 {
		t.Errorf("tried %d times in vain; Stats = %+v", waited, s)
	}
	close(goOn)
	cmd.Process.Signal(syscall.SIGCONT)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the thawed process: %v", err)
	}
	n := newTest(t, Options{Dir: dir}, nil)
	if d, e := len(n.dataFiles()), len(n.entryFiles()); d != 1 || e != 1 {
		t.Errorf("%d data files and %d entries", d, e)
	}
}

// The lock of a killed process is released.
func TestKilledOwnerOfATurn(t *testing.T) {
	body := randomBytes(hangingSize, 1)
	dir := t.TempDir()
	cmd, url, _ := hangingReader(t, dir, body)

	c := Must(New(Options{Dir: dir, MaxAge: time.Hour, Concurrency: 1}))
	c.lockWait = func(int64, time.Duration) time.Duration { return time.Hour }
	killed := false
	c.watchLocks(&watchedTurns{took: func(err error) {
		if errors.Is(err, disk.ErrLocked) && !killed {
			killed = true
			cmd.Process.Kill()
		}
	}})
	b, err := c.ReadFile(background, webObject(url))
	if err != nil || !bytes.Equal(b, body) {
		t.Errorf("wrong bytes, or %v", err)
	}
	if s := c.Stats(); !killed || s.Misses != 1 {
		t.Errorf("killed: %v; Stats = %+v", killed, s)
	}
}

// watchedTurns reports each attempt to acquire a download lock.
type watchedTurns struct {
	disk.FS
	took func(error)
	left func()
}

func (c *Cache) watchLocks(w *watchedTurns) {
	c.store.TestWrap(func(d disk.FS) disk.FS { w.FS = d; return w })
}

func (d *watchedTurns) Locks(path string) (disk.Locks, error) {
	t, err := d.FS.Locks(path)
	return watchedTurn{t, d}, err
}

type watchedTurn struct {
	disk.Locks
	of *watchedTurns
}

func (w watchedTurn) Acquire(n int64) error {
	err := w.Locks.Acquire(n)
	if n < store.TestEntryLocks { // otherwise it is not a download lock
		w.of.took(err)
	}
	return err
}

func (w watchedTurn) Close() error {
	if w.of.left != nil {
		w.of.left()
	}
	return w.Locks.Close()
}

// withTurnOf returns a cache while another one has the download lock of o.
func withTurnOf(t *testing.T, opts Options, o *origin) (c *testCache, end func()) {
	t.Helper()
	c = newTest(t, opts, nil)
	c.lockWait = func(int64, time.Duration) time.Duration { return time.Hour } // the clocks stand still
	held, err := c.store.TestLocks()
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Acquire(store.TestLockByte(store.Key(mustID(o)))); err != nil {
		t.Fatal(err)
	}
	return c, sync.OnceFunc(func() { held.Close() })
}

// A caller that waits for the lock returns when its context is done, and leaves nothing
// behind.
func TestWaitForATurnEndsWithTheContext(t *testing.T) {
	o := newOrigin(turnSize)
	c, end := withTurnOf(t, Options{}, o)
	defer end()
	ctx, cancel := context.WithCancel(background)
	left := make(chan struct{})
	c.watchLocks(&watchedTurns{took: func(error) { cancel() }, left: func() { close(left) }})
	if _, err := c.ReadFile(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("ReadFile = %v", err)
	}
	<-left // before the other cache releases the lock
	if s := c.Stats(); s.OriginBytes != 0 || s.Shared != 0 {
		t.Errorf("Stats = %+v", s)
	}
}

// The wait ends by either clock.
func TestPatienceEndsOnEitherClock(t *testing.T) {
	for _, step := range [][2]time.Duration{{time.Hour, 0}, {0, time.Hour}} {
		o := newOrigin(turnSize)
		c, end := withTurnOf(t, Options{}, o)
		tries := 0
		c.watchLocks(&watchedTurns{took: func(error) {
			if tries++; tries == 3 {
				c.clocks.Move(step[0], step[1])
			}
		}})
		c.want(o)
		if tries != 3 {
			t.Errorf("%d tries", tries)
		}
		end()
	}
}

func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		size int64
		left time.Duration
		want time.Duration
	}{
		{32 << 20, Immutable, time.Second},
		{32 << 20, time.Second, time.Second / 4},
		{32 << 20, -time.Second, 0},
		{blocks.MaxObject, Immutable, 30 * time.Second},
	} {
		if got := lockWait(tt.size, tt.left); got != tt.want {
			t.Errorf("patience(%d, %v) = %v, want %v", tt.size, tt.left, got, tt.want)
		}
	}
	if d := timeLeft(time.Now().Add(time.Hour)); d > time.Hour || d < time.Minute || timeLeft(time.Time{}) != Immutable {
		t.Errorf("timeLeft = %v", d)
	}
}

// A copy that arrived during the wait is used only if it is the origin's version.
func TestWhatArrivesMeanwhile(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(o, there *origin) // there is the object that the other process fetched
		shared int64
	}{
		{"the same", func(o, there *origin) {}, 1},
		{"an older one", func(o, there *origin) { there.put(randomBytes(turnSize, 5)) }, 0},
		{"the same ETag, but not strong", func(o, there *origin) { o.etag, there.etag = `W/"x"`, `W/"x"` }, 0},
		{"the same ETag, but another size", func(o, there *origin) {
			there.put(randomBytes(turnSize+1, 5))
			there.etag = o.etag
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, there := newOrigin(turnSize), newOrigin(turnSize)
			tt.change(o, there)
			c := newTest(t, Options{MaxAge: time.Hour}, nil)
			second := c.restart(nil)
			o.mu.Lock()
			wait := make(chan struct{})
			o.wait = wait
			o.mu.Unlock()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.want(o)
			}()
			for o.asks() == 0 { // it has searched the disk without a hit
				runtime.Gosched()
			}
			second.want(there)
			close(wait)
			<-done
			if s := c.Stats(); s.Shared != tt.shared || s.Misses != 1-tt.shared {
				t.Errorf("Stats = %+v", s)
			}
			o.requests()
			c.want(o)
			if n := o.requests(); n != 0 {
				t.Errorf("%d requests after it", n)
			}
			if held, err := c.store.TestLocks(); err != nil || held.Acquire(store.TestLockByte(store.Key(mustID(o)))) != nil {
				t.Error("the lock has not been released")
			} else {
				held.Close()
			}
		})
	}
}

func (o *origin) asks() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

// Small objects, and objects whose versions cannot be distinguished, use no lock.
func TestNoTurnsForSmallObjects(t *testing.T) {
	small, nameless := newOrigin(lockFrom-1), newOrigin(turnSize)
	nameless.etag = ""
	for _, o := range []*origin{small, nameless} {
		c := newTest(t, Options{}, nil)
		c.watchLocks(&watchedTurns{took: func(error) { t.Error("acquired a download lock") }})
		c.want(o)
	}
	o := newOrigin(turnSize) // does not fit in the end
	c := newTest(t, Options{MaxBytes: turnSize / 2}, nil)
	c.watchLocks(&watchedTurns{took: func(error) { t.Error("acquired a download lock") }})
	c.want(o)
}

// If ranges of a file cannot be locked, or the file cannot be opened, every process
// downloads.
func TestNoTurnsOnTheFileSystem(t *testing.T) {
	for _, errno := range []error{syscall.EINVAL, syscall.ENOLCK} {
		c, o := newTest(t, Options{}, nil), newOrigin(turnSize)
		tries := 0
		c.store.TestWrap(func(d disk.FS) disk.FS { return brokenTurns{d, errno} })
		c.watchLocks(&watchedTurns{took: func(error) { tries++ }})
		c.want(o)
		if s := c.Stats(); s.Misses != 1 || s.Uncached != 0 || s.Faults != 0 || tries != 1 {
			t.Errorf("%v: %d tries, Stats = %+v", errno, tries, s)
		}
	}
	d := &faultyDisk{err: syscall.EACCES, fails: func(op string) bool { return op == "locks" }}
	c, o := newTest(t, Options{}, d), newOrigin(turnSize)
	c.want(o)
	if s := c.Stats(); s.Misses != 1 || s.Uncached != 0 || s.FaultsBy["EACCES"] != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

// A copy that arrived in between but was removed before it could be opened does not
// count as a saved download.
func TestCopyThatArrivedAndIsGone(t *testing.T) {
	o := newOrigin(turnSize)
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	other := c.restart(nil)
	other.lockWait = func(int64, time.Duration) time.Duration { return 0 }
	came := sync.OnceFunc(func() {
		other.want(o)
		if err := os.Remove(c.only(c.dataFiles())); err != nil {
			t.Error(err)
		}
	})
	c.watchLocks(&watchedTurns{took: func(error) { came() }})
	c.want(o)
	if s := c.Stats(); s.Misses != 1 || s.MissesBy.Damaged != 1 || s.Shared != 0 || s.Hits != 0 {
		t.Errorf("Stats = %+v", s)
	}
}
