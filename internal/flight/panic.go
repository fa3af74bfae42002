package flight

import (
	"fmt"
	"runtime/debug"
)

// PanicError is the value that a caller panics with when its load panicked, perhaps in
// another goroutine.
type PanicError struct {
	Value any    // the load's panic value
	Stack []byte // the load's
}

// NewPanicError returns nil for a nil value, which recover does not return from a
// panic. Call it in the function that recovered, while the stack is still that of the
// panic. It returns a value that is a *PanicError already, from another goroutine,
// unchanged.
func NewPanicError(value any) *PanicError {
	if value == nil {
		return nil
	}
	if p, ok := value.(*PanicError); ok {
		return p
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

func (p *PanicError) Error() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Unwrap returns Value if it is an error.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}
