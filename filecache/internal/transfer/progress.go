package transfer

import "sync/atomic"

// progress reports the number of received bytes.
type progress struct {
	tell     func(done int64)
	total    int64
	done     atomic.Int64
	reported int64 // used only by the goroutine that reports
}

// progressStep is the minimum number of bytes between two reports.
const progressStep = 1 << 20

// came counts received bytes. It is safe for concurrent use.
func (p *progress) came(bytes int) { p.done.Add(int64(bytes)) }

// saw counts received bytes and reports them.
func (p *progress) saw(bytes int) {
	p.came(bytes)
	p.report()
}

// report calls tell if enough bytes have arrived since the last report, or if all have.
func (p *progress) report() {
	if p.tell == nil {
		return
	}
	if done := p.done.Load(); done-p.reported >= progressStep || done == p.total && p.reported < done {
		p.reported = done
		p.tell(done)
	}
}
