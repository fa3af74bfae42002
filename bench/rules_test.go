package main

import (
	"strings"
	"testing"
)

func rulesSubject(t *testing.T, dir string, o *origins) subject {
	v := newValve(t, strings.TrimPrefix(o.Gate.URL(), "http://"))
	if err := putRules(t.Context(), example{}, o); err != nil {
		t.Fatal(err)
	}
	return subject{
		binary: buildExample(t, "rules"),
		env:    append(o.S3.Env("http://"+v.addr()), "S3_PATH_STYLE=1", "RULES_BUCKET="+rulesBucket, "RULES_KEY="+rulesKey),
		slow:   v,
		events: []string{rulesEvent(1), rulesEvent(9), `{"cart":[{"article":"none","quantity":1,"cents":5}]}`, `{"cart":[]}`},
	}
}
