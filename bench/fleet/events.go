package fleet

import "container/heap"

// event is a function to run at a time.
type event struct {
	at  int64
	seq uint64 // events of the same time run in the order of their push
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

// run runs the events up to t.
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
