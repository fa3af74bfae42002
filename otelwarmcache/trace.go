package otelwarmcache

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/reuse"
)

// Traced returns a [cache.Options] Load that makes a span of each call of load. The
// span is a child of the caller's, which is the first one if several callers share the
// load: the others have no span of it. A hit makes no span. An error other than
// [cache.ErrNotFound] is recorded and sets the status of the span. The key is not
// recorded, because keys can be secret and are too many for an attribute.
//
// For LoadMany, K is []Key and V is map[Key]Value.
func Traced[K, V any](tracer trace.Tracer, name string, load func(context.Context, K) (V, error)) func(context.Context, K) (V, error) {
	return func(ctx context.Context, key K) (V, error) {
		ctx, span := tracer.Start(ctx, name)
		defer span.End()
		v, err := load(ctx, key)
		if err != nil && !errors.Is(err, cache.ErrNotFound) {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		return v, err
	}
}

// Attributes returns attributes for the span of an invocation: warmcache.start is
// "cold", "restarted", "warm" or "unknown", and warmcache.invocation.number counts
// from 1 in each process. faas.coldstart, of the semantic conventions for functions,
// is true for the first invocation of a process.
func Attributes(inv reuse.Invocation) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.Bool("faas.coldstart", inv.Number == 1),
		attribute.String("warmcache.start", inv.Start.String()),
		attribute.Int64("warmcache.invocation.number", inv.Number),
	}
}
