package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/bench/host"
)

// These events read data that was written before, so that every answer is the same
// each time.
func init() {
	subjects["session"] = sessionSubject
	subjects["dbjson"] = dbjsonSubject
	subjects["thumbnail"] = thumbnailSubject
}

// sessionSubject reads sessions of two tenants, and tries to read each as the other
// tenant.
func sessionSubject(t *testing.T, dir string, o *origins) subject {
	v := newValve(t, o.latencyProxy)
	s := subject{
		binary: buildExample(t, "session"),
		env:    []string{"SESSION_DB=" + filepath.Join(dir, "sessions.db"), "ORIGIN_TOLL=" + v.addr()},
		slow:   v,
	}
	env := newEnvironment(t, s.lambda())
	ids := map[string]string{}
	for _, tenant := range []string{"blue", "green"} {
		var out struct{ Session string }
		if err := json.Unmarshal(invoke(t, env, fmt.Sprintf(`{"tenant":%q,"do":"login","user":"ann of %s"}`, tenant, tenant)), &out); err != nil {
			t.Fatal(err)
		}
		ids[tenant] = out.Session
		invoke(t, env, fmt.Sprintf(`{"tenant":%q,"do":"update","session":%q,"item":"lamp","quantity":%d}`, tenant, out.Session, len(tenant)))
	}
	for _, e := range [][2]string{{"blue", "blue"}, {"green", "green"}, {"green", "blue"}, {"blue", "green"}, {"blue", "blue"}} {
		s.events = append(s.events, fmt.Sprintf(`{"tenant":%q,"do":"request","session":%q}`, e[0], ids[e[1]]))
	}
	s.events = append(s.events, `{"tenant":"blue","do":"request"}`)
	return s
}

// dbjsonSubject repeats votes, which changes nothing, and reads results.
func dbjsonSubject(t *testing.T, dir string, o *origins) subject {
	v := newValve(t, o.latencyProxy)
	s := subject{
		binary: buildExample(t, "dbjson"),
		env:    []string{"VOTES_DB=" + filepath.Join(dir, "votes.db"), "ORIGIN_TOLL=" + v.addr()},
		slow:   v,
		events: []string{
			`{"tenant":"blue","do":"result"}`,
			`{"tenant":"blue","do":"vote","voter":"ann","choice":"lamp"}`,
			`{"tenant":"green","do":"vote","voter":"ann","choice":"chair"}`,
			`{"tenant":"green","do":"result"}`,
			`{"tenant":"blue","do":"vote","voter":"bob","choice":"lamp"}`,
			`{"tenant":"blue","do":"result"}`,
			`{"tenant":"red","do":"result"}`,
			`{"tenant":"blue","do":"lose"}`,
		},
	}
	env := newEnvironment(t, s.lambda())
	for _, event := range s.events {
		if strings.Contains(event, `"vote"`) {
			invoke(t, env, event)
		}
	}
	return s
}

// thumbnailSubject has pictures of two tenants under the same name.
func thumbnailSubject(t *testing.T, dir string, o *origins) subject {
	if err := o.S3.CreateBucket(t.Context(), "pictures"); err != nil {
		t.Fatal(err)
	}
	for key, body := range map[string][]byte{
		"images/blue/cat.png":  drawn(t, 300, 200),
		"images/green/cat.png": drawn(t, 100, 200),
		"images/green/text":    []byte("no image"),
	} {
		if err := o.S3.Put(t.Context(), "pictures", key, body); err != nil {
			t.Fatal(err)
		}
	}
	v := newValve(t, strings.TrimPrefix(o.Gate.URL(), "http://"))
	return subject{
		binary: buildExample(t, "thumbnail"),
		env:    append(o.S3.Env("http://"+v.addr()), "S3_PATH_STYLE=1", "THUMBNAIL_BUCKET=pictures"),
		slow:   v,
		events: []string{
			`{"tenant":"blue","name":"cat.png","size":50}`,
			`{"tenant":"green","name":"cat.png","size":50}`,
			`{"tenant":"blue","name":"cat.png","size":20}`,
			`{"tenant":"green","name":"text","size":50}`,
			`{"tenant":"blue","name":"../green/cat.png","size":50}`,
		},
	}
}

// A session in two containers, one on each host: a logout takes effect at once in
// its own container and in every database query.
func TestSessionOnBothHosts(t *testing.T) {
	needsUnix(t)
	dir := t.TempDir()
	s := subject{binary: buildExample(t, "session"), env: []string{"SESSION_DB=" + filepath.Join(dir, "sessions.db")}}
	both := s.sandboxes(t)
	lambda, openWhisk := both["lambda"], both["openwhisk"]
	ask := func(sandbox host.Sandbox, event string, want string) {
		t.Helper()
		if got, _ := answer(t, sandbox, event); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", event, got, want)
		}
	}
	first, _ := answer(t, lambda, `{"tenant":"blue","do":"login","user":"ann"}`)
	var out struct{ Session string }
	if err := json.Unmarshal([]byte(first), &out); err != nil {
		t.Fatal(err)
	}
	event := func(do string) string {
		return fmt.Sprintf(`{"tenant":"blue","do":%q,"session":%q,"item":"lamp","quantity":2}`, do, out.Session)
	}
	ask(openWhisk, event("request"), `"user":"ann"`)
	ask(openWhisk, event("update"), `"basket":{"lamp":2}`)
	ask(lambda, event("request"), `"basket":{"lamp":2}`)
	ask(lambda, event("logout"), `{"tenant":"blue"}`)
	ask(lambda, event("request"), "there is no such session")
	ask(openWhisk, event("update"), "there is no such session") // it queries the database
	ask(openWhisk, event("request"), "there is no such session")
}
