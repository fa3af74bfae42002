// Package fleet simulates the containers of one function, up to 100,000 of them for
// days of virtual time. It reports how often their caches hit, how many loads reach the
// database, and how old the answers are. Each container has a real cache.Cache.
//
// A request goes to a warm container or starts a new one, which has an empty cache
// and its own wall clock, lives for a while, and is reclaimed when it is idle for
// long. Like a container of AWS Lambda, it handles one request at a time, which gets
// one key from its cache. So no cache has concurrent calls, and the simulation runs
// each Get to its end before the next event; Load and the tier move the container's
// clock on. Gets run in the order in which they begin. Their calls to the database and
// the tier are recorded at their own times, so a Get that begins while others load
// finds the tier as it is then, and waits for their leases. The age of a value counts
// from the start of its load.
//
// The latency of the simulated database does not depend on its load, and no load fails.
// TestFleet of bench/servers uses real processes, a real Redis and a real PostgreSQL.
package fleet
