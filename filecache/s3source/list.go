package s3source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
)

// ListClient is the part of *s3.Client that List uses beside Client's.
type ListClient interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// List implements filecache.Lister, for directories of filecache.FS. The Client
// must be a ListClient too. It costs a request for each thousand names, every time:
// listings are not cached.
func (b Bucket) List(ctx context.Context, dir string) ([]filecache.Listed, error) {
	client, ok := b.Client.(ListClient)
	if !ok {
		return nil, errors.New("s3source: Bucket.Client has no ListObjectsV2, which a listing needs")
	}
	prefix := dir
	if prefix != "" {
		prefix += "/"
	}
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
		Bucket:    &b.Name,
		Prefix:    optional(prefix),
		Delimiter: aws.String("/"),
	})
	var list []filecache.Listed
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("s3source: list %s/%s: %w", b.Name, prefix, err)
		}
		for _, p := range page.CommonPrefixes {
			name := strings.TrimSuffix(strings.TrimPrefix(aws.ToString(p.Prefix), prefix), "/")
			list = append(list, filecache.Listed{Name: name, Dir: true})
		}
		for _, o := range page.Contents {
			list = append(list, filecache.Listed{
				Name: strings.TrimPrefix(aws.ToString(o.Key), prefix),
				Size: aws.ToInt64(o.Size),
				// In seconds, as the answer to a GET has it.
				Modified: aws.ToTime(o.LastModified).Truncate(time.Second),
			})
		}
	}
	return list, nil
}
