package fleet

import "container/heap"

// event happens at a time that is known before.
type event struct {
	at  int64
	seq uint64 // events of the same time happen in the order in which they became known
	do  func()
}

// events are a queue by time.
type events struct {
	queue eventHeap
	seq   uint64
}

func (q *events) push(at int64, do func()) {
	q.seq++
	heap.Push(&q.queue, event{at, q.seq, do})
}

// run runs what happens until t.
func (q *events) run(t int64) {
	for len(q.queue) > 0 && q.queue[0].at <= t {
		heap.Pop(&q.queue).(event).do()
	}
}

type eventHeap []event

func (h eventHeap) Len() int      { return len(h) }
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h *eventHeap) Push(e any) { *h = append(*h, e.(event)) }
func (h *eventHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
