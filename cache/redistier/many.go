package redistier

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock"
)

// part is the state of one name in a batch.
type part struct {
	breaker    *breaker
	generation uint64
	ok         bool // the breaker allows the call
	command    redis.Cmder
	err        error // set if no command was sent
}

// pipeline sends one command for each name whose breaker allows it, in one round
// trip. Then it calls done with the index of each. In a cluster some commands may
// fail while others succeed; pipeline then returns one of the errors.
//
// It uses a pipeline for each node, because the pipeline of a ClusterClient gives the
// error of one node to the commands of all.
func (t *Tier) pipeline(ctx context.Context, allow allowFunc, names []string, add func(p redis.Pipeliner, i int) redis.Cmder, done func(i int) error) (err error) {
	if err := t.clock.Err(ctx); err != nil {
		return withoutSecrets(err)
	}
	parts, connected := t.allowed(allow, names)
	ctx, cancel := t.timed(ctx, len(names), connected)
	defer cancel()
	pipes := map[*redis.Client]redis.Pipeliner{}
	for i := range parts {
		if parts[i].ok {
			parts[i].command, parts[i].err = t.queue(ctx, pipes, names[i], i, add)
		}
	}
	send(ctx, pipes)
	t.follow(ctx, parts)
	for i, p := range parts {
		if !p.ok {
			if err == nil {
				err = ErrOpen
			}
			continue
		}
		if p.err == nil {
			p.err = done(i)
		}
		t.note(ctx, p.breaker, p.generation, p.err)
		if p.err != nil {
			err = p.err
		}
	}
	if err == ErrOpen {
		return err
	}
	return t.fault(err)
}

// An allowFunc is breaker.allow, or a function that allows more.
type allowFunc func(b *breaker, now clock.Instant) (generation uint64, ok bool)

// always allows a call whether or not the breaker is open.
func always(b *breaker, _ clock.Instant) (uint64, bool) { return b.current(), true }

// allowed calls allow once for each breaker of names. Connected reports whether none of
// the allowed calls needs time to connect.
func (t *Tier) allowed(allow allowFunc, names []string) (parts []part, connected bool) {
	parts, connected = make([]part, len(names)), true
	seen, now := map[*breaker]part{}, t.clock.Now()
	for i, name := range names {
		p, ok := seen[t.breaker(name)]
		if !ok {
			p.breaker = t.breaker(name)
			connected = p.breaker.connected(now) && connected
			p.generation, p.ok = allow(p.breaker, now)
			seen[p.breaker] = p
		}
		if !p.ok {
			t.stats.skipped.Add(1)
		}
		parts[i] = p
	}
	return parts, connected
}

// queue adds a command to the pipeline of the name's node.
func (t *Tier) queue(ctx context.Context, pipes map[*redis.Client]redis.Pipeliner, name string, i int, add func(p redis.Pipeliner, i int) redis.Cmder) (redis.Cmder, error) {
	node, err := t.node(ctx, name)
	if err != nil {
		return nil, err
	}
	if pipes[node] == nil {
		pipes[node] = node.Pipeline()
	}
	return add(pipes[node], i), nil
}

func (t *Tier) node(ctx context.Context, name string) (*redis.Client, error) {
	if c, ok := t.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, t.record(name))
	}
	return t.client.(*redis.Client), nil
}

// send sends all pipelines concurrently and waits for the replies. Each command has its
// own error.
func send(ctx context.Context, pipes map[*redis.Client]redis.Pipeliner) {
	var wg sync.WaitGroup
	for _, p := range pipes {
		if len(pipes) == 1 {
			p.Exec(ctx)
			return
		}
		wg.Go(func() { p.Exec(ctx) })
	}
	wg.Wait()
}

// follow sends the commands again, one by one, that the server redirects to another node.
func (t *Tier) follow(ctx context.Context, parts []part) {
	for _, p := range parts {
		if p.command == nil || p.command.Err() == nil {
			continue // the usual case; HasErrorPrefix would allocate
		}
		if err := p.command.Err(); redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK ") {
			p.command.SetErr(nil)
			t.client.Process(ctx, p.command)
		}
	}
}

// GetMany implements [cache.BatchTier]. It waits for other processes' loads only if it
// got no lease at all: two processes that wait for each other's leases would wait in
// vain.
func (t *Tier) GetMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (leases []string, err error) {
	leases = make([]string, len(names))
	rest, err := t.getMany(ctx, names, use)
	for w := t.newWait(ctx); len(rest) > 0; w.sleep(ctx) {
		granted, e := t.leaseMany(ctx, &rest, w.over(), leases, use)
		if e != nil {
			err = e
		}
		if e != nil || granted {
			break
		}
	}
	return leases, err
}

// missed is a name in a batch for which no record was accepted yet.
type missed struct {
	leaseRequest
	i int // its index in the batch
}

// getMany reads the records and returns the names for which use accepted none.
func (t *Tier) getMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (rest []missed, err error) {
	commands := make([]*redis.StringCmd, len(names))
	err = t.pipeline(ctx, (*breaker).allow, names, func(p redis.Pipeliner, i int) redis.Cmder {
		commands[i] = p.Get(ctx, t.record(names[i]))
		return commands[i]
	}, func(i int) error {
		record, err := found(commands[i])
		if err == nil && (record == nil || !use(i, record)) {
			rest = append(rest, missed{leaseRequest{names[i], newNonce(), record}, i})
		}
		return err
	})
	return rest, err
}

// leaseMany requests leases for rest, and leaves in it the names that got neither a lease
// nor a record that use accepted.
func (t *Tier) leaseMany(ctx context.Context, rest *[]missed, anyway bool, leases []string, use func(i int, record []byte) bool) (granted bool, err error) {
	requests := *rest
	*rest = nil
	commands, names := make([]*redis.Cmd, len(requests)), make([]string, len(requests))
	for j, m := range requests {
		names[j] = m.name
	}
	err = t.pipeline(ctx, (*breaker).allow, names, func(p redis.Pipeliner, j int) redis.Cmder {
		commands[j] = t.requestLease(ctx, p, requests[j].leaseRequest, anyway)
		return commands[j]
	}, func(j int) error {
		m := requests[j]
		record, lease, err := m.reply(commands[j])
		switch {
		case err != nil || record != nil && use(m.i, record):
			return err
		case lease != "":
			t.stats.leases.Add(1)
			leases[m.i], granted = lease, true
			return nil
		case record != nil:
			m.seen = record
		}
		*rest = append(*rest, m)
		return nil
	})
	return granted, err
}

// DeleteMany implements [cache.BatchTier]. Like [Tier.Delete], it calls the server even
// while the breaker is open.
func (t *Tier) DeleteMany(ctx context.Context, names []string) error {
	commands := make([]*redis.IntCmd, len(names))
	return t.pipeline(ctx, always, names, func(p redis.Pipeliner, i int) redis.Cmder {
		commands[i] = p.Del(ctx, t.keys(names[i])...)
		return commands[i]
	}, func(i int) error { return commands[i].Err() })
}

// SetMany implements [cache.BatchTier].
func (t *Tier) SetMany(ctx context.Context, records []cache.TierRecord) error {
	commands, names := make([]*redis.Cmd, len(records)), make([]string, len(records))
	for i, r := range records {
		names[i] = r.Name
	}
	return t.pipeline(ctx, (*breaker).allow, names, func(p redis.Pipeliner, i int) redis.Cmder {
		commands[i] = t.set(ctx, p, records[i])
		return commands[i]
	}, func(i int) error { return commands[i].Err() })
}
