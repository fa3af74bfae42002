// Package keys turns identities into strings that are equal exactly when the
// identities are.
//
// fmt.Sprint does not: {"tenant 1","x"} and {"tenant","1 x"} print alike, and a
// cache that used it would hand one tenant's data to the other.
package keys

import (
	"encoding/binary"
	"fmt"
	"reflect"
)

// AppendString appends s with its length in front, so that the following bytes cannot
// be mistaken for a part of it.
func AppendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// Encoder returns the function that encodes keys of type K. Equal keys have equal
// encodings and different keys have different ones.
//
// K is made of strings, integers, bools, and arrays and structs of them. Any other part
// is an error that names it: a float is not equal to itself when it is NaN, an
// interface may hold a value that cannot be compared, and a pointer is an address, not
// a value.
func Encoder[K comparable]() (func(K) string, error) {
	t := reflect.TypeFor[K]()
	if err := check(t, t.String()); err != nil {
		return nil, err
	}
	if t.Kind() == reflect.String {
		return encodeString[K], nil
	}
	// The most common integers do without reflection.
	for _, f := range []any{
		func(key int) string { return encodeInt(int64(key)) },
		func(key int64) string { return encodeInt(key) },
		func(key int32) string { return encodeInt(int64(key)) },
	} {
		if encode, ok := f.(func(K) string); ok {
			return encode, nil
		}
	}
	return func(key K) string {
		return string(appendValue(make([]byte, 0, 64), reflect.ValueOf(&key).Elem()))
	}, nil
}

// encodeString needs no length: no other part follows.
func encodeString[K comparable](key K) string {
	if s, ok := any(key).(string); ok {
		return s
	}
	return reflect.ValueOf(&key).Elem().String()
}

func encodeInt(key int64) string {
	var b [binary.MaxVarintLen64]byte
	return string(binary.AppendVarint(b[:0], key))
}

func check(t reflect.Type, path string) error {
	switch k := t.Kind(); {
	case k == reflect.String, k == reflect.Bool, isInt(k), isUint(k):
		return nil
	case k == reflect.Array:
		return check(t.Elem(), path+"[]")
	case k == reflect.Struct:
		if use := known[t.String()]; use != "" {
			return fmt.Errorf("key type: %s is a %v, which has several forms of the same value: use %s", path, t, use)
		}
		for i := range t.NumField() {
			f := t.Field(i)
			if err := check(f.Type, path+"."+f.Name); err != nil {
				return err
			}
		}
		return nil
	default:
		return fmt.Errorf("key type: %s is a %s: %s; keys are made of strings, integers, bools, and arrays and structs of them", path, k, remedy(k))
	}
}

// Shape describes the encoding of keys of type K: the kinds it is made of, and the
// names of struct fields, in order. Two types of the same shape encode equal keys
// alike; an encoded key means nothing to a type of another shape. Names of types are
// no part of it.
func Shape[K comparable]() string { return shape(reflect.TypeFor[K]()) }

func shape(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), shape(t.Elem()))
	case reflect.Struct:
		s := "{"
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != "_" { // not encoded
				s += f.Name + " " + shape(f.Type) + ";"
			}
		}
		return s + "}"
	default:
		return t.Kind().String()
	}
}

// known has the way out for types of the standard library that cannot be keys.
var known = map[string]string{
	"time.Time":      "its UnixNano, an int64, or a formatted string",
	"netip.Addr":     "its As16, a [16]byte, or its String",
	"netip.AddrPort": "its String",
	"netip.Prefix":   "its String",
	"big.Int":        "its String",
	"url.URL":        "its String",
}

// remedy returns the way out for a kind that cannot be part of a key.
func remedy(k reflect.Kind) string {
	switch k {
	case reflect.Float32, reflect.Float64:
		return "NaN is not equal to itself: use math.Float64bits, a scaled integer, or a string"
	case reflect.Complex64, reflect.Complex128:
		return "NaN is not equal to itself: use a string"
	case reflect.Interface:
		return "it may hold a value that cannot be compared: use the concrete type, or a string"
	case reflect.Pointer, reflect.UnsafePointer:
		return "equal things have different addresses: use what it points to, or an ID"
	default:
		return "use an ID or a string"
	}
}

func appendValue(b []byte, v reflect.Value) []byte {
	switch k := v.Kind(); {
	case k == reflect.String:
		return AppendString(b, v.String())
	case k == reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case isInt(k):
		return binary.AppendVarint(b, v.Int())
	case isUint(k):
		return binary.AppendUvarint(b, v.Uint())
	case k == reflect.Array:
		for i := range v.Len() {
			b = appendValue(b, v.Index(i))
		}
		return b
	default: // a struct: check let nothing else through
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "_" { // == does not compare these either
				b = appendValue(b, v.Field(i))
			}
		}
		return b
	}
}

func isInt(k reflect.Kind) bool  { return reflect.Int <= k && k <= reflect.Int64 }
func isUint(k reflect.Kind) bool { return reflect.Uint <= k && k <= reflect.Uintptr }
