package filecache

import "errors"

// missReason is why there was no copy to use.
type missReason uint8

const (
	missAbsent missReason = iota
	missChanged
	missEvicted
	missForgotten
	missDamaged
	missNoDisk
	missReasons // how many there are
)

// miss counts a miss of id. Found is the copy that the origin did not confirm,
// or why is the error of looking for one.
func (c *Cache) miss(id ID, found *local, why error) {
	c.stats.misses[c.missReason(id, found, why)].Add(1)
}

func (c *Cache) missReason(id ID, found *local, why error) missReason {
	c.mu.Lock()
	dropped, ok := c.drops[id]
	c.mu.Unlock()
	switch {
	case found != nil:
		return missChanged
	case errors.Is(why, errEntry), errors.Is(why, errDamaged):
		return missDamaged
	case ignoreNotExist(why) != nil:
		return missNoDisk
	case ok:
		return dropped
	}
	return missAbsent
}

// dropped remembers why this process has dropped a copy, until it has another.
// The memory for that is bounded.
func (c *Cache) dropped(id ID, why missReason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.droppedLocked(id, why)
}

func (c *Cache) droppedLocked(id ID, why missReason) {
	if len(c.drops) >= maxKnown {
		clear(c.drops)
	}
	c.drops[id] = why
}
