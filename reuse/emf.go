package reuse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// The limits of the format.
const (
	maxDimensions = 30  // of one metric
	maxMetrics    = 100 // of one directive
	maxDimension  = 1024
)

// EMF writes the invocation and the counters as one line in the Embedded Metric Format.
// CloudWatch turns such lines in a log into metrics; on Lambda, use os.Stdout as w. The
// order of the members is fixed.
//
// The metrics are cold, restarted and warm (Count, one of them 1 and the others 0, all
// 0 if the start is Unknown), age, and gap and pause where there is one (Milliseconds).
// The start and the number of the invocation are members of the line but no metrics.
//
// Each number among the counters becomes a metric too: integers and floats are a Count,
// or Bytes if the name ends in that word, and durations Milliseconds. A group, a
// slog.LogValuer, a struct of numbers and a map of them give a metric for each, with
// the names joined by a dot: slog.Any("products", products.Stats()) gives products.hits
// Values are written as they are: the counts of a cache grow for as long as its
// process lives. Strings and bools become members, not metrics. EMF omits values of
// other types.
//
// CloudWatch charges for each metric of each combination of dimensions. Do not use
// values as dimensions that differ from one invocation to the next.
//
// EMF returns the error of w. If the name of an attribute is empty, duplicate or
// too long, or its value is not a number in JSON, EMF writes nothing and returns an
// error that names the attribute.
func (i Invocation) EMF(w io.Writer, namespace string, dimensions map[string]string, counters ...slog.Attr) error {
	d := document{timestamp: i.began / int64(time.Millisecond), namespace: namespace}
	for _, name := range slices.Sorted(maps.Keys(dimensions)) {
		d.dimension(name, dimensions[name])
	}
	i.addTo(&d)
	for _, c := range counters {
		d.attr("", c)
	}
	line, err := d.line()
	if err != nil {
		return fmt.Errorf("reuse: embedded metric format: %w", err)
	}
	_, err = w.Write(line) // in one piece, or lines of several invocations could mix
	return err
}

func (i Invocation) addTo(d *document) {
	d.member("start", i.Start.String())
	d.member("number", i.Number)
	for _, s := range []Start{Cold, Restarted, Warm} {
		n := 0.0
		if i.Start == s {
			n = 1
		}
		d.metric(s.String(), unitCount, n)
	}
	d.metric("age", unitMilliseconds, milliseconds(i.Age))
	if i.Number > 1 {
		d.metric("gap", unitMilliseconds, milliseconds(i.Gap))
	}
	if i.Thawed() {
		d.metric("pause", unitMilliseconds, milliseconds(i.Pause))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// The units of a metric that are used here.
const (
	unitCount        = "Count"
	unitBytes        = "Bytes"
	unitMilliseconds = "Milliseconds"
)

// document is a line in progress.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
type document struct {
	timestamp  int64
	namespace  string
	dimensions []string
	metrics    []metric
	members    []byte // the members after _aws, each with a comma before it
	names      map[string]bool
	err        error // the first
}

type metric struct{ Name, Unit string }

func (d *document) dimension(name, value string) {
	if value == "" || len(value) > maxDimension {
		d.fail("the value of dimension %q has %d bytes, of 1 to %d", name, len(value), maxDimension)
	}
	d.dimensions = append(d.dimensions, name)
	d.member(name, value)
}

func (d *document) metric(name, unit string, value float64) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		d.fail("%q is %v", name, value)
		return
	}
	d.metrics = append(d.metrics, metric{name, unit})
	d.member(name, json.Number(strconv.FormatFloat(value, 'f', -1, 64)))
}

func (d *document) member(name string, value any) {
	if name == "" || name == "_aws" || len(name) > maxDimension || d.names[name] {
		d.fail("the name %.100q is empty, reserved, too long or there twice", name)
		return
	}
	if d.names == nil {
		d.names = map[string]bool{}
	}
	d.names[name] = true
	d.members = append(d.members, ',')
	d.members = append(d.members, encode(name)...)
	d.members = append(d.members, ':')
	d.members = append(d.members, encode(value)...)
}

func (d *document) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// encode encodes strings, numbers, and structs of them, which cannot fail.
func encode(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

// directive is a MetricDirective of the specification.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []metric
}

func (d *document) line() ([]byte, error) {
	switch {
	case d.err != nil:
		return nil, d.err
	case d.namespace == "":
		return nil, errors.New("the namespace is empty")
	case len(d.dimensions) > maxDimensions:
		return nil, fmt.Errorf("%d dimensions, at most %d are allowed", len(d.dimensions), maxDimensions)
	}
	aws := struct {
		Timestamp         int64
		CloudWatchMetrics []directive
	}{Timestamp: d.timestamp}
	for metrics := range slices.Chunk(d.metrics, maxMetrics) {
		dimensions := append([]string{}, d.dimensions...) // [] and not null
		aws.CloudWatchMetrics = append(aws.CloudWatchMetrics, directive{d.namespace, [][]string{dimensions}, metrics})
	}
	line := append([]byte(`{"_aws":`), encode(aws)...)
	line = append(line, d.members...)
	return append(line, "}\n"...), nil
}
