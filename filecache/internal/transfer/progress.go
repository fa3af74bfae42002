package transfer

import "sync/atomic"

// progress tells how far a transfer is.
type progress struct {
	tell  func(done int64)
	total int64
	done  atomic.Int64
	told  int64 // only of the goroutine that reports
}

// progressStep is how many bytes there are at least between two reports.
const progressStep = 1 << 20

// came counts bytes. Any goroutine may call it.
func (p *progress) came(bytes int) { p.done.Add(int64(bytes)) }

// saw counts bytes and reports.
func (p *progress) saw(bytes int) {
	p.came(bytes)
	p.report()
}

// report tells how many bytes there are, if enough have come since the last
// report, or if they are all.
func (p *progress) report() {
	if p.tell == nil {
		return
	}
	if done := p.done.Load(); done-p.told >= progressStep || done == p.total && p.told < done {
		p.told = done
		p.tell(done)
	}
}
