package redistier

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
)

// part is what a batch has of one name.
type part struct {
	breaker *breaker
	state   uint64
	ok      bool // the breaker lets it
	command redis.Cmder
	err     error // there is no command
}

// pipeline sends one command for each name, of those whose breakers let it, in one
// go, and calls done for what came of it. In a cluster some may fail while others do
// not. The error is one of those.
//
// It has a pipeline for each node: the one of a ClusterClient gives the error of one
// node to the commands of all.
func (t *Tier) pipeline(ctx context.Context, names []string, add func(p redis.Pipeliner, i int) redis.Cmder, done func(i int) error) (err error) {
	ctx, cancel := t.timed(ctx, len(names))
	defer cancel()
	if err := t.clock.Err(ctx); err != nil {
		return withoutSecrets(err)
	}
	parts := t.allowed(names)
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
		t.note(ctx, p.breaker, p.state, p.err)
		if p.err != nil {
			err = p.err
		}
	}
	if err == ErrOpen {
		return err
	}
	return t.fault(err)
}

// allowed asks the breakers of names, each once.
func (t *Tier) allowed(names []string) []part {
	parts, asked, now := make([]part, len(names)), map[*breaker]part{}, t.clock.Now()
	for i, name := range names {
		p, ok := asked[t.breaker(name)]
		if !ok {
			p.breaker = t.breaker(name)
			p.state, p.ok = p.breaker.allow(now)
			asked[p.breaker] = p
		}
		if !p.ok {
			t.stats.skipped.Add(1)
		}
		parts[i] = p
	}
	return parts
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

// send sends all pipelines at once and waits for the answers. Each command has its
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

// follow sends the commands again that another node is to have, one by one.
func (t *Tier) follow(ctx context.Context, parts []part) {
	for _, p := range parts {
		if p.command == nil || p.command.Err() == nil {
			continue // most: a look at the error's prefix would allocate
		}
		if err := p.command.Err(); redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK ") {
			p.command.SetErr(nil)
			t.client.Process(ctx, p.command)
		}
	}
}

// GetMany implements cache.BatchTier. It takes what leases it can get for what it
// does not find, and waits for others' loads only if it got none: two that wait for
// each other's leases would wait in vain.
func (t *Tier) GetMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (leases []string, err error) {
	leases = make([]string, len(names))
	rest, err := t.getMany(ctx, names, use)
	for w := t.newWait(ctx); len(rest) > 0; w.sleep(ctx) {
		granted, e := t.askMany(ctx, &rest, w.over(), leases, use)
		if e != nil {
			err = e
		}
		if e != nil || granted {
			break
		}
	}
	return leases, err
}

// missed is a name of a batch that still has no record.
type missed struct {
	question
	i int // its index in the batch
}

// getMany returns the names that have no record of use.
func (t *Tier) getMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (rest []missed, err error) {
	commands := make([]*redis.StringCmd, len(names))
	err = t.pipeline(ctx, names, func(p redis.Pipeliner, i int) redis.Cmder {
		commands[i] = p.Get(ctx, t.record(names[i]))
		return commands[i]
	}, func(i int) error {
		record, err := found(commands[i])
		if err == nil && (record == nil || !use(i, record)) {
			rest = append(rest, missed{question{names[i], newNonce(), record}, i})
		}
		return err
	})
	return rest, err
}

// askMany asks for leases of rest, and leaves in it what has got neither a lease nor a
// record of use.
func (t *Tier) askMany(ctx context.Context, rest *[]missed, anyway bool, leases []string, use func(i int, record []byte) bool) (granted bool, err error) {
	asked := *rest
	*rest = nil
	commands, names := make([]*redis.Cmd, len(asked)), make([]string, len(asked))
	for j, m := range asked {
		names[j] = m.name
	}
	err = t.pipeline(ctx, names, func(p redis.Pipeliner, j int) redis.Cmder {
		commands[j] = t.ask(ctx, p, asked[j].question, anyway)
		return commands[j]
	}, func(j int) error {
		m := asked[j]
		record, lease, err := m.answer(commands[j])
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

// SetMany implements cache.BatchTier.
func (t *Tier) SetMany(ctx context.Context, records []cache.TierRecord) error {
	commands, names := make([]*redis.Cmd, len(records)), make([]string, len(records))
	for i, r := range records {
		names[i] = r.Name
	}
	return t.pipeline(ctx, names, func(p redis.Pipeliner, i int) redis.Cmder {
		commands[i] = t.set(ctx, p, records[i])
		return commands[i]
	}, func(i int) error { return commands[i].Err() })
}
