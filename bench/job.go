package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/compare"
)

// measureAll builds the actions, starts their origins, and measures each of them.
func measureAll(ctx context.Context, s settings) (rows result.Rows, err error) {
	dir, err := os.MkdirTemp("", "warmcache-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	compare.Say("bench: building the actions")
	all, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	var chosen []example
	for _, e := range all {
		if s.Only.MatchString(e.name) {
			chosen = append(chosen, e)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only: no example matches %q", s.Only)
	}
	compare.Say("bench: starting the origins")
	o, err := startOrigins(ctx, dir, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	return measureEach(ctx, chosen, o, s.Rounds)
}

// measureEach leaves out examples that cannot run here, and says so.
func measureEach(ctx context.Context, chosen []example, o *origins, rounds int) (rows result.Rows, err error) {
	for _, e := range chosen {
		if e.prepare != nil {
			err := e.prepare(ctx, e, o)
			if errors.Is(err, errSkip) {
				compare.Say("bench: %s is %v", e.name, err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
		}
		measured, err := measure(ctx, e, o, rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.name, err)
		}
		rows = append(rows, measured...)
	}
	return rows, nil
}
