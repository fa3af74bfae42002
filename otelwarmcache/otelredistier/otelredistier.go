// Package otelredistier exports the statistics of a [redistier.Tier] as
// OpenTelemetry metrics. It is a separate package, so that functions without a tier
// do not link a Redis client.
package otelredistier

import (
	"go.opentelemetry.io/otel/metric"

	"github.com/warmcache/warmcache/cache/redistier"
	"github.com/warmcache/warmcache/otelwarmcache/internal/instruments"
)

// Register registers the statistics of a tier as instruments of mp. stats is the
// method value of its [redistier.Tier.Stats]. The attribute warmcache.name of all
// values is name, which must be different for each tier of the process.
//
// Call Unregister of the returned Registration to end it. Most functions never do.
func Register(mp metric.MeterProvider, name string, stats func() redistier.Stats) (metric.Registration, error) {
	return instruments.Register(mp, instruments.Source[redistier.Stats]{
		Func:  "otelredistier.Register",
		Scope: "github.com/warmcache/warmcache/otelwarmcache/otelredistier",
		Name:  name,
		Stats: stats,
	}, tierInstruments())
}

func tierInstruments() []instruments.Instrument[redistier.Stats] {
	type S = redistier.Stats
	type Observe = instruments.Observe
	counter := instruments.Counter[S]
	return []instruments.Instrument[S]{
		counter("warmcache.redistier.failures", "{call}", "Calls of the server that failed.", func(s S, o Observe) { o(s.Failures) }),
		counter("warmcache.redistier.skipped", "{call}", "Calls not made because others had failed.", func(s S, o Observe) { o(s.Skipped) }),
		counter("warmcache.redistier.leases", "{lease}", "Leases that the server granted to this process.", func(s S, o Observe) { o(s.Leases) }),
		counter("warmcache.redistier.waits", "{wait}", "Pauses while another process held the lease of a key.", func(s S, o Observe) { o(s.Waits) }),
	}
}
