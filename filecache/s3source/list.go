package s3source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/warmcache/warmcache/filecache"
)

// ListClient is the part of *s3.Client that [Bucket.List] needs in addition to
// [Client].
type ListClient interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// List implements [filecache.Lister] for directories of a [filecache.Cache.FS].
// [Bucket.Client] must also be a [ListClient]. Each call sends a request for each
// thousand names: listings are not cached.
func (b Bucket) List(ctx context.Context, dir string) ([]filecache.Listed, error) {
	client, ok := b.Client.(ListClient)
	if !ok {
		return nil, errors.New("s3source: Bucket.Client has no ListObjectsV2, which a listing needs")
	}
	prefix := dir
	if prefix != "" {
		prefix += "/"
	}
	list, err := b.list(ctx, client, prefix)
	if err != nil {
		return nil, fmt.Errorf("s3source: list %s/%s: %w", b.Name, prefix, err)
	}
	return list, nil
}

func (b Bucket) list(ctx context.Context, client ListClient, prefix string) (list []filecache.Listed, err error) {
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket:       &b.Name,
		Prefix:       optional(prefix),
		Delimiter:    aws.String("/"),
		EncodingType: types.EncodingTypeUrl, // XML cannot represent all characters of a key
	})
	seen := map[string]bool{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		if list, err = appendPage(list, page, prefix); err != nil {
			return nil, err
		}
		token := aws.ToString(page.NextContinuationToken)
		if token != "" && seen[token] {
			return nil, errors.New("the service repeats a continuation token, so the listing would never end")
		}
		seen[token] = true
	}
	return list, nil
}

func appendPage(list []filecache.Listed, page *s3.ListObjectsV2Output, prefix string) ([]filecache.Listed, error) {
	for _, p := range page.CommonPrefixes {
		name, err := decode(p.Prefix, page.EncodingType)
		if err != nil {
			return nil, err
		}
		list = append(list, filecache.Listed{Name: strings.TrimSuffix(strings.TrimPrefix(name, prefix), "/"), Dir: true})
	}
	for _, o := range page.Contents {
		name, err := decode(o.Key, page.EncodingType)
		if err != nil {
			return nil, err
		}
		list = append(list, filecache.Listed{
			Name: strings.TrimPrefix(name, prefix),
			Size: aws.ToInt64(o.Size),
			// In seconds, as the answer to a GET has it.
			Modified: aws.ToTime(o.LastModified).Truncate(time.Second),
		})
	}
	return list, nil
}

// decode returns a key of a listing. A service that does not know the encoding type
// leaves it out of its answer.
func decode(key *string, encoding types.EncodingType) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return aws.ToString(key), nil
	}
	name, err := url.QueryUnescape(aws.ToString(key))
	if err != nil {
		return "", fmt.Errorf("a key is not URL-encoded: %w", err)
	}
	return name, nil
}
