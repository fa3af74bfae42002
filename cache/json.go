package cache

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// JSON returns a [Codec] that uses encoding/json. It is not the default because it
// would make every program with a Cache 400 KB larger.
//
// A value that JSON would change never reaches the Tier. New returns an error that
// names the part of V, if V has unexported fields, fields with the tag "-", two fields
// of one JSON name, interfaces, or other parts that JSON does not restore. It trusts
// types that encode and decode themselves, as JSON or as text, such as time.Time and
// json.RawMessage. Encode decodes each value to compare it, and returns an error for
// one that comes back changed, such as a string of invalid UTF-8, or an empty slice
// with omitempty.
//
// [Gob] restores more types, but costs more.
func JSON[V any]() Codec[V] {
	return lossless(jsonFormat(), Codec[V]{
		// A pointer makes v addressable, so that methods of pointers to its parts are called.
		Encode: func(v V) ([]byte, error) { return json.Marshal(&v) },
		Decode: func(b []byte) (v V, err error) {
			err = json.Unmarshal(b, &v) // a separate statement: return v, f(&v) may read v first
			return v, err
		},
	})
}

// jsonFormat is a function, so that programs that do not call JSON do not link its
// package.
func jsonFormat() *format {
	return &format{
		name:   "JSON",
		wayOut: "use Gob, or a Codec of your own",
		own: [][2]reflect.Type{
			{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()},
			{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()},
		},
		declares: func(t reflect.Type) bool { // constant names, or the linker would keep all methods
			return isDeclared(t.MethodByName("MarshalJSON")) || isDeclared(t.MethodByName("MarshalText"))
		},
		cycles: true,
		fields: jsonFields,
	}
}

// jsonFields returns the fields of a struct as encoding/json encodes them: those of
// embedded structs are fields of the outer one.
func jsonFields(t reflect.Type, path string) ([]reflect.StructField, error) {
	s := jsonStruct{names: map[string]string{}}
	err := s.add(t, path)
	return s.fields, err
}

type jsonStruct struct {
	fields []reflect.StructField
	names  map[string]string // in JSON: the path of the field
	outer  []reflect.Type
}

func (s *jsonStruct) add(t reflect.Type, path string) error {
	refuse := jsonFormat().refuse
	for _, o := range s.outer {
		if o == t {
			return refuse(path, "it is embedded in itself")
		}
	}
	s.outer = append(s.outer, t)
	defer func() { s.outer = s.outer[:len(s.outer)-1] }()
	for i := range t.NumField() {
		f := t.Field(i)
		where := path + "." + f.Name
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		elem := f.Type
		if f.Anonymous && elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		inner := f.Anonymous && elem.Kind() == reflect.Struct && name == ""
		switch {
		case f.Name == "_":
		case tag == "-":
			return refuse(where, `it has the tag json:"-"`)
		case !f.IsExported() && !(inner && f.Type.Kind() == reflect.Struct):
			return refuse(where, "it is not exported")
		case inner:
			if err := s.add(elem, where); err != nil {
				return err
			}
		default:
			if name == "" {
				name = f.Name
			}
			if other, ok := s.names[name]; ok {
				return refuse(where, "%s has the same name in JSON, %q", other, name)
			}
			s.names[name] = where
			s.fields = append(s.fields, f)
		}
	}
	return nil
}
