package cache

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
)

// lossless changes c, whose encoding handles any type by reflection, so that containers
// never get other values from the Tier than Load returned. New refuses types that the
// format cannot restore. Encode decodes its result and compares, to find values that
// the format cannot restore, such as invalid UTF-8 in JSON.
func lossless[V any](f *format, c Codec[V]) Codec[V] {
	encode := c.Encode
	c.Encode = func(v V) ([]byte, error) {
		b, err := encode(v)
		if err != nil {
			return nil, err
		}
		back, err := c.Decode(b)
		if err == nil && !f.same(reflect.ValueOf(&v).Elem(), reflect.ValueOf(&back).Elem(), true) {
			err = errChanged
		}
		return b, err
	}
	c.check = func() error {
		t := reflect.TypeFor[V]()
		return (&typeCheck{f, map[visit]state{}}).check(t, t.String(), true)
	}
	return c
}

var errChanged = errors.New("cache: the decoded value differs from the encoded one")

// A format describes which Go types an encoding restores.
type format struct {
	name   string
	wayOut string // the end of errors

	// own lists pairs of interfaces: types with both encode and decode themselves, and
	// are trusted. Declares reports whether a struct type declares one of the encoding
	// methods itself, so that it is not promoted from an embedded field.
	own      [][2]reflect.Type
	declares func(reflect.Type) bool

	anyAddr    bool // pointer methods count for values that are not addressable
	interfaces bool // restores the dynamic type of an interface
	complexes  bool
	mapKeys    bool // restores keys of any type
	cycles     bool // returns an error for a value that contains itself

	// fields returns the encoded fields of a struct type, or an error if there are others.
	fields func(t reflect.Type, path string) ([]reflect.StructField, error)
}

// refuse returns the error of New for the part of V at path.
func (f *format) refuse(path, why string, args ...any) error {
	return fmt.Errorf("Options.Codec: %s would change %s: %s; %s", f.name, path, fmt.Sprintf(why, args...), f.wayOut)
}

// methods reports whether values of type t encode and decode themselves. Encoders call
// pointer methods only of addressable values, such as fields and elements of slices,
// but not of the values of maps.
func (f *format) methods(t reflect.Type, addressable bool) (encodes, decodes bool) {
	if k := t.Kind(); k == reflect.Pointer || k == reflect.Interface || t.PkgPath() == "" && k != reflect.Struct {
		return false, false // no methods, or those of its element
	}
	for _, o := range f.own {
		encodes = encodes || t.Implements(o[0]) || (addressable || f.anyAddr) && reflect.PointerTo(t).Implements(o[0])
		decodes = decodes || reflect.PointerTo(t).Implements(o[1])
	}
	return encodes, decodes
}

// same reports whether b, the decoded a, is the same value. It trusts types that encode
// and decode themselves: a time.Time loses its monotonic reading.
func (f *format) same(a, b reflect.Value, addressable bool) bool {
	if a.Type() != b.Type() {
		return false
	}
	if encodes, decodes := f.methods(a.Type(), addressable); encodes && decodes {
		return true
	}
	switch a.Kind() {
	case reflect.Float32, reflect.Float64:
		return sameFloat(a.Float(), b.Float())
	case reflect.Complex64, reflect.Complex128:
		return sameFloat(real(a.Complex()), real(b.Complex())) && sameFloat(imag(a.Complex()), imag(b.Complex()))
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return f.same(a.Elem(), b.Elem(), a.Kind() == reflect.Pointer)
	case reflect.Slice:
		if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
			return false
		}
		if a.Type().Elem().Kind() == reflect.Uint8 {
			return bytes.Equal(a.Bytes(), b.Bytes())
		}
		return f.sameElems(a, b, true)
	case reflect.Array:
		return f.sameElems(a, b, addressable)
	case reflect.Map:
		return f.sameMap(a, b)
	case reflect.Struct:
		for i := range a.NumField() {
			if a.Type().Field(i).Name != "_" && !f.same(a.Field(i), b.Field(i), addressable) {
				return false
			}
		}
		return true
	default:
		return a.Equal(b)
	}
}

func (f *format) sameElems(a, b reflect.Value, addressable bool) bool {
	for i := range a.Len() {
		if !f.same(a.Index(i), b.Index(i), addressable) {
			return false
		}
	}
	return true
}

func (f *format) sameMap(a, b reflect.Value) bool {
	if a.IsNil() != b.IsNil() || a.Len() != b.Len() {
		return false
	}
	for i := a.MapRange(); i.Next(); {
		if v := b.MapIndex(i.Key()); !v.IsValid() || !f.same(i.Value(), v, false) {
			return false
		}
	}
	return true
}

// sameFloat tells -0 from 0, but not one NaN from another.
func sameFloat(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b)
}

// A typeCheck finds the parts of a type that a format does not restore.
type typeCheck struct {
	*format
	seen map[visit]state
}

type visit struct {
	t           reflect.Type
	addressable bool
}

// state is the state of a type during a check.
type state int

const (
	unseen state = iota
	inside       // the check is in a part of it
	done
)

func (c *typeCheck) check(t reflect.Type, path string, addressable bool) error {
	switch encodes, decodes := c.methods(t, addressable); {
	case encodes && !decodes:
		return c.refuse(path, "%v has a method that encodes it, but none that decodes it", t)
	case encodes:
		return c.checkPromoted(t, path)
	}
	at := visit{t, addressable}
	switch c.seen[at] {
	case inside:
		if !c.cycles {
			return c.refuse(path, "%v refers to itself, and a value that contains itself would end the process", t)
		}
		return nil
	case done:
		return nil
	}
	c.seen[at] = inside
	defer func() { c.seen[at] = done }()
	return c.checkParts(t, path, addressable)
}

// checkParts is check for a type that has no encoding methods.
func (c *typeCheck) checkParts(t reflect.Type, path string, addressable bool) error {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return c.refuse(path, "it cannot encode a %s", t.Kind())
	case reflect.Complex64, reflect.Complex128:
		if !c.complexes {
			return c.refuse(path, "it cannot encode a %s", t.Kind())
		}
	case reflect.Interface:
		if !c.interfaces {
			return c.refuse(path, "it does not restore the type of a value in an interface, so that an int64 comes back as a float64")
		}
	case reflect.Pointer:
		return c.check(t.Elem(), path, true)
	case reflect.Slice:
		return c.check(t.Elem(), path+"[]", true)
	case reflect.Array:
		return c.check(t.Elem(), path+"[]", addressable)
	case reflect.Map:
		if err := c.checkKey(t.Key(), path); err != nil {
			return err
		}
		return c.check(t.Elem(), path+"[]", false)
	case reflect.Struct:
		fields, err := c.fields(t, path)
		for _, f := range fields {
			if err == nil {
				err = c.check(f.Type, path+"."+f.Name, addressable)
			}
		}
		return err
	}
	return nil
}

func (c *typeCheck) checkKey(t reflect.Type, path string) error {
	k := t.Kind()
	encodes, decodes := c.methods(t, false)
	switch {
	case c.mapKeys:
		return c.check(t, path+" (its keys)", false)
	case k == reflect.String, reflect.Int <= k && k <= reflect.Uintptr, encodes && decodes:
		return nil
	}
	return c.refuse(path, "it cannot encode keys of type %v", t)
}

// checkPromoted refuses a struct that encodes itself by the method of an embedded field:
// all other fields are lost, as the Name of struct{ time.Time; Name string }.
func (c *typeCheck) checkPromoted(t reflect.Type, path string) error {
	if t.Kind() != reflect.Struct || t.NumField() < 2 {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		elem := f.Type
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		encodes, _ := c.methods(elem, true)
		if f.Anonymous && (encodes || elem.Kind() == reflect.Interface) && !c.declares(t) && !c.declares(reflect.PointerTo(t)) {
			return c.refuse(path+"."+t.Field((i+1)%t.NumField()).Name,
				"%v is encoded by the method of the embedded %v alone", t, f.Type)
		}
	}
	return nil
}

// isDeclared reports whether a method is in the source of a program. The compiler makes
// others, for embedded fields and for pointers.
func isDeclared(m reflect.Method, ok bool) bool {
	if !ok {
		return false
	}
	pc := m.Func.Pointer()
	frame, _ := runtime.CallersFrames([]uintptr{pc + 1}).Next()
	f := runtime.FuncForPC(pc)
	file, _ := f.FileLine(pc)
	return frame.File != "<autogenerated>" && file != "<autogenerated>"
}
