package flight

import "context"

// parent is a Flight with any type of value, for the calls that its load makes.
type parent interface {
	context.Context
	enclosing() parent
	latest() deadline
}

// parentKey is the key of the innermost flight whose load a context belongs to.
type parentKey struct{}

func parentOf(ctx context.Context) parent {
	p, _ := ctx.Value(parentKey{}).(parent)
	return p
}

// Value implements context.Context: a load's context knows its flight.
func (f *Flight[V]) Value(key any) any {
	if key == (parentKey{}) {
		return parent(f)
	}
	return f.loadContext.Value(key)
}

func (f *Flight[V]) enclosing() parent { return f.parent }

// latest returns the latest deadline of the callers that wait for f.
func (f *Flight[V]) latest() (last deadline) {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	for _, d := range f.waiters {
		if !d.set {
			return d
		}
		if d.at.After(last.at) {
			last = d
		}
	}
	return last
}
