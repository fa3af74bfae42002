//go:build unix

package redistier

import (
	"context"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A client sends a question again when its connection breaks. The first one, which the
// network has held back, must not give back to a load what a Delete took from it.
func TestQuestionThatArrivesLate(t *testing.T) {
	client := startServer(t).client()
	tier := newTier(t, patient(client))
	q := question{name: "n", nonce: newNonce()}
	asked := tier.ask(background, client, q, false)
	_, lease, err := q.answer(asked)
	if lease == "" || err != nil {
		t.Fatal(lease, err)
	}
	if err := tier.Delete(background, "n"); err != nil {
		t.Fatal(err)
	}
	if err := client.Process(background, asked); err != nil {
		t.Fatal(err)
	}
	if err := tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte("old"), TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if record, err := found(client.Get(background, tier.record("n"))); record != nil || err != nil {
		t.Errorf("%q was brought back, %v", record, err)
	}
}

// A question that is asked twice, since the first answer was lost, is answered alike.
func TestQuestionIsAskedTwice(t *testing.T) {
	client := startServer(t).client()
	tier := newTier(t, patient(client))
	q := question{name: "n", nonce: newNonce()}
	asked := tier.ask(background, client, q, false)
	first := asked.Val()
	if err := client.Process(background, asked); err != nil {
		t.Fatal(err)
	}
	_, lease, err := q.answer(asked)
	if lease == "" || err != nil || len(first.([]any)) != 2 {
		t.Fatal(first, lease, err)
	}
	if err := tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte("new"), TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if record, err := found(client.Get(background, tier.record("n"))); string(record) != "new" || err != nil {
		t.Errorf("%q, %v", record, err)
	}
}

// A caller without time left tells nothing about the server.
func TestNoTimeLeft(t *testing.T) {
	tier := newTier(t, patient(startServer(t).client()))
	ctx, cancel := context.WithDeadline(background, time.Now().Add(-time.Second))
	defer cancel()
	if _, err := tier.Get(ctx, "n", nil); err == nil {
		t.Error("Get: no error")
	}
	if _, err := tier.GetMany(ctx, []string{"n", "m"}, nil); err == nil {
		t.Error("GetMany: no error")
	}
	if err := tier.Delete(ctx, "n"); err == nil {
		t.Error("Delete: no error")
	}
	if lease, err := tier.Get(background, "n", nil); lease == "" || err != nil {
		t.Errorf("Get: %q, %v", lease, err)
	}
}
