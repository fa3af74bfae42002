// Package instruments registers the fields of a Stats struct as asynchronous
// OpenTelemetry instruments.
package instruments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Observe reports a value with its attributes.
type Observe func(value int64, attributes ...attribute.KeyValue)

// An Instrument is one metric made from an S.
type Instrument[S any] struct {
	create func(metric.Meter) (metric.Observable, report, error)
	values func(S, Observe)
}

type report func(metric.Observer, int64, metric.ObserveOption)

// Counter returns an instrument that only increases.
func Counter[S any](name, unit, description string, values func(S, Observe)) Instrument[S] {
	return Instrument[S]{func(m metric.Meter) (metric.Observable, report, error) {
		c, err := m.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return c, ints(c), err
	}, values}
}

// Level returns an instrument that increases and decreases, and whose values add up
// over containers: an UpDownCounter.
func Level[S any](name, unit, description string, values func(S, Observe)) Instrument[S] {
	return Instrument[S]{func(m metric.Meter) (metric.Observable, report, error) {
		c, err := m.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return c, ints(c), err
	}, values}
}

func ints(in metric.Int64Observable) report {
	return func(o metric.Observer, v int64, a metric.ObserveOption) { o.ObserveInt64(in, v, a) }
}

// Seconds returns a gauge in seconds. Its values are nanoseconds.
func Seconds[S any](name, description string, values func(S, Observe)) Instrument[S] {
	return Instrument[S]{func(m metric.Meter) (metric.Observable, report, error) {
		g, err := m.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description))
		return g, func(o metric.Observer, v int64, a metric.ObserveOption) {
			o.ObserveFloat64(g, time.Duration(v).Seconds(), a)
		}, err
	}, values}
}

// A Source is a cache with its statistics.
type Source[S any] struct {
	Func  string // the exported function that the caller called, for errors
	Scope string // the import path of the package with that function
	Name  string // of the cache
	Stats func() S
}

// Register creates the instruments and registers one callback for all of them. Each
// collection calls Stats once.
func Register[S any](mp metric.MeterProvider, from Source[S], list []Instrument[S]) (metric.Registration, error) {
	switch {
	case mp == nil:
		return nil, fmt.Errorf("%s: the MeterProvider is nil: use otel.GetMeterProvider()", from.Func)
	case from.Name == "":
		return nil, fmt.Errorf("%s: the name is empty: it is what tells caches apart", from.Func)
	case from.Stats == nil:
		return nil, fmt.Errorf("%s: stats of %q is nil: pass the method value Stats", from.Func, from.Name)
	}
	meter := mp.Meter(from.Scope)
	name := attribute.String("warmcache.name", from.Name)
	var all []metric.Observable
	var reports []func(metric.Observer, S)
	var errs error
	for _, i := range list {
		observable, report, err := i.create(meter)
		errs = errors.Join(errs, err)
		all = append(all, observable)
		reports = append(reports, func(o metric.Observer, s S) {
			i.values(s, func(value int64, attributes ...attribute.KeyValue) {
				report(o, value, metric.WithAttributes(append(attributes, name)...))
			})
		})
	}
	if errs != nil {
		return nil, fmt.Errorf("%s: instruments of %q: %w", from.Func, from.Name, errs)
	}
	r, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := from.Stats()
		for _, report := range reports {
			report(o, s)
		}
		return nil
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("%s: callback of %q: %w", from.Func, from.Name, err)
	}
	return r, nil
}
