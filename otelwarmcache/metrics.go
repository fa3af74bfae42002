// Package otelwarmcache exports the statistics of warmcache's caches as OpenTelemetry
// metrics, and puts each load into the trace of the invocation that needed it.
//
//	var products = cache.Must(cache.New(cache.Options[string, Product]{
//		Load: otelwarmcache.Traced(otel.Tracer("shop"), "load product", loadProduct),
//		TTL:  time.Minute,
//	}))
//
//	func main() {
//		...
//		otelwarmcache.RegisterCache(otel.GetMeterProvider(), "products", products.Stats)
//		otelwarmcache.RegisterFileCache(otel.GetMeterProvider(), "models", files.Stats)
//
// Package otelredistier does the same for a tier on Redis.
//
// The instruments are asynchronous: a reader calls Stats when it collects, and a hit
// costs nothing more. The package starts no goroutines. A frozen function cannot
// export on a timer, so call the ForceFlush of your MeterProvider and TracerProvider
// before an invocation ends, as the README shows.
//
// # Names
//
// OpenTelemetry has no semantic conventions for caches. The names are in the
// namespace warmcache and follow the general rules for metrics and attributes:
// counters of things in the plural, bytes in "By", "error.type" for the kind of a
// fault. [Attributes] uses the conventions for functions, which are experimental. The
// README lists all names.
package otelwarmcache

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/otelwarmcache/internal/instruments"
)

const scope = "github.com/warmcache/warmcache/otelwarmcache"

// RegisterCache registers the statistics of a memory cache as instruments of mp.
// stats is the method value of its [cache.Cache.Stats]. The attribute warmcache.name
// of all values is name, which must be different for each cache of the process.
//
// Call Unregister of the returned Registration to end it. Most functions never do.
func RegisterCache(mp metric.MeterProvider, name string, stats func() cache.Stats) (metric.Registration, error) {
	from := instruments.Source[cache.Stats]{Func: "otelwarmcache.RegisterCache", Scope: scope, Name: name, Stats: stats}
	return instruments.Register(mp, from, cacheInstruments())
}

// RegisterFileCache registers the statistics of a file cache as instruments of mp.
// stats is the method value of its [filecache.Cache.Stats]. The attribute
// warmcache.name of all values is name, which must be different for each file cache of
// the process.
func RegisterFileCache(mp metric.MeterProvider, name string, stats func() filecache.Stats) (metric.Registration, error) {
	from := instruments.Source[filecache.Stats]{Func: "otelwarmcache.RegisterFileCache", Scope: scope, Name: name, Stats: stats}
	return instruments.Register(mp, from, fileCacheInstruments())
}

// RegisterValue registers the statistics of a [filecache.Value] as instruments of mp.
// stats is the method value of its [filecache.Value.Stats]. The attribute
// warmcache.name of all values is name, which must be different for each Value of the
// process.
func RegisterValue(mp metric.MeterProvider, name string, stats func() filecache.ValueStats) (metric.Registration, error) {
	from := instruments.Source[filecache.ValueStats]{Func: "otelwarmcache.RegisterValue", Scope: scope, Name: name, Stats: stats}
	return instruments.Register(mp, from, valueInstruments())
}

func result(s string) attribute.KeyValue { return attribute.String("warmcache.result", s) }
func reason(s string) attribute.KeyValue { return attribute.String("warmcache.reason", s) }

func cacheInstruments() []instruments.Instrument[cache.Stats] {
	type S = cache.Stats
	type Observe = instruments.Observe
	counter, level := instruments.Counter[S], instruments.Level[S]
	return []instruments.Instrument[S]{
		counter("warmcache.cache.requests", "{request}", "Keys that callers requested.", func(s S, o Observe) {
			o(s.Hits, result("hit"))
			o(s.Misses, result("miss"))
		}),
		counter("warmcache.cache.joins", "{request}", "Misses that waited for the load of another caller.", func(s S, o Observe) { o(s.Joins) }),
		counter("warmcache.cache.loads", "{load}", "Calls of Load, Reload and LoadMany.", func(s S, o Observe) { o(s.Loads) }),
		counter("warmcache.cache.load.errors", "{error}", "Loads that failed, except with ErrNotFound.", func(s S, o Observe) { o(s.LoadErrors) }),
		counter("warmcache.cache.stale_served", "{request}", "Stale values served because a load failed.", func(s S, o Observe) { o(s.StaleServed) }),
		counter("warmcache.cache.evictions", "{entry}", "Entries evicted to stay within a bound.", func(s S, o Observe) {
			o(s.EvictedEntries, reason("max_entries"))
			o(s.EvictedBytes, reason("max_bytes"))
		}),
		counter("warmcache.cache.oversize", "{entry}", "Values not cached because they alone exceed MaxBytes.", func(s S, o Observe) { o(s.Oversize) }),
		level("warmcache.cache.entry.count", "{entry}", "Entries in memory.", func(s S, o Observe) { o(int64(s.Entries)) }),
		level("warmcache.cache.size", "By", "Size of the entries, as Options.Size measures it.", func(s S, o Observe) { o(s.Bytes) }),
		counter("warmcache.cache.tier.requests", "{request}", "Keys requested from the tier.", func(s S, o Observe) {
			o(s.TierHits, result("hit"))
			o(s.TierMisses, result("miss"))
		}),
		counter("warmcache.cache.tier.errors", "{error}", "Calls of the tier that failed.", func(s S, o Observe) { o(s.TierErrors) }),
		counter("warmcache.cache.tier.rejected", "{record}", "Records of the tier that were corrupt, foreign or undecodable.", func(s S, o Observe) { o(s.TierRejected) }),
		counter("warmcache.cache.codec.errors", "{error}", "Values that the codec could not encode for the tier.", func(s S, o Observe) { o(s.CodecErrors) }),
		instruments.Seconds("warmcache.cache.last_freeze", "How far the wall clock last ran ahead of the monotonic clock.", func(s S, o Observe) { o(int64(s.LastFreeze)) }),
	}
}

func fileCacheInstruments() []instruments.Instrument[filecache.Stats] {
	type S = filecache.Stats
	type Observe = instruments.Observe
	counter, level := instruments.Counter[S], instruments.Level[S]
	return []instruments.Instrument[S]{
		counter("warmcache.filecache.hits", "{request}", "Requests answered by a local copy without calling the origin.", func(s S, o Observe) { o(s.Hits) }),
		counter("warmcache.filecache.revalidated", "{request}", "Requests answered by a local copy that the origin confirmed.", func(s S, o Observe) { o(s.Revalidated) }),
		counter("warmcache.filecache.stale_served", "{request}", "Stale copies served because the origin failed.", func(s S, o Observe) { o(s.StaleServed) }),
		counter("warmcache.filecache.misses", "{request}", "Objects fetched from the origin, by why there was no copy to use.", func(s S, o Observe) {
			o(s.MissesBy.Absent, reason("absent"))
			o(s.MissesBy.Changed, reason("changed"))
			o(s.MissesBy.Evicted, reason("evicted"))
			o(s.MissesBy.Forgotten, reason("forgotten"))
			o(s.MissesBy.Damaged, reason("damaged"))
			o(s.MissesBy.NoDisk, reason("no_disk"))
		}),
		counter("warmcache.filecache.joins", "{request}", "Requests that waited for another caller's.", func(s S, o Observe) { o(s.Joins) }),
		counter("warmcache.filecache.shared", "{request}", "Downloads saved because another process had made them.", func(s S, o Observe) { o(s.Shared) }),
		counter("warmcache.filecache.verified", "{copy}", "Local copies whose reads must be verified in this process.", func(s S, o Observe) { o(s.Verified) }),
		counter("warmcache.filecache.unsummed", "{request}", "Misses for which the origin sent no checksum of the whole object.", func(s S, o Observe) { o(s.Unsummed) }),
		counter("warmcache.filecache.uncached", "{request}", "Misses that could not be kept on disk.", func(s S, o Observe) { o(s.Uncached) }),
		counter("warmcache.filecache.origin.requests", "{request}", "Requests to the origin.", func(s S, o Observe) { o(s.Requests) }),
		counter("warmcache.filecache.origin.io", "By", "Bytes received from the origin.", func(s S, o Observe) { o(s.OriginBytes) }),
		counter("warmcache.filecache.disk.io", "By", "Bytes read from local copies.", func(s S, o Observe) { o(s.DiskBytes) }),
		counter("warmcache.filecache.evictions", "{copy}", "Copies evicted to make room.", func(s S, o Observe) { o(s.Evictions) }),
		counter("warmcache.filecache.repairs", "{block}", "Damaged blocks fetched again while they were read.", func(s S, o Observe) { o(s.Repairs) }),
		counter("warmcache.filecache.faults", "{fault}", "Failures of the local disk, by errno; no caller saw one.", observeFaults),
		level("warmcache.filecache.breaker.state", "1", "1 for the state of the directory's circuit breaker, 0 for the others.", observeBreaker),
		counter("warmcache.filecache.breaker.openings", "{opening}", "How often the breaker has opened.", func(s S, o Observe) { o(s.BreakerOpened) }),
	}
}

func valueInstruments() []instruments.Instrument[filecache.ValueStats] {
	type S = filecache.ValueStats
	type Observe = instruments.Observe
	counter := instruments.Counter[S]
	return []instruments.Instrument[S]{
		counter("warmcache.value.hits", "{request}", "Requests answered without opening the object.", func(s S, o Observe) { o(s.Hits) }),
		counter("warmcache.value.joins", "{request}", "Requests that waited for another caller's.", func(s S, o Observe) { o(s.Joins) }),
		counter("warmcache.value.revalidated", "{request}", "Requests that found the parsed version to be current.", func(s S, o Observe) { o(s.Revalidated) }),
		counter("warmcache.value.parses", "{parse}", "Calls of Parse.", func(s S, o Observe) { o(s.Parses) }),
		counter("warmcache.value.parse.errors", "{error}", "Calls of Parse that failed or panicked.", func(s S, o Observe) { o(s.Failures) }),
		counter("warmcache.value.stale_served", "{request}", "Stale values served because the origin failed.", func(s S, o Observe) { o(s.StaleServed) }),
		counter("warmcache.value.invalid_served", "{request}", "Older values served because Parse fails for the current version.", func(s S, o Observe) { o(s.InvalidServed) }),
		counter("warmcache.value.close.errors", "{error}", "Calls of ValueOptions.Close that failed.", func(s S, o Observe) { o(s.CloseErrors) }),
	}
}

// observeFaults reports nothing until there are faults.
func observeFaults(s filecache.Stats, o instruments.Observe) {
	for kind, n := range s.FaultsBy {
		o(n, attribute.String("error.type", kind))
	}
}

func observeBreaker(s filecache.Stats, o instruments.Observe) {
	for _, state := range []filecache.BreakerState{filecache.BreakerClosed, filecache.BreakerOpen, filecache.BreakerProbing} {
		is := int64(0)
		if s.Breaker == state {
			is = 1
		}
		o(is, attribute.String("warmcache.breaker.state", state.String()))
	}
}
