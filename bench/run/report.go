package run

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/internal/conditions"
)

// shown bounds the lists of answers and of errors.
const shown = 5

// report prints and writes the measurements. It returns an error if the function failed.
func (r *run) report(out io.Writer) error {
	file := result.NewFile(conditions.Here("go run ./bench run", r.public, r.settings.String()), r.Rows())
	if err := file.WriteTable(out); err != nil {
		return err
	}
	fmt.Fprint(out, "\nTimes are from the call to its answer.\n")
	r.writeFindings(out)
	return errors.Join(file.Write(r.json), r.verdict(file.Rows))
}

func (r *run) writeFindings(out io.Writer) {
	if r.why != "" {
		fmt.Fprintf(out, "\nThe run ended early, %s.\n", r.why)
	}
	if r.uncaught {
		fmt.Fprint(out, "\nNot every time-out came in the middle of an invocation: the function is too quick.\n")
	}
	if !findsOrphans {
		fmt.Fprint(out, "\nProcesses that the function started in groups of their own may be left: only Linux can find them.\n")
	}
	if len(r.seen) > 0 {
		fmt.Fprint(out, "\nThe first answer to each event (-v shows all answers):\n")
	}
	for i, s := range r.seen {
		if i == shown {
			fmt.Fprintf(out, "  and to %s more\n", count(len(r.seen)-i, "event"))
			break
		}
		fmt.Fprintf(out, "  %.200s\n    -> %.500s\n", s[0], r.redact(s[1]))
	}
	if len(r.failures) > 0 {
		fmt.Fprint(out, "\nErrors of the function:\n")
	}
	for i, message := range slices.Sorted(maps.Keys(r.failures)) {
		if i == shown*2 {
			fmt.Fprintf(out, "  and %d more kinds\n", len(r.failures)-i)
			break
		}
		fmt.Fprintf(out, "  %5d  %.400s\n", r.failures[message], r.redact(message))
	}
}

// verdict returns an error if the function failed in a state, or its answers differ.
func (r *run) verdict(rows result.Rows) error {
	var errs []error
	for _, row := range rows {
		if row.N == 0 {
			errs = append(errs, fmt.Errorf("run: no invocation of the state %s succeeded", row.State))
		}
	}
	if r.differ > 0 {
		errs = append(errs, fmt.Errorf("run: %s differed from the first answer to the same event: "+
			"use -varies if answers may vary; else the function keeps data that it must not keep", count(r.differ, "answer")))
	}
	return errors.Join(errs...)
}

// failure is the function's error, with the last output of a process that did not
// start. It omits the id of the request, which would make all errors different.
func (r *run) failure(res host.Result) string {
	text := strings.ReplaceAll(res.FunctionError.Error(), "RequestId: "+res.RequestID+" Error: ", "")
	if !res.InitFailed {
		return text
	}
	return "the start failed: " + text + ending(res.Output)
}

func ending(output string) string {
	if output == "" {
		return ""
	}
	return "; its output ends with:\n" + output
}

// secretMin is the length of the shortest value that redact replaces: shorter ones are
// not secrets, and occur in many texts.
const secretMin = 6

// redact replaces the values of the function's variables, and the passwords in them,
// by the names of the variables.
func (s *settings) redact(text string) string {
	variables := slices.Clone(s.databases)
	for _, v := range s.env {
		name, value, _ := strings.Cut(v, "=")
		variables = append(variables, [2]string{name, value})
	}
	for _, v := range variables {
		values := []string{v[1]}
		if u, err := url.Parse(v[1]); err == nil {
			user := cmp.Or(u.User, new(url.Userinfo))
			password, _ := user.Password()
			_, escaped, _ := strings.Cut(user.String(), ":")
			values = append(values, password, escaped, u.Query().Get("password"))
		}
		for _, value := range values {
			if len(value) >= secretMin {
				text = strings.ReplaceAll(text, value, "$"+v[0])
			}
		}
	}
	return text
}

// String describes the conditions of the measurement.
func (s settings) String() string {
	text := fmt.Sprintf("%s, %d warm in each; %s; time-out %v", count(s.rounds, "round"), s.warm, count(len(s.events), "event"), s.timeout)
	if s.concurrency > 1 {
		text += fmt.Sprintf("; %d at once", s.concurrency)
	}
	if len(s.buckets) > 0 {
		text += fmt.Sprintf("; S3 %v to the first byte and %.0f MB/s per connection", s.FirstByte, float64(s.Bandwidth)/1e6)
	}
	if len(s.databases) > 0 {
		text += fmt.Sprintf("; database %v per round trip", s.Database)
	}
	return text
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
