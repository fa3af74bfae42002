package fleet

import (
	"math/rand/v2"
	"slices"
)

// pool holds the containers that are not busy.
type pool interface {
	// take returns a container for a request; started reports that it is new. It
	// returns nil if the maximum number of containers is busy.
	take(now int64) (c *container, started bool)
	put(c *container)   // makes c available again
	rest() []*container // returns all that are not busy
}

// recent is the pool of MostRecent: a stack from which the longest idle ones, at the
// bottom, go as they are reclaimed.
type recent struct {
	sim   *simulation
	idle  []*container
	alive int
}

func (p *recent) take(now int64) (*container, bool) {
	for len(p.idle) > 0 && p.idle[0].dead(now) { // at the bottom of the stack
		p.bury(p.idle[0])
		p.idle[0] = nil
		p.idle = p.idle[1:]
	}
	for len(p.idle) > 0 {
		last := len(p.idle) - 1
		c := p.idle[last]
		p.idle = slices.Delete(p.idle, last, last+1)
		if !c.dead(now) {
			return c, false
		}
		p.bury(c)
	}
	if p.alive == p.sim.Containers {
		return nil, false
	}
	p.alive++
	return p.sim.start(now), true
}

func (p *recent) bury(c *container) {
	p.sim.bury(c, c.death())
	p.alive--
}

func (p *recent) put(c *container)   { p.idle = append(p.idle, c) }
func (p *recent) rest() []*container { return p.idle }

// spread is the pool of Spread.
type spread struct {
	sim    *simulation
	rng    *rand.Rand
	places []*container
	busy   int
}

func (p *spread) take(now int64) (*container, bool) {
	if p.busy == len(p.places) {
		return nil, false
	}
	i := p.rng.IntN(len(p.places))
	for p.places[i] != nil && p.places[i].busy {
		i = p.rng.IntN(len(p.places))
	}
	p.busy++
	c := p.places[i]
	if c != nil && !c.dead(now) {
		return c, false
	}
	if c != nil {
		p.sim.bury(c, c.death())
	}
	c = p.sim.start(now)
	c.place, p.places[i] = i, c
	return c, true
}

func (p *spread) put(*container) { p.busy-- }

func (p *spread) rest() []*container {
	return slices.DeleteFunc(p.places, func(c *container) bool { return c == nil })
}
