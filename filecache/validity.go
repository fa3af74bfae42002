package filecache

import "github.com/warmcache/warmcache/internal/clock"

// validity tells when the origin was asked that vouches for some bytes.
type validity struct {
	asked clock.Instant
	// flight is the number of the flight of this process that asked. Zero: an
	// earlier process did, or one beside this one, and only the clocks tell when.
	flight uint64
	void   bool // it may be from before a Forget
}

// recent reports whether what v vouches for need not be validated now.
func (c *Cache) recent(v validity) bool {
	return !v.void && v.asked.Within(c.maxAge, c.clock.Now())
}

// answers reports whether v is an answer to a caller who began when there had
// been that many flights: it is recent, or was asked for since. The clocks alone
// could not tell: they may run back.
func (c *Cache) answers(id ID, v validity, began uint64) bool {
	return id.Version != "" || v.flight > began || c.recent(v)
}
