package fleet

// event is what happens at a time that is known before.
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

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// events are a binary heap: container/heap would allocate for each.
type events struct {
	heap []event
	seq  uint64
}

func (q *events) push(e event) {
	q.seq++
	e.seq = q.seq
	q.heap = append(q.heap, e)
	h := q.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			return
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// pop returns the first event, if it is not after t.
func (q *events) pop(t int64) (e event, ok bool) {
	if len(q.heap) == 0 || q.heap[0].at > t {
		return e, false
	}
	e = q.heap[0]
	last := len(q.heap) - 1
	q.heap[0], q.heap[last] = q.heap[last], event{}
	q.heap = q.heap[:last]
	q.sink()
	return e, true
}

// sink moves the first one down to where it belongs.
func (q *events) sink() {
	h := q.heap
	for i := 0; ; {
		first := i
		for down := 2*i + 1; down <= 2*i+2 && down < len(h); down++ {
			if h[down].before(&h[first]) {
				first = down
			}
		}
		if first == i {
			return
		}
		h[i], h[first] = h[first], h[i]
		i = first
	}
}
