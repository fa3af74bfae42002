package origintest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// fault is a way to misbehave, with the expected outcome.
type fault struct {
	name   string
	want   outcome
	within time.Duration // the deadline of the read; zero means none
	spoil  func(s *Server, cancel context.CancelCauseFunc) func(n int, r *http.Request, a *answer)
}

var (
	rightBytes    = outcome{}
	anError       = outcome{fails: true}
	wrongChecksum = outcome{fails: true, is: filecache.ErrChecksum}
	tooShort      = outcome{fails: true, is: io.ErrUnexpectedEOF}

	// Bytes that cannot be known to be complete are not cached.
	uncached    = outcome{uncached: true}
	uncachedCut = outcome{uncached: true, cut: true}
)

func says(text string) outcome { return outcome{fails: true, says: text} }

// change returns a fault of every answer.
func change(name string, want outcome, f func(a *answer)) fault {
	return fault{name: name, want: want, spoil: plain(func(_ int, a *answer) { f(a) })}
}

// once returns a fault of the first answer only.
func once(name string, want outcome, f func(a *answer)) fault {
	return fault{name: name + ", once", want: want, spoil: plain(func(n int, a *answer) {
		if n == 1 {
			f(a)
		}
	})}
}

// resumed returns a fault of the answers that follow a truncated first one.
func resumed(name string, want outcome, f func(a *answer)) fault {
	return fault{name: "resumed: " + name, want: want, spoil: plain(func(n int, a *answer) {
		if n == 1 {
			halve(a)
			return
		}
		f(a)
	})}
}

func plain(f func(n int, a *answer)) func(*Server, context.CancelCauseFunc) func(int, *http.Request, *answer) {
	return func(*Server, context.CancelCauseFunc) func(int, *http.Request, *answer) {
		return func(n int, _ *http.Request, a *answer) { f(n, a) }
	}
}

func faults() (all []fault) {
	all = append(all, cuts()...)
	all = append(all, checksums()...)
	all = append(all, wrongRanges()...)
	all = append(all, wrongHeaders()...)
	all = append(all, statuses()...)
	all = append(all, replacements()...)
	return append(all, stalls()...)
}

// halve drops half of the body.
func halve(a *answer) { a.cut = -max(1, len(a.body)/2) }

// chunked sends the body without a Content-Length.
func chunked(a *answer) {
	a.header.Set("Transfer-Encoding", "chunked")
	a.body = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n\r\n", len(a.body), a.body)
}

func cuts() []fault {
	untilClosed := func(a *answer) { // like HTTP/1.0
		a.wire = append([]byte("HTTP/1.0 200 OK\r\nETag: \"x\"\r\n\r\n"), a.body...)
	}
	return []fault{
		once("cut with Content-Length", rightBytes, halve),
		change("cut with Content-Length", tooShort, halve),
		once("reset", rightBytes, func(a *answer) { halve(a); a.end = reset }),
		change("reset", anError, func(a *answer) { halve(a); a.end = reset }),
		change("chunked", rightBytes, chunked),
		change("chunked and ended early", wrongChecksum, func(a *answer) { a.body = a.body[:len(a.body)/2]; chunked(a) }),
		change("chunked and cut", tooShort, func(a *answer) { chunked(a); a.cut = -20 }),
		change("no length at all", uncached, untilClosed),
		change("no length, cut", uncachedCut, func(a *answer) { untilClosed(a); a.cut = -20 }),
		change("no answer", anError, func(a *answer) { a.wire = []byte{} }),
		change("no body", tooShort, func(a *answer) { a.cut = -max(1, len(a.body)) }),
		change("no ETag, cut", tooShort, func(a *answer) { a.header.Del("ETag"); a.header.Del("Last-Modified"); halve(a) }),
		change("weak ETag, cut", tooShort, func(a *answer) { a.header.Set("ETag", `W/"1"`); halve(a) }),
		change("more bytes than announced", rightBytes, func(a *answer) {
			a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
			a.body = append(a.body[:len(a.body):len(a.body)], "and more"...)
		}),
	}
}

func checksums() (all []fault) {
	for _, name := range []string{"Crc64nvme", "Crc32", "Crc32c", "Sha1", "Sha256"} {
		only := func(a *answer, of []byte) {
			a.withoutSums()
			a.header.Set("X-Amz-Checksum-"+name, sumOf(name, of))
		}
		spoil := func(a *answer) {
			only(a, a.body)
			a.body = append([]byte{a.body[0] ^ 1}, a.body[1:]...)
		}
		all = append(all,
			change("right "+name, rightBytes, func(a *answer) { only(a, a.body) }),
			once("wrong bytes for "+name, rightBytes, spoil),
			change("wrong bytes for "+name, wrongChecksum, spoil),
			change("right CRC64NVME and wrong "+name, wrongChecksum, func(a *answer) {
				a.header.Set("X-Amz-Checksum-"+name, sumOf(name, []byte("other")))
			}),
			change("wrong CRC64NVME and right "+name, wrongChecksum, func(a *answer) {
				only(a, a.body)
				a.header.Set("X-Amz-Checksum-Crc64nvme", sumOf("Crc64nvme", []byte("other")))
			}),
		)
	}
	return append(all,
		change("no checksum", rightBytes, (*answer).withoutSums),
		change("composite checksum", rightBytes, func(a *answer) {
			a.withoutSums()
			a.header.Set("X-Amz-Checksum-Type", "COMPOSITE")
			a.header.Set("X-Amz-Checksum-Crc32", sumOf("Crc32", []byte("parts"))+"-2")
		}),
	)
}

// wrongRanges returns invalid answers to range requests.
func wrongRanges() []fault {
	contentRange := func(v string) func(*answer) {
		return func(a *answer) { a.header.Set("Content-Range", v) }
	}
	whole := func(a *answer) {
		size := len(a.body)
		a.part(0, size/2, size)
	}
	return []fault{
		change("206 for the whole", anError, whole),
		change("206 for the whole, without a range", anError, func(a *answer) { a.status = http.StatusPartialContent }),
		resumed("no Content-Range", anError, func(a *answer) { a.header.Del("Content-Range") }),
		resumed("another start", anError, contentRange("bytes 1-99/100")),
		resumed("no total", anError, contentRange("bytes 50-99/*")),
		resumed("another total", rightBytes, func(a *answer) {
			if of, total, ok := strings.Cut(a.header.Get("Content-Range"), "/"); ok {
				a.header.Set("Content-Range", of+"/1"+total)
			}
		}),
		resumed("no numbers", anError, contentRange("bytes a-b/c")),
		resumed("unsatisfied", anError, contentRange("bytes */100")),
		resumed("impossible numbers", anError, contentRange("bytes 50-99/99999999999999999999")),
		resumed("the whole as 200", anError, func(a *answer) { a.status = http.StatusOK; a.header.Del("Content-Range") }),
		resumed("403", tooShort, status(http.StatusForbidden, "ExpiredToken")),
		resumed("416", tooShort, status(http.StatusRequestedRangeNotSatisfiable, "InvalidRange")),
		resumed("503", tooShort, status(http.StatusServiceUnavailable, "SlowDown")),
		resumed("304", tooShort, status(http.StatusNotModified, "")),
		resumed("gone", tooShort, status(http.StatusNotFound, "NoSuchKey")),
	}
}

func wrongHeaders() []fault {
	return []fault{
		change("not HTTP", anError, func(a *answer) { a.wire = []byte("220 mail ready\r\n\r\n") }),
		change("two lengths", anError, func(a *answer) { a.header["Content-Length"] = []string{"1", "2"} }),
		change("negative length", anError, func(a *answer) { a.header.Set("Content-Length", "-5") }),
		change("impossible length", anError, func(a *answer) { a.header.Set("Content-Length", "4611686018427387904") }),
		change("Last-Modified is no time", anError, func(a *answer) {
			a.header.Set("Last-Modified", "yesterday")
			a.status = http.StatusInternalServerError
		}),
		change("304 without a copy", anError, func(a *answer) {
			*a = answer{status: http.StatusNotModified, header: http.Header{"Etag": {`"other"`}}}
		}),
		change("encoded, as it is stored", rightBytes, func(a *answer) { a.header.Set("Content-Encoding", "gzip") }),
	}
}

// status returns an error response with that code.
func status(n int, code string) func(*answer) {
	return func(a *answer) {
		*a = answer{status: n, header: http.Header{"Content-Type": {"application/xml"}}}
		if code != "" {
			a.body = fmt.Appendf(nil, "<Error><Code>%s</Code><Message>m</Message></Error>", code)
		}
	}
}

func statuses() (all []fault) {
	for _, x := range []struct {
		status int
		code   string
	}{
		{301, "PermanentRedirect"}, {307, ""}, {400, "ExpiredToken"}, {401, ""}, {403, "AccessDenied"}, {403, ""}, {404, "NoSuchBucket"},
		{405, "MethodNotAllowed"}, {409, "Conflict"}, {412, "PreconditionFailed"}, {416, "InvalidRange"},
		{429, ""}, {500, "InternalError"}, {502, ""}, {503, "SlowDown"}, {504, ""}, {599, ""},
	} {
		all = append(all, change(fmt.Sprint(x.status, x.code), says(x.code), status(x.status, x.code)))
	}
	gone := outcome{fails: true, gone: true}
	return append(all,
		change("404NoSuchKey", gone, status(404, "NoSuchKey")),
		change("404", gone, status(404, "")),
		change("404, cut", gone, func(a *answer) { status(404, "")(a); a.header.Set("Content-Length", "100") }),
	)
}

// replacements returns faults that replace the object during a download.
func replacements() []fault {
	young := func(s *Server) []byte { return content(len(s.present()), 3) }
	replaced := func(name string, want outcome, then func(s *Server, r *http.Request, a *answer)) fault {
		return fault{name: "replaced: " + name, want: want, spoil: func(s *Server, _ context.CancelCauseFunc) func(int, *http.Request, *answer) {
			return func(n int, r *http.Request, a *answer) {
				if n == 1 {
					halve(a)
					s.put(young(s))
					return
				}
				then(s, r, a)
			}
		}}
	}
	// ignoring answers like a server that does not know If-Match.
	ignoring := func(s *Server, r *http.Request, a *answer) {
		if r.Header.Get("If-Match") != "" {
			r.Header.Del("If-Match")
			*a = *right(r, s.present())
		}
	}
	return []fault{
		replaced("412", rightBytes, func(*Server, *http.Request, *answer) {}),
		replaced("If-Match ignored", rightBytes, ignoring),
		replaced("If-Match ignored, no ETag", anError, func(s *Server, r *http.Request, a *answer) {
			ignoring(s, r, a)
			a.header.Del("ETag")
			a.header.Del("Last-Modified")
			if a.status == http.StatusOK {
				halve(a)
			}
		}),
		replaced("again and again", anError, func(s *Server, _ *http.Request, a *answer) {
			halve(a)
			b := s.present()
			s.put(content(len(b), b[0]))
		}),
		{name: "other bytes under the same ETag", want: wrongChecksum, spoil: func(s *Server, _ context.CancelCauseFunc) func(int, *http.Request, *answer) {
			before := s.present()
			return func(n int, r *http.Request, a *answer) {
				if r.Header.Get("Range") == "" {
					halve(a)
					return
				}
				from, to, _ := rangeOf(r, len(before))
				a.body = content(to-from, 9)
			}
		}},
	}
}

// stalls returns answers that stop in the middle.
func stalls() (all []fault) {
	for _, x := range []struct {
		name string
		cut  func(a *answer)
	}{
		{"before the header", func(a *answer) { a.wire = []byte{} }},
		{"in the header", func(a *answer) { a.cut = 30 }},
		{"in the body", halve},
	} {
		all = append(all, fault{
			name: "stalled " + x.name,
			want: outcome{fails: true, is: context.Canceled},
			spoil: func(_ *Server, cancel context.CancelCauseFunc) func(int, *http.Request, *answer) {
				return func(_ int, _ *http.Request, a *answer) {
					x.cut(a)
					a.end = stalled
					cancel(nil)
				}
			},
		})
	}
	late := change("stalled beyond the deadline", outcome{fails: true, is: context.DeadlineExceeded}, func(a *answer) {
		halve(a)
		a.end = stalled
	})
	late.within = 50 * time.Millisecond
	return append(all, late)
}
