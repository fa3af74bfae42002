package otelwarmcache_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/otelwarmcache"
	"github.com/warmcache/warmcache/reuse"
)

func register(t *testing.T) func(metric.Registration, error) metric.Registration {
	return func(r metric.Registration, err error) metric.Registration {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func second(_ metric.Registration, err error) error { return err }

func newTracer() (trace.Tracer, *tracetest.InMemoryExporter) {
	exporter := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer("shop"), exporter
}

// named returns the spans with that name.
func named(e *tracetest.InMemoryExporter, name string) tracetest.SpanStubs {
	var found tracetest.SpanStubs
	for _, s := range e.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// The span of a load is a child of the invocation's, whether the cache calls Load in the
// caller's goroutine or in one that survives the caller's context.
func TestLoadIsAChildOfTheInvocation(t *testing.T) {
	withDeadline := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Minute)
	}
	for name, derive := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline":    withDeadline,
		"no deadline": func(ctx context.Context) (context.Context, context.CancelFunc) { return ctx, func() {} },
	} {
		for call, get := range map[string]func(context.Context, *cache.Cache[string, int]) error{
			"Get": func(ctx context.Context, c *cache.Cache[string, int]) error { _, err := c.Get(ctx, "k"); return err },
			"Refresh": func(ctx context.Context, c *cache.Cache[string, int]) error {
				_, err := c.Refresh(ctx, "k")
				return err
			},
			"GetMany": func(ctx context.Context, c *cache.Cache[string, int]) error {
				_, err := c.GetMany(ctx, []string{"k", "l"})
				return err
			},
		} {
			t.Run(name+"/"+call, func(t *testing.T) {
				tracer, exporter := newTracer()
				products := cache.Must(cache.New(cache.Options[string, int]{
					Load: otelwarmcache.Traced(tracer, "load", func(context.Context, string) (int, error) { return 1, nil }),
					LoadMany: otelwarmcache.Traced(tracer, "load", func(_ context.Context, keys []string) (map[string]int, error) {
						return map[string]int{"k": 1, "l": 2}, nil
					}),
					TTL: time.Minute,
				}))
				ctx, cancel := derive(context.WithoutCancel(t.Context()))
				defer cancel()
				ctx, invocation := tracer.Start(ctx, "invocation")
				if err := get(ctx, products); err != nil {
					t.Fatal(err)
				}
				loads := named(exporter, "load")
				if len(loads) != 1 || loads[0].Parent.SpanID() != invocation.SpanContext().SpanID() ||
					loads[0].SpanContext.TraceID() != invocation.SpanContext().TraceID() {
					t.Errorf("want one load below %v: %+v", invocation.SpanContext().SpanID(), loads)
				}
				if _, err := products.Get(ctx, "k"); err != nil || len(named(exporter, "load")) != 1 {
					t.Errorf("a hit made a span: %v", err)
				}
			})
		}
	}
}

// Two invocations share a load: its span is a child of the first one's.
func TestSharedLoadIsAChildOfTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer, exporter := newTracer()
		finish := make(chan struct{})
		products := cache.Must(cache.New(cache.Options[string, int]{
			Load: otelwarmcache.Traced(tracer, "load", func(context.Context, string) (int, error) { <-finish; return 1, nil }),
			TTL:  time.Minute,
		}))
		var wait sync.WaitGroup
		var first trace.SpanContext
		for i := range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			ctx, invocation := tracer.Start(ctx, "invocation")
			if i == 0 {
				first = invocation.SpanContext()
			}
			wait.Go(func() { products.Get(ctx, "k") })
			synctest.Wait()
		}
		close(finish)
		wait.Wait()
		if loads := named(exporter, "load"); len(loads) != 1 || loads[0].Parent.SpanID() != first.SpanID() || products.Stats().Joins != 1 {
			t.Errorf("%d joins, %+v", products.Stats().Joins, loads)
		}
	})
}

func TestTracedErrors(t *testing.T) {
	tracer, exporter := newTracer()
	broken := errors.New("connection refused")
	for _, tt := range []struct {
		err    error
		status codes.Code
		events int
	}{
		{nil, codes.Unset, 0},
		{broken, codes.Error, 1},
		{cache.ErrNotFound, codes.Unset, 0},
	} {
		exporter.Reset()
		load := otelwarmcache.Traced(tracer, "load", func(context.Context, string) (int, error) { return 7, tt.err })
		v, err := load(t.Context(), "secret-key")
		loads := named(exporter, "load")
		if v != 7 || err != tt.err || len(loads) != 1 || loads[0].Status.Code != tt.status || len(loads[0].Events) != tt.events {
			t.Errorf("%v: %d, %v, %+v", tt.err, v, err, loads)
		}
		for _, l := range loads {
			if len(l.Attributes) != 0 {
				t.Errorf("attributes of the span: %v", l.Attributes)
			}
		}
	}
	exporter.Reset()
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v", r)
			}
		}()
		otelwarmcache.Traced(tracer, "load", func(context.Context, string) (int, error) { panic("boom") })(t.Context(), "k")
	}()
	if loads := named(exporter, "load"); len(loads) != 1 {
		t.Errorf("a Load that panicked has %d ended spans", len(loads))
	}
}

// An Object's request belongs to the invocation's trace as well: instrumented clients
// make their own spans.
type tracedObject struct{ tracer trace.Tracer }

func (tracedObject) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "example://models", Name: "m"}, nil
}

func (o tracedObject) Fetch(ctx context.Context, _ filecache.Request) (*filecache.Response, error) {
	_, span := o.tracer.Start(ctx, "fetch")
	defer span.End()
	return &filecache.Response{Body: io.NopCloser(strings.NewReader("lamp")), Size: 4, ETag: `"1"`}, nil
}

func TestFetchIsAChildOfTheInvocation(t *testing.T) {
	tracer, exporter := newTracer()
	files := filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir()}))
	ctx, invocation := tracer.Start(t.Context(), "invocation")
	if b, err := files.ReadFile(ctx, tracedObject{tracer}); err != nil || string(b) != "lamp" {
		t.Fatalf("%q, %v", b, err)
	}
	if got := named(exporter, "fetch"); len(got) != 1 || got[0].Parent.SpanID() != invocation.SpanContext().SpanID() {
		t.Errorf("%+v", got)
	}
}

func TestAttributes(t *testing.T) {
	for _, tt := range []struct {
		inv       reuse.Invocation
		coldstart bool
		start     string
	}{
		{reuse.Invocation{Start: reuse.Cold, Number: 1}, true, "cold"},
		{reuse.Invocation{Start: reuse.Restarted, Number: 1}, true, "restarted"},
		{reuse.Invocation{Start: reuse.Unknown, Number: 1}, true, "unknown"},
		{reuse.Invocation{Start: reuse.Warm, Number: 2}, false, "warm"},
	} {
		got := attribute.NewSet(otelwarmcache.Attributes(tt.inv)...)
		want := attribute.NewSet(
			attribute.Bool("faas.coldstart", tt.coldstart),
			attribute.String("warmcache.start", tt.start),
			attribute.Int64("warmcache.invocation.number", tt.inv.Number),
		)
		if !got.Equals(&want) {
			t.Errorf("%v: %v", tt.inv, got.ToSlice())
		}
	}
}
