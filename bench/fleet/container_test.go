package fleet

import (
	"testing"
	"time"
)

// Idle containers are reclaimed after the configured times: a request every 379 s
// finds the container, every 381 s half of the time, and every 601 s never.
func TestReclaimed(t *testing.T) {
	for _, tt := range []struct {
		every      time.Duration
		least, max int64 // of the starts, for 1000 requests
	}{
		{379 * time.Second, 1, 1},
		{381 * time.Second, 450, 550},
		{599 * time.Second, 450, 550},
		{601 * time.Second, 1000, 1000},
	} {
		for _, routing := range []string{MostRecent, Spread} {
			c := small()
			c.Routing = routing
			c.IdleHalf, c.IdleMax = 380*time.Second, 600*time.Second
			c.Handler, c.Database = Latency{}, Latency{}
			c.Rate = 1 / tt.every.Seconds()
			c.For = 1000*tt.every - tt.every/2
			r := run(t, c, "plain")
			if r.Requests != 1000 || r.Started < tt.least || r.Started > tt.max || r.PeakAlive != 1 {
				t.Errorf("%s, every %v: %d containers for %d requests, %d at once; want %d to %d", routing, tt.every, r.Started, r.Requests, r.PeakAlive, tt.least, tt.max)
			}
		}
	}
}

func TestLifetimes(t *testing.T) {
	c := small()
	c.TTL = c.For // one load for each container
	for name, tt := range map[string]struct {
		set        func()
		least, max int64
	}{
		"for ever":   {func() {}, 1, 1},
		"maximum":    {func() { c.LifeMax = 10 * time.Minute }, 6, 6},
		"mean":       {func() { c.LifeMean = time.Minute }, 40, 80},
		"deployment": {func() { c.DeployAt = time.Minute }, 2, 2},
	} {
		c.LifeMax, c.LifeMean, c.DeployAt = 0, 0, 0
		tt.set()
		r := run(t, c, "plain")
		if r.Started < tt.least || r.Started > tt.max || r.Loads != r.Started {
			t.Errorf("%s: %d containers and %d loads in an hour, want %d to %d", name, r.Started, r.Loads, tt.least, tt.max)
		}
	}
}

// A container handles one request at a time; a request is throttled if all are busy.
func TestBusyContainers(t *testing.T) {
	c := small()
	c.For = 100 * time.Second
	c.Handler = Latency{3500 * time.Millisecond, 3500 * time.Millisecond}
	for _, routing := range []string{MostRecent, Spread} {
		c.Routing = routing
		c.Containers = 10
		if r := run(t, c, "plain"); r.Throttled != 0 || r.PeakBusy != 4 {
			t.Errorf("%s: %d throttled, %d busy; want 4 busy", routing, r.Throttled, r.PeakBusy)
		}
		c.Containers = 2
		if r := run(t, c, "plain"); r.Throttled != 50 || r.Requests != 50 || r.PeakBusy != 2 {
			t.Errorf("%s: %d throttled, %d handled, %d busy; want every other one throttled", routing, r.Throttled, r.Requests, r.PeakBusy)
		}
	}
}

// The most recently used container is chosen, so that few stay alive.
func TestMostRecent(t *testing.T) {
	c := small()
	c.Containers, c.Rate = 100, 10
	c.Handler = Latency{150 * time.Millisecond, 150 * time.Millisecond}
	if r := run(t, c, "plain"); r.Started != 2 {
		t.Errorf("%d containers where two suffice", r.Started)
	}
	c.Routing = Spread
	if r := run(t, c, "plain"); r.Started != 100 {
		t.Errorf("%d containers; all 100 should have had a request", r.Started)
	}
}

// A container may be reclaimed before others that are idle for longer.
func TestRecentLeavesOutTheDead(t *testing.T) {
	c := small()
	c.Containers = 2
	s := newSimulation(&c, Variant{})
	p := s.pool.(*recent)
	old, _ := p.take(0)
	young, _ := p.take(0)
	old.end(1)
	p.put(old)
	young.end(2)
	young.reclaimed = 3
	p.put(young)
	if got, started := p.take(4); got != old || started {
		t.Error("the one that is alive was not taken")
	}
	if got, started := p.take(4); got == nil || !started {
		t.Error("the dead one counts as alive")
	}
	if got, _ := p.take(4); got != nil {
		t.Error("there are more than Containers")
	}
}
