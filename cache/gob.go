package cache

import (
	"bytes"
	"encoding"
	"encoding/gob"
	"reflect"
)

// Gob returns a [Codec] that uses encoding/gob, for values that [JSON] does not
// restore: with fields of the tag json:"-", shadowed fields of embedded structs, values
// in interfaces (whose types every container passes to gob.Register), NaN, or strings
// that are not UTF-8. Prefer JSON for other values. A record of Gob contains a
// description of V, so that small values take several times as many bytes and as long
// to decode. A container that reads the Tier must trust its writers: gob's decoder is
// not made for hostile input.
//
// As with JSON, a value that Gob would change never reaches the Tier. New refuses
// unexported fields, channels, functions, and types that refer to themselves. Encode
// refuses values that come back changed, such as a pointer to zero or an empty slice in
// a struct.
func Gob[V any]() Codec[V] {
	type box struct{ V V } // gob itself handles neither nil nor an interface
	return lossless(gobFormat(), Codec[V]{
		Encode: func(v V) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(&box{v})
			return b.Bytes(), err
		},
		Decode: func(b []byte) (V, error) {
			var x box
			err := gob.NewDecoder(bytes.NewReader(b)).Decode(&x)
			return x.V, err
		},
	})
}

func gobFormat() *format {
	f := &format{
		name:   "Gob",
		wayOut: "use a Codec of your own",
		own: [][2]reflect.Type{
			{reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[gob.GobDecoder]()},
			{reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()},
		},
		declares: func(t reflect.Type) bool { // as in jsonFormat
			return isDeclared(t.MethodByName("GobEncode")) || isDeclared(t.MethodByName("MarshalBinary"))
		},
		anyAddr:    true, // it returns an error for those that it cannot call
		interfaces: true,
		complexes:  true,
		mapKeys:    true,
	}
	f.fields = func(t reflect.Type, path string) (fields []reflect.StructField, err error) {
		for i := range t.NumField() {
			switch field := t.Field(i); {
			case field.Name == "_":
			case !field.IsExported():
				return nil, f.refuse(path+"."+field.Name, "it is not exported")
			default:
				fields = append(fields, field)
			}
		}
		if len(fields) == 0 {
			return nil, f.refuse(path, "it cannot encode a struct without fields")
		}
		return fields, nil
	}
	return f
}
