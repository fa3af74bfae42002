package main

import (
	"context"
	"fmt"

	"github.com/warmcache/warmcache/examples/rules/ruleset"
)

const (
	rulesBucket = "settings"
	rulesKey    = "rules.json"
	rulesCount  = 20_000 // 1 MB of JSON
)

var rulesExample = example{name: "rules", env: rulesEnv, event: rulesEvent, prepare: putRules}

func rulesEnv(o *origins) []string {
	return append(o.s3Env(), "RULES_BUCKET="+rulesBucket, "RULES_KEY="+rulesKey)
}

func rulesEvent(round int) string {
	return fmt.Sprintf(`{"cart":[{"article":"A%05d-blue","quantity":%d,"cents":1999}]}`, round*7919%rulesCount, 1+round%10)
}

func putRules(ctx context.Context, _ example, o *origins) error {
	if err := o.s3.CreateBucket(ctx, rulesBucket); err != nil {
		return err
	}
	return o.s3.Put(ctx, rulesBucket, rulesKey, ruleset.Make(rulesCount, "1"))
}
