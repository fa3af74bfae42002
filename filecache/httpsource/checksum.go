package httpsource

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/warmcache/warmcache/filecache"
)

// checksums returns the checksums of the object in the header of a complete answer.
// It leaves out MD5, which filecache does not verify.
func checksums(h http.Header) []filecache.Checksum {
	var sums sumList
	if !strings.EqualFold(h.Get("X-Amz-Checksum-Type"), "COMPOSITE") {
		// A value such as "…-3" is composite even without the type. It is not base64.
		sums.add(filecache.CRC64NVME, 8, h.Get("X-Amz-Checksum-Crc64nvme"))
		sums.add(filecache.CRC32, 4, h.Get("X-Amz-Checksum-Crc32"))
		sums.add(filecache.CRC32C, 4, h.Get("X-Amz-Checksum-Crc32c"))
		sums.add(filecache.SHA256, 32, h.Get("X-Amz-Checksum-Sha256"))
		sums.add(filecache.SHA1, 20, h.Get("X-Amz-Checksum-Sha1"))
	}
	// Google's checksum covers the stored bytes, which it may decode in transit.
	if stored := h.Get("X-Goog-Stored-Content-Encoding"); stored == "identity" && h.Get("Content-Encoding") == "" {
		sums.add(filecache.CRC32C, 4, member(h, "X-Goog-Hash", "crc32c"))
	}
	// RFC 9530, and RFC 3230 before it. The content of a complete answer is the
	// representation.
	for _, name := range []string{"Repr-Digest", "Content-Digest"} {
		v := member(h, name, "sha-256")
		if len(v) > 2 && v[0] == ':' && v[len(v)-1] == ':' {
			sums.add(filecache.SHA256, 32, v[1:len(v)-1])
		}
	}
	sums.add(filecache.SHA256, 32, member(h, "Digest", "sha-256"))
	return sums
}

// member returns the value of one key in a header that is a list of key=value.
func member(h http.Header, name, key string) string {
	for _, line := range h.Values(name) {
		for m := range strings.SplitSeq(line, ",") {
			m, _, _ = strings.Cut(m, ";")
			if k, v, _ := strings.Cut(strings.TrimSpace(m), "="); strings.EqualFold(k, key) {
				return v
			}
		}
	}
	return ""
}

type sumList []filecache.Checksum

// add adds a checksum once. It ignores values of a wrong length.
func (l *sumList) add(a filecache.Algorithm, size int, value string) {
	sum, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(sum) != size {
		return
	}
	for _, c := range *l {
		if c.Algorithm == a && bytes.Equal(c.Sum, sum) {
			return
		}
	}
	*l = append(*l, filecache.Checksum{Algorithm: a, Sum: sum})
}
