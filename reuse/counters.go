package reuse

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// attr adds one of the caller's attributes.
func (d *document) attr(prefix string, a slog.Attr) {
	d.value(join(prefix, a.Key), a.Value.Resolve())
}

func (d *document) value(name string, v slog.Value) {
	switch v.Kind() {
	case slog.KindGroup:
		for _, a := range v.Group() {
			d.attr(name, a)
		}
	case slog.KindInt64:
		d.metric(name, unitOf(name), float64(v.Int64()))
	case slog.KindUint64:
		d.metric(name, unitOf(name), float64(v.Uint64()))
	case slog.KindFloat64:
		d.metric(name, unitOf(name), v.Float64())
	case slog.KindDuration:
		d.metric(name, unitMilliseconds, milliseconds(v.Duration()))
	case slog.KindString:
		d.member(name, v.String())
	case slog.KindBool:
		d.member(name, v.Bool())
	case slog.KindAny:
		d.reflected(name, reflect.ValueOf(v.Any()))
	}
}

// reflected adds structs and maps of numbers, and named types of numbers.
func (d *document) reflected(name string, v reflect.Value) {
	switch {
	case !v.IsValid():
	case v.Type() == reflect.TypeFor[time.Duration]():
		d.metric(name, unitMilliseconds, milliseconds(time.Duration(v.Int())))
	case v.CanInt():
		d.metric(name, unitOf(name), float64(v.Int()))
	case v.CanUint():
		d.metric(name, unitOf(name), float64(v.Uint()))
	case v.CanFloat():
		d.metric(name, unitOf(name), v.Float())
	case v.Kind() == reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() {
				d.reflected(join(name, snakeCase(field.Name)), value)
			}
		}
	case v.Kind() == reflect.Map && v.Type().Key().Kind() == reflect.String:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			d.reflected(join(name, k.String()), v.MapIndex(k))
		}
	case v.Kind() == reflect.Interface: // the values of a map[string]any
		d.reflected(name, v.Elem())
	}
}

// join joins names that are not empty: slog inlines a group without a key.
func join(prefix, name string) string {
	if prefix == "" || name == "" {
		return prefix + name
	}
	return prefix + "." + name
}

func unitOf(name string) string {
	if strings.HasSuffix(strings.ToLower(name), "bytes") {
		return unitBytes
	}
	return unitCount
}

// snakeCase turns OriginBytes into origin_bytes, as it is spelled in logs.
func snakeCase(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
