package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"
)

// A measure is a set of contenders for the same work. The first is warmcache.
type measure struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Unit  string `json:"unit"`

	limit float64 // of the median ratio of warmcache to those named over; zero: no target
	over  []string
	start func(ctx context.Context, dir string) ([]contender, func(), error)
}

// contender is one way to do the work.
type contender struct {
	name   string
	sample func() (float64, error) // in the unit of its measure
}

// run takes the samples.
func (m measure) run(ctx context.Context, dir string, rounds int, r *results) error {
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(sub)
	contenders, end, err := m.start(ctx, sub)
	if err != nil {
		return err
	}
	defer end()
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "%s, round %d of %d\n", m.Name, round+1, rounds)
		for i := range contenders {
			c := contenders[(i+round)%len(contenders)]
			runtime.GC()
			v, err := c.sample()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			r.add(m.Name, c.name, v)
		}
	}
	r.finish(m, contenders)
	return nil
}

// wall returns the time in ms that f takes.
func wall(f func() error) (float64, error) {
	start := time.Now()
	err := f()
	return float64(time.Since(start)) / 1e6, err
}

// each returns the time in µs that one of n calls takes.
func each(n int, f func(i int) error) (float64, error) {
	start := time.Now()
	for i := range n {
		if err := f(i); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(start)) / 1e3 / float64(n), nil
}
