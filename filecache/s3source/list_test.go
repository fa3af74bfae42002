package s3source_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// The bucket sends one name per page, so that paging is tested.
func TestFS(t *testing.T) {
	const modified = "2026-01-02T03:04:05.678Z"
	objects := map[string]string{"a.txt": "one", "dir/b.txt": "two", "dir/c/d.txt": "three"}
	lists := map[string][]string{ // by prefix: keys, and prefixes with a slash at the end
		"": {"a.txt", "dir/"}, "dir/": {"dir/b.txt", "dir/c/"}, "dir/c/": {"dir/c/d.txt"},
	}
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		key, isObject := strings.CutPrefix(r.URL.Path, "/models/")
		if isObject && key != "" {
			body, ok := objects[key]
			if !ok {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
			fmt.Fprint(w, body)
			return
		}
		q := r.URL.Query()
		names := lists[q.Get("prefix")]
		n := 0
		fmt.Sscan(q.Get("continuation-token"), &n)
		fmt.Fprint(w, "<ListBucketResult>")
		if n < len(names) {
			if name := names[n]; strings.HasSuffix(name, "/") {
				fmt.Fprintf(w, "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>", name)
			} else {
				fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>%s</LastModified></Contents>", name, len(objects[name]), modified)
			}
		}
		fmt.Fprintf(w, "<IsTruncated>%v</IsTruncated><NextContinuationToken>%d</NextContinuationToken></ListBucketResult>", n+1 < len(names), n+1)
	})
	fsys := newFiles(t).FS(context.Background(), bucket)
	if err := fstest.TestFS(fsys, "a.txt", "dir/b.txt", "dir/c/d.txt"); err != nil {
		t.Error(err)
	}
}

func TestListWithoutAListClient(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) })
	only := s3source.Bucket{Client: struct{ s3source.Client }{bucket.Client}, Name: "models"}
	_, err := fs.ReadDir(newFiles(t).FS(context.Background(), only), ".")
	if err == nil || !strings.Contains(err.Error(), "ListObjectsV2") {
		t.Errorf("ReadDir = %v", err)
	}
	if _, err := newFiles(t).FS(context.Background(), bucket).Open("missing"); err == nil {
		t.Error("Open of a missing object succeeded")
	}
}

var _ filecache.Lister = s3source.Bucket{}

// XML cannot represent all characters of a key.
func TestListingOfOddKeys(t *testing.T) {
	for name, encoded := range map[string]bool{"encoded": true, "a service that does not encode": false} {
		t.Run(name, func(t *testing.T) {
			bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("encoding-type") != "url" {
					t.Error("the encoding was not requested")
				}
				if encoded {
					fmt.Fprint(w, "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%01%2B+%25</Key></Contents>"+
						"<CommonPrefixes><Prefix>d%02/</Prefix></CommonPrefixes></ListBucketResult>")
					return
				}
				fmt.Fprint(w, "<ListBucketResult><Contents><Key>a%01+</Key></Contents></ListBucketResult>")
			})
			list, err := bucket.List(t.Context(), "")
			want := []filecache.Listed{{Name: "d\x02", Dir: true}, {Name: "a\x01+ %"}}
			if !encoded {
				want = []filecache.Listed{{Name: "a%01+"}}
			}
			for i := range list {
				list[i].Modified = want[i].Modified
			}
			if err != nil || fmt.Sprint(list) != fmt.Sprint(want) {
				t.Errorf("List = %+v, %v", list, err)
			}
		})
	}
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%zz</Key></Contents></ListBucketResult>")
	})
	if _, err := bucket.List(t.Context(), ""); err == nil {
		t.Error("a key that cannot be decoded was listed")
	}
}

// A listing whose pages repeat would never end, and is incomplete wherever it stops.
func TestListingThatRepeatsAToken(t *testing.T) {
	for name, tokens := range map[string][]string{"at once": {"a"}, "in turn": {"a", "b"}} {
		t.Run(name, func(t *testing.T) {
			n := 0
			bucket, requests := server(t, func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%s</NextContinuationToken></ListBucketResult>",
					tokens[n%len(tokens)])
				n++
			})
			_, err := bucket.List(t.Context(), "dir")
			if err == nil || !strings.Contains(err.Error(), "repeats") || requests.Load() != int64(len(tokens)+1) {
				t.Errorf("List = %v after %d requests", err, requests.Load())
			}
		})
	}
}
