// Command faults damages the disk caches of Go libraries in the ways in which
// disks, crashes and neighbours do, and compares what they then return.
//
//	go run ./bench/peers/faults
//	go run ./bench/peers/faults -json FILE
//
// Every library is used as its documentation shows, as a read-through cache of
// one origin. The cases are the same for all, and all are real: files are changed
// on disk, processes killed, file systems full.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/warmcache/warmcache/internal/compare"
)

func main() {
	serveIfChild()
	command.Main()
}

var command = compare.Command{
	Path: "peers/faults", Rounds: 1, Quick: 1,
	Libraries: []string{"diskv", "httpcache", "fscache", "go-internal"},
	Set:       func(*compare.Flags) string { return fmt.Sprintf("objects of %d bytes", objectSize) },
	Measure: func(_ context.Context, f *compare.Flags, r *compare.Report) error {
		dir, err := os.MkdirTemp("", "warmcache-faults-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		for _, p := range peers() {
			r.Notes = append(r.Notes, compare.Note{Name: p.name, Text: p.note})
		}
		for _, c := range cases {
			if !f.Only.MatchString(c.name) {
				continue
			}
			r.Measures = append(r.Measures, compare.Measure{Name: c.name, Title: c.name, Matrix: legend})
			for _, p := range peers() {
				cell := r.Cell(c.name, p.name)
				cell.Outcome, cell.Note = try(dir, c, p)
			}
		}
		return nil
	},
}

const legend = `After damage. hit: the right bytes, from the copy. fetched: the right bytes, from the origin. error: no bytes.
stale: the bytes of the version before. hangs: no answer within 10 s. WRONG: other bytes than the origin has, and no error.
-: the case cannot be made here.`
