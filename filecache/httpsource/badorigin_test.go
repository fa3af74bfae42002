package httpsource_test

import (
	"net/http"
	"testing"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
	"github.com/warmcache/warmcache/filecache/internal/origintest"
)

func badObject(t *testing.T, url string) filecache.Object {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return httpsource.Source{Client: &http.Client{Transport: transport}}.Object(url + origintest.Path)
}

func TestConformance(t *testing.T)       { origintest.RunConformance(t, badObject) }
func TestBadOrigin(t *testing.T)         { origintest.Run(t, badObject) }
func TestBrokenConnections(t *testing.T) { origintest.RunBrokenConnections(t, badObject, true) }
