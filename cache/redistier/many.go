package redistier

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
)

// pipeline sends one command for each name, of those whose breakers let it, in one
// go, and calls done for what came of it. In a cluster some may fail while others do
// not. The error is one of those.
func (t *Tier) pipeline(ctx context.Context, names []string, add func(p redis.Pipeliner, i int), done func(i int) error) (err error) {
	pipe, let := t.client.Pipeline(), t.allowed(names)
	for i, l := range let {
		if l.ok {
			add(pipe, i)
		} else {
			err = ErrOpen
		}
	}
	if pipe.Len() == 0 {
		return err
	}
	t.timed(ctx, pipe.Len(), func(ctx context.Context) error {
		_, err := pipe.Exec(ctx)
		return err // each command has its own
	})
	for i, l := range let {
		if !l.ok {
			continue
		}
		e := done(i)
		t.note(ctx, l.breaker, l.state, e)
		if e != nil {
			err = e
		}
	}
	if err != nil && err != ErrOpen {
		err = t.fault(err)
	}
	return err
}

// let is whether a breaker lets a call through, and in which state.
type let struct {
	breaker *breaker
	state   uint64
	ok      bool
}

// allowed asks the breakers of names, each once.
func (t *Tier) allowed(names []string) []let {
	all, asked, now := make([]let, len(names)), map[*breaker]let{}, t.clock.Now()
	for i, name := range names {
		l, ok := asked[t.breaker(name)]
		if !ok {
			l.breaker = t.breaker(name)
			l.state, l.ok = l.breaker.allow(now)
			asked[l.breaker] = l
		}
		if !l.ok {
			t.stats.skipped.Add(1)
		}
		all[i] = l
	}
	return all
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
	name string
	i    int // its index in the batch
}

// getMany returns the names that have no record of use.
func (t *Tier) getMany(ctx context.Context, names []string, use func(i int, record []byte) bool) (rest []missed, err error) {
	commands := make([]*redis.StringCmd, len(names))
	err = t.pipeline(ctx, names, func(p redis.Pipeliner, i int) {
		commands[i] = p.Get(ctx, t.keys(names[i]).record)
	}, func(i int) error {
		record, err := found(commands[i])
		if err == nil && (record == nil || !use(i, record)) {
			rest = append(rest, missed{question{t.keys(names[i]), newNonce(), record}, names[i], i})
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
	err = t.pipeline(ctx, names, func(p redis.Pipeliner, j int) {
		commands[j] = t.ask(ctx, p, asked[j].question, anyway)
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
	return t.pipeline(ctx, names, func(p redis.Pipeliner, i int) {
		commands[i] = t.set(ctx, p, records[i])
	}, func(i int) error { return commands[i].Err() })
}
