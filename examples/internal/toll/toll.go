// Package toll simulates the network between an example and its database.
//
// The examples use SQLite, which runs in the same process. A production database is
// a network round trip away, and a cache saves this latency. If the environment
// variable ORIGIN_TOLL is host:port, Pay sends the name of each statement there, as
// a line, and waits for the line "ok". The gate at that address delays and counts.
// If the variable is not set, Pay does nothing. Do not use this package in
// production.
package toll

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// maxLine is the longest line that a gate accepts, with its newline.
const maxLine = 4 << 10

// Pay pays for one statement at the gate that ORIGIN_TOLL names. It does nothing if
// the variable is not set.
func Pay(ctx context.Context, statement string) error {
	addr := os.Getenv("ORIGIN_TOLL")
	if addr == "" {
		return nil
	}
	if err := pay(ctx, addr, statement); err != nil {
		return fmt.Errorf("toll of %q at %s: %w", statement, addr, err)
	}
	return nil
}

func pay(ctx context.Context, addr, statement string) error {
	line := statement + "\n"
	if len(line) > maxLine || strings.Contains(statement, "\n") {
		return fmt.Errorf("the statement's name must be one line of less than %d bytes", maxLine)
	}
	// A freeze may have broken the kept connections, so retry once on a new one.
	if c := idle.take(addr); c != nil {
		if err := c.pay(ctx, line); err == nil || ctx.Err() != nil {
			return err
		}
	}
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	return c.pay(ctx, line)
}
