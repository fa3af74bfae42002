package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// jsonFile is the naive ballot: a file db.json in /tmp, which each vote reads,
// changes and writes back. It is wrong; the tests show how it loses votes.
type jsonFile struct {
	path string

	// Hooks for a scheduler, another container or a time-out.
	read    func() // after the file was read
	emptied func() // after it was opened for writing, which truncates it
}

func newJSONFile(dir string) jsonFile {
	nothing := func() {}
	return jsonFile{filepath.Join(dir, "db.json"), nothing, nothing}
}

// rows are choices by tenant and voter.
type rows map[string]map[string]string

func (j jsonFile) load() (rows, error) {
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return rows{}, nil
	}
	if err != nil {
		return nil, err
	}
	var all rows
	return all, json.Unmarshal(b, &all)
}

func (j jsonFile) vote(_ context.Context, tenant, voter, choice string) error {
	all, err := j.load()
	if err != nil {
		return err
	}
	j.read()
	if all[tenant] == nil {
		all[tenant] = map[string]string{}
	}
	all[tenant][voter] = choice
	return j.save(all)
}

// save does the steps of os.WriteFile one by one, with a hook between.
func (j jsonFile) save(all rows) error {
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	f, err := os.Create(j.path)
	if err != nil {
		return err
	}
	j.emptied()
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func (j jsonFile) result(_ context.Context, tenant string) (map[string]int64, error) {
	all, err := j.load()
	votes := map[string]int64{}
	for _, choice := range all[tenant] {
		votes[choice]++
	}
	return votes, err
}

// Each container has its own /tmp and so its own votes. The next container starts
// with none.
func TestJSONFileOfTwoContainers(t *testing.T) {
	a, b := newContainer(newJSONFile(t.TempDir())), newContainer(newJSONFile(t.TempDir()))
	a.vote(t, "blue", "ann", "lamp")
	b.vote(t, "blue", "bob", "lamp")
	for name, c := range map[string]*container{"a": a, "b": b} {
		c.want(t, "container "+name, "blue", map[string]int64{"lamp": 1}) // the correct result is 2
	}
	newContainer(newJSONFile(t.TempDir())).want(t, "the next container", "blue", map[string]int64{})
}

// Two invocations in one process, as on Lambda Managed Instances. Both read before
// either writes.
func TestJSONFileOfTwoGoroutines(t *testing.T) {
	file := newJSONFile(t.TempDir())
	var bothHaveRead sync.WaitGroup
	bothHaveRead.Add(2)
	var write sync.Mutex
	file.read = func() {
		bothHaveRead.Done()
		bothHaveRead.Wait()
		write.Lock()
	}
	var votes sync.WaitGroup
	for _, voter := range []string{"ann", "bob"} {
		votes.Go(func() {
			if err := file.vote(t.Context(), "blue", voter, "lamp"); err != nil {
				t.Error(err)
			}
			write.Unlock()
		})
	}
	votes.Wait()
	newContainer(file).want(t, "after two votes", "blue", map[string]int64{"lamp": 1}) // the correct result is 2
}

// Two processes with one disk. A mutex would not help: each process would have its
// own.
func TestJSONFileOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	both := []*process{start(t, "json", dir, "ann"), start(t, "json", dir, "bob")}
	for _, p := range both {
		p.waitFor(t, "read")
	}
	for _, p := range both {
		p.goOn(t)
		p.waitFor(t, "emptied")
		p.goOn(t)
		p.finish(t)
	}
	newContainer(newJSONFile(dir)).want(t, "after two votes", "blue", map[string]int64{"lamp": 1}) // the correct result is 2
}

// A time-out kills the process while it writes. All earlier votes are lost too.
func TestJSONFileOfAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	newContainer(newJSONFile(dir)).vote(t, "blue", "ann", "lamp")
	p := start(t, "json", dir, "bob")
	p.waitFor(t, "read")
	p.goOn(t)
	p.waitFor(t, "emptied")
	p.kill(t)
	_, err := newContainer(newJSONFile(dir)).handle(t.Context(), In{Tenant: "blue", Do: "result"})
	if err == nil || !strings.Contains(err.Error(), "unexpected end of JSON input") {
		t.Errorf("error = %v", err)
	}
}
