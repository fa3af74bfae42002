// Command bench measures what the library gives a function: it runs the example
// actions as real processes under a Lambda and an OpenWhisk host that freeze,
// crash and end their containers, against real origins behind realistic
// latencies, and compares each answer byte by byte with that of the same action
// without the library. It ends with a report, one HTML page.
//
//	go run ./bench                      the main job
//	go run ./bench -quick -json FILE    in half a minute, and for machines too
//	go run ./bench run -- ./bootstrap   your own function, through the same life
//	go run ./bench fleet                a thousand containers, simulated
//
// With -h it lists what else it can do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/warmcache/warmcache/bench/fleet"
	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/run"
)

// commands are what the first argument may name. Without one it is the main job.
var commands = []struct {
	name, about string
	run         func(ctx context.Context, args []string, out io.Writer) error
}{
	{"fleet", "simulate a fleet of containers in virtual time", fleet.Command},
	{"run", "drive your own function through cold, warm, frozen, crashed and timed out", run.Command},
}

func main() {
	origin.ServeIfChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := dispatch(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func dispatch(ctx context.Context, args []string) error {
	for _, c := range commands {
		if len(args) > 0 && args[0] == c.name {
			return c.run(ctx, args[1:], os.Stdout)
		}
	}
	return mainJob(ctx, args, os.Stdout)
}
