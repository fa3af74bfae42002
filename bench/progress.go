package main

import (
	"fmt"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// say reports what is being done, on stderr.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

// progress shows how far a measurement is: a bar on a terminal, else a line now
// and then.
type progress struct {
	name         string
	steps, total int
	bar          *progressbar.ProgressBar
}

func newProgress(name string, total int) *progress {
	p := &progress{name: name, total: total}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(os.Stderr),
			progressbar.OptionSetDescription("bench: "+name),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true))
	} else {
		say("measuring %s", name)
	}
	return p
}

// step notes that one more is measured.
func (p *progress) step() {
	p.steps++
	if p.bar != nil {
		p.bar.Add(1)
	} else if p.steps*4/p.total > (p.steps-1)*4/p.total {
		say("%s: %d of %d", p.name, p.steps, p.total)
	}
}

// done ends the bar's line.
func (p *progress) done() {
	if p.bar != nil {
		fmt.Fprintln(os.Stderr)
	}
}
