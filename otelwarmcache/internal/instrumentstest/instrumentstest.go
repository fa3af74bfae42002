// Package instrumentstest has tests that all sets of instruments share.
package instrumentstest

import (
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Fields are the values that Fill has given to the fields of a struct, by path.
type Fields map[string]int64

// Fill gives each field of the struct that p points to a value of its own.
func Fill(p any) Fields {
	f := Fields{}
	f.fill("", reflect.ValueOf(p).Elem())
	return f
}

func (f Fields) fill(prefix string, v reflect.Value) {
	for field, v := range v.Fields() {
		path := prefix + field.Name
		n := int64(len(f) + 101)
		switch {
		case v.Kind() == reflect.Struct:
			f.fill(path+".", v)
			continue
		case v.Type() == reflect.TypeFor[time.Duration]():
			v.SetInt(n * int64(time.Second)) // exported in seconds
		case v.CanInt():
			v.SetInt(n)
		case v.Kind() == reflect.Map:
			v.Set(reflect.ValueOf(map[string]int64{"EIO": n}))
		}
		f[path] = n
	}
}

// Skip takes the fields out that no value need have.
func (f Fields) Skip(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, ok := f[p]; !ok {
			t.Fatalf("there is no field %s", p)
		}
		delete(f, p)
	}
}

// A Point is a value with its instrument.
type Point struct {
	Metric metricdata.Metrics
	Attrs  attribute.Set
	Value  int64
}

// Collect returns all values.
func Collect(t *testing.T, r sdkmetric.Reader) []Point {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	var points []Point
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					points = append(points, Point{m, p.Attributes, p.Value})
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					points = append(points, Point{m, p.Attributes, int64(math.Round(p.Value))})
				}
			default:
				t.Errorf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return points
}

// Value returns the value with exactly those attributes.
func Value(t *testing.T, r sdkmetric.Reader, metric string, attrs ...attribute.KeyValue) (int64, bool) {
	t.Helper()
	want := attribute.NewSet(attrs...)
	for _, p := range Collect(t, r) {
		if p.Metric.Name == metric && p.Attrs.Equals(&want) {
			return p.Value, true
		}
	}
	return 0, false
}

// CheckEachOnce fails the test unless each field's value is exported exactly once.
func CheckEachOnce(t *testing.T, r sdkmetric.Reader, want Fields) {
	t.Helper()
	times := map[int64]int{}
	for _, p := range Collect(t, r) {
		times[p.Value]++
	}
	for path, v := range want {
		if times[v] != 1 {
			t.Errorf("Stats.%s is exported %d times", path, times[v])
		}
	}
}

var metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$`)

// CheckConventions checks the general rules for names, kinds and units.
func CheckConventions(t *testing.T, r sdkmetric.Reader, prefixes ...string) {
	t.Helper()
	for _, p := range Collect(t, r) {
		m := p.Metric
		if !metricName.MatchString(m.Name) || !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(m.Name, p) }) {
			t.Errorf("%s: not a name below %q", m.Name, prefixes)
		}
		if strings.HasSuffix(m.Name, "_total") || !strings.HasSuffix(m.Description, ".") {
			t.Errorf("%s: %q", m.Name, m.Description)
		}
		sum, isSum := m.Data.(metricdata.Sum[int64])
		switch annotated := strings.HasPrefix(m.Unit, "{") && !strings.HasSuffix(m.Unit, "s}"); {
		case isSum && sum.IsMonotonic && !annotated && m.Unit != "By",
			isSum && !sum.IsMonotonic && !annotated && m.Unit != "By" && m.Unit != "1",
			!isSum && m.Unit != "s":
			t.Errorf("%s: %T with unit %q", m.Name, m.Data, m.Unit)
		}
		if name, ok := p.Attrs.Value("warmcache.name"); !ok || name.AsString() == "" {
			t.Errorf("%s has no warmcache.name: %v", m.Name, p.Attrs.ToSlice())
		}
	}
}

// CheckREADME fails the test unless the file has the name of each instrument.
func CheckREADME(t *testing.T, r sdkmetric.Reader, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Collect(t, r) {
		if !strings.Contains(string(text), "`"+p.Metric.Name+"`") {
			t.Errorf("%s does not list `%s`", file, p.Metric.Name)
		}
	}
}
