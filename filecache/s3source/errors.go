package s3source

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/warmcache/warmcache/filecache"
)

// failure translates errors by their HTTP status: the SDK has no type for some,
// and their codes differ between servers. A 403 is no reason to drop a copy: S3
// sends it for missing objects and for refused access.
func (o object) failure(err error, req filecache.Request) (*filecache.Response, error) {
	answer := answerOf(err)
	if answer == nil {
		return nil, local{err}
	}
	header := answer.Response.Header
	switch answer.HTTPStatusCode() {
	case http.StatusNotModified:
		// Some servers leave out the ETag.
		if got := header.Get("ETag"); got != "" && strings.TrimPrefix(got, "W/") != strings.TrimPrefix(req.IfNoneMatch, "W/") {
			return nil, errors.New("s3source: the service says not modified, of another ETag than the one requested")
		}
		return &filecache.Response{NotModified: true}, nil
	case http.StatusNotFound:
		if codeOf(err) == "NoSuchBucket" {
			return nil, local{err} // a mistake, and not an object that was deleted
		}
		return nil, both{fs.ErrNotExist, err}
	case http.StatusMethodNotAllowed:
		if o.version != "" && header.Get("X-Amz-Delete-Marker") == "true" {
			return nil, both{fs.ErrNotExist, err}
		}
	case http.StatusPreconditionFailed:
		return nil, both{filecache.ErrChanged, err}
	}
	return nil, local{err}
}

// answerOf returns the service's answer in err, or nil if there was none.
func answerOf(err error) *smithyhttp.ResponseError {
	re, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || re.Response == nil {
		return nil
	}
	return re
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// answered reports whether the service answered, even if with an error.
func answered(err error) bool { return err == nil || answerOf(err) != nil }

// notOfHeaders lists codes of a 400 that a header does not cause.
var notOfHeaders = []string{"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "RequestTimeout"}

// mayBeRefusal reports whether the service may have refused a header.
func mayBeRefusal(err error) bool {
	answer := answerOf(err)
	return answer != nil && !slices.Contains(notOfHeaders, codeOf(err)) &&
		(answer.HTTPStatusCode() == http.StatusBadRequest || answer.HTTPStatusCode() == http.StatusNotImplemented)
}

// both is the SDK's error err that also matches meaning.
type both struct{ meaning, err error }

func (b both) Error() string   { return b.err.Error() }
func (b both) Unwrap() []error { return []error{b.meaning, b.err} }

// local is an SDK's error that says nothing about the object. If its cause is a
// missing file, such as one with credentials, it must not match as a missing object.
type local struct{ err error }

func (l local) Error() string { return l.err.Error() }

func (l local) Is(target error) bool {
	return target != fs.ErrNotExist && target != filecache.ErrChanged && errors.Is(l.err, target)
}

func (l local) As(target any) bool { return errors.As(l.err, target) }
