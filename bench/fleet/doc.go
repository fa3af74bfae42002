// Package fleet tells what caches in the containers of a function do together: how
// often they hit, how many loads are left for the database, and how old the answers
// are. It simulates up to 100,000 containers for days of virtual time in
// which each has a real cache.Cache, not a model of one.
//
// A request goes to a warm container or starts a new one, which has an empty cache
// and its own wall clock, lives for a while, and is reclaimed when it is idle for
// long. Like a container of AWS Lambda it handles one request at a time, which asks
// its cache for one key. So no cache sees concurrent calls, and a load may take its
// virtual time at once: the simulation runs each Get to its end, with the clock of
// its container moving on in Load and in the tier, before it turns to the next event.
// Gets are run in the order in which they begin. What they do to the database and to
// the tier is entered at the time at which they do it, so that a Get that begins
// while others load finds the tier as it is then, and waits for their leases. The
// age of a value counts from the start of its load.
//
// What a stampede does to the database itself is not simulated: its latency does
// not depend on its load. Nor does a load fail.
//
// TestFleet of bench/servers does it with real processes, a real Redis and a real
// PostgreSQL.
package fleet
