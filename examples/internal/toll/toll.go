// Package toll puts the network between an example and its database.
//
// The examples use SQLite, which answers from the same process. A database of
// production is a network away, and that distance is what a cache saves. When
// the environment variable ORIGIN_TOLL is host:port, Pay sends one line there
// before each statement, the statement's name, and waits for the line "ok": a
// gate that delays and counts. When it is not set, there is no toll. Nobody
// needs this package in production.
package toll

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// maxLine is the longest line that a gate takes, with its newline.
const maxLine = 4 << 10

// Pay pays for one statement at the gate that ORIGIN_TOLL names, if it does.
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
		return fmt.Errorf("the name must be one line of less than %d bytes", maxLine)
	}
	// A kept connection may have died in a freeze, and all others with it: one
	// new attempt, with a new connection.
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
