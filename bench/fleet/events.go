package fleet

import "container/heap"

// event happens at a time that is known before.
type event struct {
	at   int64
	seq  uint64 // events of the same time happen in the order in which they became known
	kind kind
	c    *container
	key  int
	put  *put
}

type kind uint8

const (
	handle kind = iota // the container, which is new, handles its first request
	finish             // the container has answered
	store              // the tier has stored a record
)

// events are a queue by time.
type events struct {
	queue eventHeap
	seq   uint64
}

func (q *events) push(e event) {
	q.seq++
	e.seq = q.seq
	heap.Push(&q.queue, &e)
}

// pop returns the first event, if it is not after t.
func (q *events) pop(t int64) (e event, ok bool) {
	if len(q.queue) == 0 || q.queue[0].at > t {
		return e, false
	}
	return *heap.Pop(&q.queue).(*event), true
}

type eventHeap []*event

func (h eventHeap) Len() int      { return len(h) }
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h *eventHeap) Push(e any) { *h = append(*h, e.(*event)) }
func (h *eventHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
