package flight

import "context"

// aroundKey is the key of the innermost flight whose load a context belongs to.
type aroundKey struct{}

// around is a Flight of any type of value.
type around interface{ outer() around }

// Value implements context.Context: a load's context knows its flight.
func (f *Flight[V]) Value(key any) any {
	if key == (aroundKey{}) {
		return around(f)
	}
	return f.Context.Value(key)
}

func (f *Flight[V]) outer() around { return aroundOf(f.Context) }

func aroundOf(ctx context.Context) around {
	a, _ := ctx.Value(aroundKey{}).(around)
	return a
}

// isAround reports whether ctx belongs to f's own load, or to one that it made.
func (f *Flight[V]) isAround(ctx context.Context) bool {
	for a := aroundOf(ctx); a != nil; a = a.outer() {
		if a == around(f) {
			return true
		}
	}
	return false
}
