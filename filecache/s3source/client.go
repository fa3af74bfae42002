package s3source

import (
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache/internal/redial"
)

// knownClient is what is known of a client.
type knownClient struct {
	client  *s3.Client
	service string
	known   bool // service is right

	// renewed replaces the SDK's own HTTP client since the last request that wanted
	// a new connection: a copy, which has none of the old connections.
	renewed atomic.Pointer[awshttp.BuildableClient]
}

// lastClient is the client that was used last. The SDK copies all options on each
// call of Options, and functions have one client as a rule.
var lastClient atomic.Pointer[knownClient]

func known(c *s3.Client) *knownClient {
	k := lastClient.Load()
	if k == nil || k.client != c {
		k = &knownClient{client: c}
		k.service, k.known = serviceIn(c.Options())
		lastClient.Store(k)
	}
	return k
}

// serviceOf returns which service a client talks to: its endpoint, or empty for
// AWS; and whether the client tells.
func serviceOf(client Client) (service string, ok bool) {
	switch c := client.(type) {
	case *s3.Client:
		k := known(c)
		return k.service, k.known
	case interface{ Options() s3.Options }:
		return serviceIn(c.Options())
	}
	return "", false
}

// serviceIn returns which service a client with these options talks to. A resolver
// of the user's may lead anywhere.
func serviceIn(o s3.Options) (service string, ok bool) {
	ours := reflect.TypeOf(s3.NewDefaultEndpointResolverV2())
	//nolint:staticcheck // deprecated, but still used
	if o.EndpointResolver != nil || o.EndpointResolverV2 != nil && reflect.TypeOf(o.EndpointResolverV2) != ours {
		return "", false
	}
	if o.BaseEndpoint != nil {
		return *o.BaseEndpoint, true
	}
	return partition(o.Region), true
}

// partition returns the partition of AWS that a region is in, or empty for the one
// that most are in. Names of buckets are unique only within one.
func partition(region string) string {
	for prefix, name := range map[string]string{
		"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso": "aws-iso", "eu-iso": "aws-iso-e", "eusc-": "aws-eusc",
	} {
		if strings.HasPrefix(region, prefix) {
			return name
		}
	}
	return ""
}

// connect returns the HTTP client that a request goes through, given the one of its
// options, and whether it must dial.
func (b Bucket) connect(in s3.HTTPClient, dial bool) s3.HTTPClient {
	switch in := in.(type) {
	case *http.Client:
		if dial {
			return redial.Client(in)
		}
	case *awshttp.BuildableClient:
		return b.connectSDK(in, dial)
	case interface{ CloseIdleConnections() }:
		if dial {
			in.CloseIdleConnections()
		}
	}
	return in
}

// connectSDK is connect for the SDK's own HTTP client. Nobody can close its idle
// connections, so later requests go through a copy. The old ones time out.
func (b Bucket) connectSDK(in *awshttp.BuildableClient, dial bool) s3.HTTPClient {
	k := &knownClient{}
	if c, ok := b.Client.(*s3.Client); ok {
		k = known(c)
	}
	switch renewed := k.renewed.Load(); {
	case dial:
		k.renewed.Store(in.WithTransportOptions())
		return in.WithTransportOptions(func(t *http.Transport) { t.DisableKeepAlives = true })
	case renewed != nil:
		return renewed
	default:
		return in
	}
}
