//go:build unix

package redistier

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
)

// A client sends a command again when its connection breaks. The network has delayed
// the first one. If it arrives after a Delete, it must not restore the epoch that the
// Delete has ended.
func TestCommandThatArrivesLate(t *testing.T) {
	client := startServer(t).client()
	tier := newTier(t, patient(client))
	q := leaseRequest{name: "n", nonce: newNonce()}
	command := tier.requestLease(background, client, q, false)
	_, lease, err := q.reply(command)
	if lease == "" || err != nil {
		t.Fatal(lease, err)
	}
	if err := tier.Delete(background, "n"); err != nil {
		t.Fatal(err)
	}
	if err := client.Process(background, command); err != nil {
		t.Fatal(err)
	}
	if err := tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte("old"), TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if record, err := found(client.Get(background, tier.record("n"))); record != nil || err != nil {
		t.Errorf("%q was restored, %v", record, err)
	}
}

// A command that is sent twice, since the first answer was lost, gets the same answer.
func TestCommandIsSentTwice(t *testing.T) {
	client := startServer(t).client()
	tier := newTier(t, patient(client))
	q := leaseRequest{name: "n", nonce: newNonce()}
	command := tier.requestLease(background, client, q, false)
	first := command.Val()
	if err := client.Process(background, command); err != nil {
		t.Fatal(err)
	}
	_, lease, err := q.reply(command)
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

// A call without time left does not count as a failure of the server.
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

// Neither does a call whose caller leaves.
func TestCallerThatGivesUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	go func() {
		conn, err := silent.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		conn.Read(make([]byte, 1))
		cancel() // in the middle of the call
		io.Copy(io.Discard, conn)
	}()
	client := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{silent.Addr().String()}, ReadTimeout: 5 * time.Second}))
	tier := newTier(t, Options{Client: client, Timeout: 5 * time.Second, ConnectTimeout: 5 * time.Second})
	if _, err := tier.Get(ctx, "n", nil); err == nil {
		t.Error("no error")
	}
	if ctx.Err() == nil {
		t.Fatal("the server was not called")
	}
	if b := tier.breaker("n"); b.failures != 0 {
		t.Error("the breaker is open")
	}
}

// record returns a record that only the Tier understands.
func record(name, lease string) cache.TierRecord {
	return cache.TierRecord{Name: name, Lease: lease, Record: []byte("record"), TTL: time.Hour}
}
