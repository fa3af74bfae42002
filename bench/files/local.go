package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// measures returns all of them.
func measures(s settings) []measure {
	large, huge, many, n, full := 100<<20, 1<<30, 10_000, 2000, 100_000
	if s.quick {
		large, huge, many, n, full = 9<<20, 32<<20, 100, 20, 100
	}
	return []measure{
		largeObject(large),
		smallObject(1<<10, n/2), smallObject(64<<10, n/2),
		reopen(1<<10, n), reopen(1<<20, n), reopen(large, n), reopen(huge, n),
		firstRead(large, false), firstRead(large, true),
		newCache(many),
		evict(full, n/10, false), evict(full, 1, true),
	}
}

// zeros is an object of so many zero bytes: what its origin costs is not measured.
type zeros struct {
	name string
	size int64
}

func (z zeros) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "zeros://", Name: z.name, Version: "1"}, nil
}

func (z zeros) Fetch(_ context.Context, req filecache.Request) (*filecache.Response, error) {
	n := z.size - req.Offset
	if req.Length > 0 {
		n = min(n, req.Length)
	}
	return &filecache.Response{Body: io.NopCloser(io.LimitReader(zero{}, n)), Size: z.size, ETag: `"z"`}, nil
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// copied returns a cache with a verified copy of z, and the file it is in.
func copied(ctx context.Context, dir string, z zeros) (*filecache.Cache, string, error) {
	files, err := filecache.New(filecache.Options{Dir: dir, MaxBytes: z.size + 1<<30})
	if err != nil {
		return nil, "", err
	}
	f, err := files.Open(ctx, z)
	if err != nil {
		return nil, "", err
	}
	f.Close()
	time.Sleep(100 * time.Millisecond) // a file that is younger is not remembered as verified
	path, release, err := files.Path(ctx, z)
	if err != nil {
		return nil, "", err
	}
	release()
	return files, path, nil
}

// reopen is what a warm invocation does before it reads.
func reopen(size, n int) measure {
	return measure{
		Name: fmt.Sprintf("reopen/%d", size), Unit: "µs", limit: 1.6, over: []string{"os.Open"},
		Title: fmt.Sprintf("Open and Close of a verified file of %d bytes", size),
		start: func(ctx context.Context, dir string) ([]contender, func(), error) {
			z := zeros{"model.bin", int64(size)}
			files, path, err := copied(ctx, dir, z)
			if err != nil {
				return nil, nil, err
			}
			return []contender{
				{"warmcache", func() (float64, error) {
					return each(n, func(int) error {
						f, err := files.Open(ctx, z)
						if err != nil {
							return err
						}
						return f.Close()
					})
				}},
				{"os.Open", func() (float64, error) {
					return each(n, func(int) error {
						f, err := os.Open(path)
						if err != nil {
							return err
						}
						return f.Close()
					})
				}},
			}, func() {}, nil
		},
	}
}

// firstRead is what the first invocation of a new process does: nothing is known
// as verified. The target is of os.ReadFile, also for the caller's own buffer.
func firstRead(size int, buffer bool) measure {
	m := measure{
		Name: "first-read", Unit: "ms", limit: 1.2, over: []string{"os.ReadFile"},
		Title: fmt.Sprintf("First read of a file of %d MiB in a new process, in the page cache", size>>20),
	}
	if buffer {
		m.Name, m.limit = m.Name+"/buffer", 1
		m.Title += ", into the caller's buffer"
	}
	m.start = func(ctx context.Context, dir string) ([]contender, func(), error) {
		z := zeros{"model.bin", int64(size)}
		_, path, err := copied(ctx, dir, z)
		if err != nil {
			return nil, nil, err
		}
		readFile := contender{"os.ReadFile", reading(size, func() (int, error) {
			b, err := os.ReadFile(path)
			return len(b), err
		})}
		if !buffer {
			return []contender{{"warmcache", reading(size, func() (int, error) {
				b, err := restarted(dir).ReadFile(ctx, z)
				return len(b), err
			})}, readFile}, func() {}, nil
		}
		buf := bytes.Repeat([]byte{1}, size)
		return []contender{
			{"warmcache", reading(size, func() (int, error) {
				f, err := restarted(dir).Open(ctx, z)
				if err != nil {
					return 0, err
				}
				defer f.Close()
				return io.ReadFull(f, buf)
			})},
			readFile,
			{"os, the same buffer", reading(size, func() (int, error) {
				f, err := os.Open(path)
				if err != nil {
					return 0, err
				}
				defer f.Close()
				return io.ReadFull(f, buf)
			})},
		}, func() {}, nil
	}
	return m
}

// reading is the time in ms of a read that has to give so many bytes.
func reading(size int, read func() (int, error)) func() (float64, error) {
	return func() (float64, error) {
		return wall(func() error {
			n, err := read()
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes, want %d", n, size)
			}
			return err
		})
	}
}

// restarted is the cache of a process that has just begun.
func restarted(dir string) *filecache.Cache {
	return filecache.Must(filecache.New(filecache.Options{Dir: dir}))
}

// newCache is what a cold start pays.
func newCache(many int) measure {
	return measure{
		Name: "new", Unit: "µs", limit: 1, over: []string{"100 µs"},
		Title: fmt.Sprintf("New, with %d files in the directory", many),
		start: func(ctx context.Context, dir string) ([]contender, func(), error) {
			files := restarted(filepath.Join(dir, "many"))
			for i := range many {
				if _, err := files.ReadFile(ctx, zeros{fmt.Sprint(i), 100}); err != nil {
					return nil, nil, err
				}
			}
			if st := files.Stats(); st.Uncached+st.Faults+st.Evictions != 0 {
				return nil, nil, fmt.Errorf("not all are there: %+v", st)
			}
			return []contender{
				{"warmcache", func() (float64, error) {
					return each(1, func(int) error { restarted(filepath.Join(dir, "many")); return nil })
				}},
				{"warmcache, and the first Open", func() (float64, error) {
					return each(1, func(int) error {
						f, err := restarted(filepath.Join(dir, "many")).Open(ctx, zeros{"7", 100})
						if err != nil {
							return err
						}
						return f.Close()
					})
				}},
				{"100 µs", func() (float64, error) { return 100, nil }},
			}, func() {}, nil
		},
	}
}

// evict is an Open that must make room, beside one that finds room, with as many copies
// there. If first, it is the first Open of a process.
func evict(many, n int, first bool) measure {
	const size = 4 << 10
	m := measure{
		Name: "evict", Unit: "µs", limit: 2, over: []string{"warmcache, with room"},
		Title: fmt.Sprintf("Open of a new object of %d bytes that must evict one of %d", size, many),
	}
	if first {
		m.Name += "/first"
		m.Title += ", the first of a process"
	}
	m.start = func(ctx context.Context, dir string) ([]contender, func(), error) {
		next := many
		opens := func(sub string, maxBytes int64) (contender, error) {
			opts := filecache.Options{Dir: filepath.Join(dir, sub), MaxBytes: maxBytes}
			open := func(files *filecache.Cache, i int) error {
				f, err := files.Open(ctx, zeros{fmt.Sprint(i), size})
				if err != nil {
					return err
				}
				return f.Close()
			}
			files := filecache.Must(filecache.New(opts))
			for i := range many {
				if err := open(files, i); err != nil {
					return contender{}, err
				}
			}
			return contender{"warmcache", func() (float64, error) {
				if first {
					files = filecache.Must(filecache.New(opts))
				}
				before := files.Stats()
				us, err := each(n, func(int) error { next++; return open(files, next) })
				if now := files.Stats(); now.Uncached != 0 || (now.Evictions > before.Evictions) != (maxBytes < 1<<40) {
					return 0, fmt.Errorf("%d evictions, %d not kept", now.Evictions-before.Evictions, now.Uncached)
				}
				return us, err
			}}, nil
		}
		full, err := opens("full", int64(many)*2*size)
		if err != nil {
			return nil, nil, err
		}
		roomy, err := opens("roomy", 1<<40)
		roomy.name += ", with room"
		return []contender{full, roomy}, func() {}, err
	}
	return m
}
