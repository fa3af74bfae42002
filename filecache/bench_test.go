package filecache

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

func benchCache(b *testing.B, size int) (*Cache, *origin, string) {
	dir := b.TempDir()
	c := Must(New(Options{Dir: dir, MaxAge: Immutable, MaxBytes: 4 << 30}))
	o := newOrigin(0)
	o.put(randomBytes(size, 1))
	f, err := c.Open(background, o)
	if err != nil {
		b.Fatal(err)
	}
	p := filepath.Join(store.DefaultPath(dir), "d", copyOf(f).TestData())
	if _, err := os.Stat(p); err != nil { // it is one file
		p = filepath.Join(store.DefaultPath(dir), "e", entryName(mustID(o)))
	}
	f.Close()
	time.Sleep(30 * time.Millisecond)
	return c, o, p
}

func BenchmarkReopen(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 20} {
		c, o, p := benchCache(b, size)
		if _, err := c.ReadFile(background, o); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("os/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, _ := os.Open(p)
				f.Close()
			}
		})
		b.Run(fmt.Sprintf("osstat/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, _ := os.Open(p)
				f.Stat()
				f.Close()
			}
		})
		b.Run(fmt.Sprintf("cache/%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, err := c.Open(background, o)
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

func BenchmarkFirstRead(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 20, 400 << 20} {
		_, o, p := benchCache(b, size)
		dir := filepath.Dir(filepath.Dir(filepath.Dir(p)))
		fresh := func() *Cache { return Must(New(Options{Dir: dir, MaxAge: Immutable})) }
		b.Run(fmt.Sprintf("os.ReadFile/%d", size), func(b *testing.B) {
			for b.Loop() {
				os.ReadFile(p)
			}
		})
		b.Run(fmt.Sprintf("cache.ReadFile/%d", size), func(b *testing.B) {
			for b.Loop() {
				if _, err := fresh().ReadFile(background, o); err != nil {
					b.Fatal(err)
				}
			}
		})
		buf := make([]byte, size)
		b.Run(fmt.Sprintf("os.buf/%d", size), func(b *testing.B) {
			for b.Loop() {
				f, _ := os.Open(p)
				io.ReadFull(f, buf)
				f.Close()
			}
		})
		b.Run(fmt.Sprintf("cache.buf/%d", size), func(b *testing.B) {
			for b.Loop() {
				f, err := fresh().Open(background, o)
				if err != nil {
					b.Fatal(err)
				}
				io.ReadFull(f, buf)
				f.Close()
			}
		})
		b.Run(fmt.Sprintf("os.copy/%d", size), func(b *testing.B) {
			bb := make([]byte, 256<<10)
			for b.Loop() {
				f, _ := os.Open(p)
				io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, bb)
				f.Close()
			}
		})
		b.Run(fmt.Sprintf("cache.copy/%d", size), func(b *testing.B) {
			for b.Loop() {
				f, err := fresh().Open(background, o)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(struct{ io.Writer }{io.Discard}, f)
				f.Close()
			}
		})
	}
}

// The cost of one more miss in a full cache of many small objects.
func BenchmarkMissWhenFull(b *testing.B) {
	for _, n := range []int{100, 2000, 8000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := Must(New(Options{Dir: b.TempDir(), MaxAge: Immutable, MaxBytes: int64(n) * onDisk(1000)}))
			o := newOrigin(1000)
			for i := range n {
				o.name = fmt.Sprint("o", i)
				c.ReadFile(background, o)
			}
			i := n
			for b.Loop() {
				i++
				o.name = fmt.Sprint("o", i)
				if _, err := c.ReadFile(background, o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A Tree in the cache is compared with its manifest, file by file.
func BenchmarkTreeHit(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, o := Must(New(Options{Dir: b.TempDir(), MaxAge: Immutable})), newOrigin(0)
			entries := make([]packed, n)
			for i := range entries {
				entries[i] = packed{name: fmt.Sprintf("%d/%d", i/10, i), body: "x"}
			}
			o.put(tarOf(entries...))
			for b.Loop() {
				_, release, err := c.Tree(background, o, 0)
				if err != nil {
					b.Fatal(err)
				}
				release()
			}
		})
	}
}

// Compare a hit of a Value with BenchmarkHit of package cache.
func BenchmarkValueHit(b *testing.B) {
	c, o, _ := benchCache(b, 1000)
	c.maxAge = time.Hour
	plain := NewValue(c, o, readAll)
	closed := NewValueWith(c, o, ValueOptions[string]{Parse: readAll, Close: func(string) error { return nil }})
	b.Run("Get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plain.Get(background); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Acquire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, release, err := closed.Acquire(background)
			if err != nil {
				b.Fatal(err)
			}
			release()
		}
	})
	b.Run("Get/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := plain.Get(background); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
