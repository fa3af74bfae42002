package filecache

// used is how a data file is used by this process.
type used struct {
	files   int  // that have it open
	removed bool // it has no name any more, but the disk has it until the last Close
}

// hold and release count the Files that have a data file open.
func (c *Cache) hold(data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.open[data]
	if u == nil {
		u = &used{}
		c.open[data] = u
	}
	u.files++
}

func (c *Cache) release(data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.open[data]
	if u.files--; u.files > 0 {
		return
	}
	delete(c.open, data)
	if u.removed {
		c.budget.closed(data)
	}
}

func (c *Cache) isOpen(data string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[data] != nil
}

// unlink removes a data file that no entry refers to any more. The caller holds
// publishing.
func (c *Cache) unlink(data string) {
	if c.store.unlink(data) {
		c.unlinked(data)
	}
}

// unlinked takes a data file that is gone from its directory out of the sum, but
// not what is still open of it.
func (c *Cache) unlinked(data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.open[data]
	if u != nil && !u.removed {
		u.removed = true
		c.budget.unlinked(data)
	}
	c.budget.free(data)
}
