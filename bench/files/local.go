package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/internal/compare"
)

// measures returns all measures, with small sizes if quick.
func measures(quick bool) []measure {
	large, huge, many, n, full := 100<<20, 1<<30, 10_000, 2000, 100_000
	if quick {
		large, huge, many, n, full = 9<<20, 32<<20, 100, 20, 100
	}
	return []measure{
		largeObject(large),
		smallObject(1<<10, n/2), smallObject(64<<10, n/2),
		reopen([]int{1 << 10, 1 << 20, large, huge}, n),
		firstRead(large, false), firstRead(large, true),
		newCache(many),
		valueHit(500 * n),
		evict(full, n/10, false), evict(full, 1, true),
	}
}

// zeros is an object of zero bytes, whose origin takes no time.
type zeros struct {
	name string
	size int64
}

func (z zeros) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "zeros://", Name: z.name, Version: "1"}, nil
}

// unpinned is an object that may change, so that its age counts.
type unpinned struct{ zeros }

func (unpinned) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "zeros://", Name: "unpinned"}, nil
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

// copied returns a cache with a verified copy of z, and the path of the copy.
func (s *setup) copied(z zeros) (*filecache.Cache, string, error) {
	files, err := filecache.New(filecache.Options{Dir: s.dir, MaxBytes: z.size + 2<<30})
	if err != nil {
		return nil, "", err
	}
	f, err := files.Open(s.ctx, z)
	if err != nil {
		return nil, "", err
	}
	f.Close()
	time.Sleep(100 * time.Millisecond) // the cache verifies younger files again
	if z.size < 1<<20 {                // Path would make a small copy one of two files
		path := filepath.Join(s.dir, "plain "+z.name)
		return files, path, os.WriteFile(path, make([]byte, z.size), 0o600)
	}
	path, release, err := files.Path(s.ctx, z)
	if err != nil {
		return nil, "", err
	}
	release()
	return files, path, nil
}

func sizeName(size int) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if size < 1024 {
			return fmt.Sprint(size, " ", unit)
		}
		size /= 1024
	}
	return fmt.Sprint(size, " GiB")
}

// reopen opens verified files, as a warm invocation does.
func reopen(sizes []int, n int) measure {
	return measure{
		compare.Measure{Name: "reopen", Unit: "µs", Title: "Open and Close of a verified file"},
		func(s *setup) (all []compare.Contender, err error) {
			for _, size := range sizes {
				z := zeros{"model.bin." + sizeName(size), int64(size)}
				files, path, err := s.copied(z)
				if err != nil {
					return nil, err
				}
				base := subject + ", " + sizeName(size)
				all = append(all,
					compare.Contender{Name: base, Base: base, Sample: each(n, func() error { return closeOpened(files.Open(s.ctx, z)) })},
					compare.Contender{Name: "os.Open, " + sizeName(size), Base: base, Sample: each(n, func() error { return closeOpened(os.Open(path)) })})
			}
			return all, nil
		},
	}
}

// closeOpened closes f, unless there was an error.
func closeOpened(f io.Closer, err error) error {
	if err != nil {
		return err
	}
	return f.Close()
}

// firstRead reads a file for the first time in a process, which must verify it; with
// buffer, into a buffer of the caller.
func firstRead(size int, buffer bool) measure {
	m := compare.Measure{Name: "first-read", Unit: "ms", Title: fmt.Sprintf("First read of a file of %s in a new process, in the page cache", sizeName(size))}
	if buffer {
		m.Name, m.Title = m.Name+"/buffer", m.Title+", into the caller's buffer"
	}
	return measure{m, func(s *setup) ([]compare.Contender, error) {
		z := zeros{"model.bin", int64(size)}
		_, path, err := s.copied(z)
		readFile := compare.Contender{Name: "os.ReadFile", Sample: reading(size, func() ([]byte, error) { return os.ReadFile(path) })}
		if !buffer {
			ours := reading(size, func() ([]byte, error) { return restarted(s.dir).ReadFile(s.ctx, z) })
			return []compare.Contender{{Name: subject, Sample: ours}, readFile}, err
		}
		buf := bytes.Repeat([]byte{1}, size)
		into := func(f io.ReadCloser, err error) ([]byte, error) {
			if err != nil {
				return nil, err
			}
			defer f.Close()
			n, err := io.ReadFull(f, buf)
			return buf[:n], err
		}
		return []compare.Contender{
			{Name: subject, Sample: reading(size, func() ([]byte, error) { return into(restarted(s.dir).Open(s.ctx, z)) })},
			readFile,
			{Name: "os, the same buffer", Sample: reading(size, func() ([]byte, error) { return into(os.Open(path)) })},
		}, err
	}}
}

// reading samples the time in ms of a read, which must return size bytes.
func reading(size int, read func() ([]byte, error)) func() (float64, error) {
	return func() (float64, error) {
		return wall(func() error {
			b, err := read()
			if err == nil && len(b) != size {
				err = fmt.Errorf("%d bytes, want %d", len(b), size)
			}
			return err
		})
	}
}

// restarted returns the cache of a new process.
func restarted(dir string) *filecache.Cache {
	return filecache.Must(filecache.New(filecache.Options{Dir: dir}))
}

// newCache opens a file cache, as a cold start does.
func newCache(many int) measure {
	return measure{
		compare.Measure{Name: "new", Unit: "µs", Title: fmt.Sprintf("New, with %d files in the directory", many)},
		func(s *setup) ([]compare.Contender, error) {
			dir := filepath.Join(s.dir, "many")
			files := restarted(dir)
			for i := range many {
				if _, err := files.ReadFile(s.ctx, zeros{fmt.Sprint(i), 100}); err != nil {
					return nil, err
				}
			}
			if st := files.Stats(); st.Uncached+st.Faults+st.Evictions != 0 {
				return nil, fmt.Errorf("some objects are not on disk: %+v", st)
			}
			return []compare.Contender{
				{Name: subject, Sample: each(1, func() error { restarted(dir); return nil })},
				{Name: subject + ", and the first Open", Sample: each(1, func() error { return closeOpened(restarted(dir).Open(s.ctx, zeros{"7", 100})) })},
			}, nil
		},
	}
}

// valueHit is a hit of a Value beside one of package cache.
func valueHit(n int) measure {
	m := compare.Measure{Name: "value-hit", Unit: "ns", Title: fmt.Sprintf("Get of a value in memory, %d of them a sample", n)}
	return measure{m, func(s *setup) ([]compare.Contender, error) {
		files := filecache.Must(filecache.New(filecache.Options{Dir: s.dir, MaxAge: time.Hour}))
		value := filecache.NewValue(files, unpinned{zeros{"rules.json", 100}}, func(context.Context, *filecache.File) (int, error) { return 1, nil })
		values, err := cache.New(cache.Options[string, int]{TTL: time.Hour, Load: func(context.Context, string) (int, error) { return 1, nil }})
		if err != nil {
			return nil, err
		}
		hits := func(name string, get func() (int, error)) compare.Contender {
			sample := each(n, func() error { _, err := get(); return err })
			return compare.Contender{Name: name, Sample: func() (float64, error) {
				_, err := get()
				us, e := sample()
				return us * 1e3, errors.Join(err, e)
			}}
		}
		return []compare.Contender{
			hits(subject+", Value.Get", func() (int, error) { return value.Get(s.ctx) }),
			hits(subject+", cache.Get", func() (int, error) { return values.Get(s.ctx, "rules.json") }),
		}, nil
	}}
}

// evict opens new objects in a full cache, beside one with room for them and as many
// copies. If first, each Open is the first of a process.
func evict(many, n int, first bool) measure {
	const size = 4 << 10
	m := compare.Measure{
		Name: "evict", Unit: "µs",
		Title: fmt.Sprintf("Open of a new object of %d bytes that must evict one of %d", size, many),
	}
	if first {
		m.Name += "/first"
		m.Title += ", the first of a process"
	}
	return measure{m, func(s *setup) ([]compare.Contender, error) {
		next := many
		opens := func(name, sub string, maxBytes int64) (compare.Contender, error) {
			opts := filecache.Options{Dir: filepath.Join(s.dir, sub), MaxBytes: maxBytes}
			files := filecache.Must(filecache.New(opts))
			open := func(i int) error { return closeOpened(files.Open(s.ctx, zeros{fmt.Sprint(i), size})) }
			for i := range many {
				if err := open(i); err != nil {
					return compare.Contender{}, err
				}
			}
			sample := each(n, func() error { next++; return open(next) })
			return compare.Contender{Name: name, Sample: func() (float64, error) {
				if first {
					files = filecache.Must(filecache.New(opts))
				}
				before := files.Stats()
				us, err := sample()
				if now := files.Stats(); now.Uncached != 0 || (now.Evictions > before.Evictions) != (maxBytes < 1<<40) {
					return 0, fmt.Errorf("%d evictions, %d not kept", now.Evictions-before.Evictions, now.Uncached)
				}
				return us, err
			}}, nil
		}
		full, err := opens(subject+", full", "full", int64(many)*2*size)
		if err != nil {
			return nil, err
		}
		roomy, err := opens(subject+", with room", "roomy", 1<<40)
		return []compare.Contender{roomy, full}, err
	}}
}
