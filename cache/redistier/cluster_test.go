//go:build unix

package redistier

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
)

// startCluster starts a cluster of three masters, without replicas.
func startCluster(t *testing.T) (nodes []*server, client func() redis.UniversalClient) {
	t.Helper()
	var addrs []string
	for i := range 3 {
		bus := freePort(t)
		s := startServer(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "60000",
			"--cluster-require-full-coverage", "no", "--cluster-config-file", fmt.Sprintf("nodes%d.conf", i))
		nodes, addrs = append(nodes, s), append(addrs, s.addr)
		s.do("CLUSTER", "ADDSLOTSRANGE", i*slots/3, (i+1)*slots/3-1)
		s.do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i > 0 {
			host, port, _ := net.SplitHostPort(s.addr)
			nodes[0].do("CLUSTER", "MEET", host, port, bus)
		}
	}
	for _, s := range nodes {
		waitFor(t, "the cluster to be one", func() bool {
			info := s.do("CLUSTER", "INFO").(string)
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384")
		})
	}
	return nodes, func() redis.UniversalClient { return closed(t, Connect(patientClient(addrs...))) }
}

func TestCluster(t *testing.T) {
	nodes, client := startCluster(t)
	o := &origin{}
	keys := make([]string, 60)
	for i := range keys {
		keys[i] = fmt.Sprintf("key {%d", i)
	}
	want := make([]string, len(keys))
	for _, c := range []*cache.Cache[string, string]{
		newCache(t, newTier(t, patient(client())), o), newCache(t, newTier(t, patient(client())), o),
	} {
		results, err := c.GetMany(background, keys[:30])
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range results {
			want[i] = fmt.Sprintf("%s v%d", keys[i], i+1)
			if r.Value != want[i] {
				t.Errorf("GetMany: %q; want %q", r.Value, want[i])
			}
		}
		for i := 30; i < len(keys); i++ {
			want[i] = fmt.Sprintf("%s v%d", keys[i], i+1)
			wantGet(t, c, keys[i], want[i])
		}
		if s := c.Stats(); s.TierErrors != 0 {
			t.Errorf("Stats = %+v", s)
		}
	}
	for i, s := range nodes {
		if n := s.do("DBSIZE").(int64); n < 5 {
			t.Errorf("node %d has %d records", i, n)
		}
	}

	nodes[1].stop()
	onNode1 := func(key string) bool {
		slot := int(slotOf("test/1:" + key))
		return slots/3 <= slot && slot < 2*slots/3
	}
	impatient := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{nodes[0].addr, nodes[1].addr, nodes[2].addr}}))
	tier := newTier(t, Options{Client: impatient, Timeout: 100 * time.Millisecond, ConnectTimeout: 2 * time.Second, Wait: -1})
	hits, many := newCache(t, tier, o), newCache(t, tier, o)
	stopped := slices.IndexFunc(keys, onNode1)
	for i, key := range keys { // first calls to each node, for the breakers
		if i == stopped || !onNode1(key) {
			hits.Get(background, key)
		}
	}
	lost := 0
	results, err := many.GetMany(background, keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		switch {
		case onNode1(keys[i]):
			lost++
			if !strings.HasPrefix(r.Value, keys[i]+" v") {
				t.Errorf("GetMany: %q", r.Value)
			}
		case r.Value != want[i]:
			t.Errorf("%q is not of the stopped node, and was loaded: %q", keys[i], r.Value)
		}
	}
	if s := many.Stats(); lost < 5 || s.TierHits != int64(len(keys)-lost) || s.TierErrors == 0 {
		t.Errorf("Stats = %+v; %d are lost", s, lost)
	}
	if err := many.Invalidate(background, keys[stopped]); err == nil {
		t.Error("Invalidate on the stopped node says that it has")
	}
	if err := many.InvalidateMany(background, keys); err == nil {
		t.Error("InvalidateMany returns nil although a node is stopped")
	}
	for i, name := range keys { // it has done the rest
		if !onNode1(name) {
			wantGet(t, newCache(t, newTier(t, patient(impatient)), o), keys[i], fmt.Sprintf("%s v%d", keys[i], o.loads.Load()+1))
			break
		}
	}
	nodes[1].cont()
	waitFor(t, "the node to be well again", func() bool { return many.Invalidate(background, keys[stopped]) == nil })
	wantGet(t, newCache(t, newTier(t, patient(client())), o), keys[stopped], fmt.Sprintf("%s v%d", keys[stopped], o.loads.Load()+1))
}

// Slots move to another node during a batch.
func TestMovedSlots(t *testing.T) {
	nodes, client := startCluster(t)
	o := &origin{}
	tier := newTier(t, patient(client()))
	c := newCache(t, tier, o)
	if _, err := c.GetMany(background, []string{"1", "2", "3"}); err != nil { // the client knows the slots now
		t.Fatal(err)
	}
	to := nodes[0]
	if slot := int(slotOf("test/1:k")); slot < slots/3 {
		to = nodes[1]
	}
	id := to.do("CLUSTER", "MYID")
	for _, s := range nodes {
		s.do("CLUSTER", "SETSLOT", int(slotOf("test/1:k")), "NODE", id)
	}
	if r, err := c.GetMany(background, []string{"k", "1"}); err != nil || r[0].Value != "k v4" {
		t.Errorf("GetMany = %v, %v", r, err)
	}
	if s := c.Stats(); s.TierErrors != 0 || tier.Stats().Last != nil {
		t.Errorf("Stats = %+v, %+v", s, tier.Stats())
	}
	if n := to.do("EXISTS", "warmcache:{test/1:k}"); n != int64(1) {
		t.Errorf("%v records at the new node", n)
	}
}
