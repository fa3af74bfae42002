package otelredistier_test

import (
	"strings"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/warmcache/warmcache/cache/redistier"
	"github.com/warmcache/warmcache/otelwarmcache/internal/instrumentstest"
	"github.com/warmcache/warmcache/otelwarmcache/otelredistier"
)

func TestEveryFieldIsExported(t *testing.T) {
	var s redistier.Stats
	want := instrumentstest.Fill(&s)
	want.Skip(t, "Last") // an error, for logs
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	if _, err := otelredistier.Register(mp, "shared", func() redistier.Stats { return s }); err != nil {
		t.Fatal(err)
	}
	instrumentstest.CheckEachOnce(t, reader, want)
	instrumentstest.CheckConventions(t, reader, "warmcache.redistier.")
	instrumentstest.CheckREADME(t, reader, "../README.md")
}

func TestErrorsOfRegister(t *testing.T) {
	_, err := otelredistier.Register(sdkmetric.NewMeterProvider(), "shared", nil)
	if err == nil || !strings.HasPrefix(err.Error(), "otelredistier.Register: ") {
		t.Errorf("%v", err)
	}
}
