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

// knownClient holds facts about a client.
type knownClient struct {
	client  *s3.Client
	service string
	known   bool // whether service is valid

	// renewed is a copy of the SDK's own HTTP client without its connections. It
	// replaces that client after the first request for a new connection.
	renewed atomic.Pointer[awshttp.BuildableClient]
}

// lastClient caches the client used last: Options copies all options on each call,
// and most functions have one client.
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

// serviceOf returns the endpoint of a client, or empty for AWS. ok is false if the
// endpoint is unknown.
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

// serviceIn returns the endpoint of a client with options o. With an endpoint
// resolver of the user's it is unknown.
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

// partition returns the AWS partition of a region, or empty for "aws". Bucket names
// are unique only within a partition.
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

// connect returns the HTTP client for a request, given that of its options. With
// dial, it opens a new connection.
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

// connectSDK is connect for the SDK's own HTTP client. Its idle connections cannot
// be closed, so later requests use a copy and the old connections time out.
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
