// Package ruleset is a format for discounts: a JSON document with a list of rules.
package ruleset

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A Rule gives a discount on articles.
type Rule struct {
	Prefix   string `json:"prefix"` // of the article numbers
	Quantity int    `json:"quantity"`
	Percent  int64  `json:"percent"`
}

// A Set is a parsed document. It does not change after Parse, so callers can share
// it.
type Set struct {
	Release string `json:"release"`
	Rules   []Rule `json:"rules"`

	byPrefix map[string][]Rule
}

// Parse parses and validates a document. It rejects implausible rules: serving the
// last good document is better than computing a wrong price.
func Parse(r io.Reader) (*Set, error) {
	var s Set
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("ruleset: %w", err)
	}
	s.byPrefix = make(map[string][]Rule, len(s.Rules))
	for i, rule := range s.Rules {
		if rule.Prefix == "" || rule.Quantity < 1 || rule.Percent < 1 || rule.Percent > 90 {
			return nil, fmt.Errorf("ruleset: rule %d of release %s is invalid: %+v", i, s.Release, rule)
		}
		s.byPrefix[rule.Prefix] = append(s.byPrefix[rule.Prefix], rule)
	}
	return &s, nil
}

// Percent returns the largest discount for that quantity of an article.
func (s *Set) Percent(article string, quantity int) (percent int64) {
	for n := range len(article) + 1 {
		for _, rule := range s.byPrefix[article[:n]] {
			if quantity >= rule.Quantity {
				percent = max(percent, rule.Percent)
			}
		}
	}
	return percent
}

// Make returns a document with n rules, for tests and benchmarks.
func Make(n int, release string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"release":%q,"rules":[`, release)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n"+`{"prefix":"A%05d","quantity":%d,"percent":%d}`, i, 1+i%10, 1+i%50)
	}
	b.WriteString("]}")
	return []byte(b.String())
}
