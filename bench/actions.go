package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/examples/model/table"
)

// example is an action to measure.
type example struct {
	name   string
	binary string
	env    func(*origins) []string
	event  func(round int) string
	counts func(*origins) origin.Counts // what its origin was asked so far
}

const (
	tenants  = 4
	products = 500

	modelBucket  = "models"
	modelKey     = "prices-eu.bin"
	modelRecords = 12 << 20 / table.RecordSize // 12 MiB
)

// build builds the example actions into dir. They are a module of their own, and
// so are they built.
func build(ctx context.Context, dir string) ([]example, error) {
	source, err := examplesDir()
	if err != nil {
		return nil, err
	}
	examples := []example{
		{name: "catalog", env: catalogEnv, event: catalogEvent, counts: func(o *origins) origin.Counts { return o.toll.Counts() }},
		{name: "model", env: modelEnv, event: modelEvent, counts: func(o *origins) origin.Counts { return o.gate.Counts() }},
	}
	for i, e := range examples {
		examples[i].binary = filepath.Join(dir, e.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", examples[i].binary, "./"+e.name)
		cmd.Dir = source
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", e.name, err, out)
		}
	}
	return examples, nil
}

// examplesDir finds the examples from anywhere within the repository.
func examplesDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		examples := filepath.Join(dir, "examples")
		if _, err := os.Stat(filepath.Join(examples, "go.mod")); err == nil {
			return examples, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("the examples are not here: run it in a checkout of the repository")
		}
		dir = filepath.Dir(dir)
	}
}

func catalogEnv(o *origins) []string {
	return []string{"CATALOG_DB=" + o.database, "ORIGIN_TOLL=" + o.toll.Addr()}
}

func catalogEvent(round int) string {
	return fmt.Sprintf(`{"tenant":%q,"sku":%q,"quantity":%d}`,
		origin.Tenant(1+round%tenants), origin.SKU(1+round*37%products), 1+round%5)
}

func modelEnv(o *origins) []string {
	return append(o.s3.Env(o.gate.URL()), "S3_PATH_STYLE=1", "MODEL_BUCKET="+modelBucket, "MODEL_KEY="+modelKey)
}

func modelEvent(round int) string {
	first := round * 7919 % modelRecords
	missing := table.ID(first) + 1
	return fmt.Sprintf(`{"ids":[%d,%d,%d]}`, table.ID(first), table.ID(modelRecords-1-first), missing)
}
