package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/warmcache/warmcache/bench/result"
)

// number has three digits that count, of which three at most behind the point, and groups of thousands.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) {
		return "0"
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	text := strconv.FormatFloat(v, 'f', min(max(digits, 0), 3), 64)
	if strings.Contains(text, ".") || math.Abs(v) < 10_000 {
		return text
	}
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// meanings are the states that rows have, each with its meaning.
func meanings(rows []result.Row) (all []result.State) {
	for _, s := range result.States {
		for _, r := range rows {
			if r.State == s {
				all = append(all, s)
				break
			}
		}
	}
	return all
}

// hostName is the name of a host as its makers write it.
func hostName(host string) string {
	switch host {
	case "lambda":
		return "Lambda"
	case "openwhisk":
		return "OpenWhisk"
	}
	return host
}

// exact has all digits that it was given with.
func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
