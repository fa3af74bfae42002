// Command faults damages the disk caches of Go libraries in the ways in which
// disks, crashes and neighbours do, and looks at what they then hand out.
//
//	go run ./bench/peers/faults
//	go run ./bench/peers/faults -json FILE
//
// Every library is used as its documentation shows, as a read-through cache of
// one origin. The cases are the same for all, and all are real: files are changed
// on disk, processes killed, file systems full.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/warmcache/warmcache/internal/conditions"
)

func main() {
	serveIfChild()
	file := flag.String("json", "", "write the results to this `file` as well")
	flag.Parse()
	if err := run(*file); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// results is all that a run found.
type results struct {
	Conditions conditions.Conditions `json:"conditions"`
	Object     int                   `json:"object_bytes"`
	Cells      []cell                `json:"cells"`
}

// cell is what came of a case in a library.
type cell struct {
	Case    string  `json:"case"`
	Library string  `json:"library"`
	Outcome outcome `json:"outcome"`
	Note    string  `json:"note,omitempty"`
}

func run(file string) error {
	dir, err := os.MkdirTemp("", "warmcache-faults-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	set := fmt.Sprintf("objects of %d bytes", objectSize)
	r := results{
		Conditions: conditions.Here("go run ./bench/peers/faults", os.Args[1:], set, "diskv", "httpcache", "fscache", "go-internal"),
		Object:     objectSize,
	}
	for _, c := range cases() {
		for _, p := range peers() {
			o, note := try(dir, c, p)
			r.Cells = append(r.Cells, cell{c.name, p.name, o, note})
		}
	}
	if err := r.print(); err != nil || file == "" {
		return err
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

func (r results) print() error {
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, %s, %s\n\n", r.Conditions.Go, r.Conditions.Platform, r.Conditions.Set)
	fmt.Fprint(t, "case")
	for _, p := range peers() {
		fmt.Fprintf(t, "\t%s", p.name)
	}
	fmt.Fprintln(t)
	for _, c := range cases() {
		fmt.Fprint(t, c.name)
		for _, x := range r.Cells {
			if x.Case == c.name {
				fmt.Fprintf(t, "\t%s", x.Outcome)
			}
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "\nhit: the right bytes, from the copy. fetched: the right bytes, from the origin. error: no bytes.\nstale: the bytes of the version before.")
	fmt.Fprintln(t, "hangs: no answer within 10 s. WRONG: other bytes than the origin has, and no error. -: cannot be made here.")
	for _, p := range peers() {
		fmt.Fprintf(t, "%s\t%s\n", p.name, p.note)
	}
	return t.Flush()
}
