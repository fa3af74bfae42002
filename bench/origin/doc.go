// Package origin gives benchmarks and tests real origins on the loopback interface, as slow as the real ones are, and
// counts what they are asked.
//
//   - [S3] is a real S3 server (versitygw) in a child process: signatures, conditions, ranges, checksums and versions
//     are those of a server, not of a mock. A program that starts one calls [ServeIfChild] first in main.
//   - [Gate] is an HTTP proxy in front of it, or of any HTTP origin. It adds first-byte latency and limits the
//     bandwidth of each connection, and counts requests and body bytes.
//   - [Toll] is the network round trip before each statement of a database that has no network: SQLite, opened from a
//     file by the function itself.
//   - [Object] makes the bytes of a large object.
//
// # Latencies
//
// The defaults are medians and constant, so that what differs between two runs is the cache and not the dice. Each is an
// option. A zero means the default, a negative value means none.
//
//   - [DefaultFirstByte], 30 ms, and about 20 ms per MiB after it: Durner, Leis and Neumann, "Exploiting Cloud Object
//     Storage for High-Performance Analytics", VLDB 2023.
//   - [DefaultBandwidth], 90 MB/s for one connection: the README of dvassallo/s3-benchmark measured 93 MB/s. It is the
//     kind end of what is published (Durner et al.: 50 MiB/s), so a cache gains no less in the field.
//   - [DefaultToll], 3 ms: a pooled primary-key SELECT on a managed database in the same region takes 2 to 5 ms. This
//     is a rule of thumb, not a published measurement.
//
// # Counting
//
// A call is counted when it arrives, and bytes before they are handed to the socket. When a client has read an answer to
// its end, the counts hold all of it: the difference of two snapshots around an invocation is exact.
package origin
