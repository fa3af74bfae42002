// Package origin gives benchmarks and tests real origins on the loopback interface, delays them as the network of a
// cloud does, and counts their calls.
//
//   - [S3] is a real S3 server (versitygw) in a child process: signatures, conditions, ranges, checksums and versions
//     are those of a server, not of a mock. A program that starts one calls [ServeIfChild] first in main.
//   - [Gate] is an HTTP proxy in front of it, or of any HTTP origin. It adds first-byte latency and limits the
//     bandwidth of each connection, and counts requests and body bytes.
//   - [Relay] is a TCP proxy in front of a database, which adds the latency of its round trips and counts them.
//   - [LatencyProxy] adds the network to a database that has none: SQLite, which the function opens as a file.
//
// # Latencies
//
// The defaults are medians and constant, so that two runs differ by the cache alone.
//
//   - [DefaultFirstByte], 30 ms, and about 20 ms per MiB after it: Durner, Leis and Neumann, "Exploiting Cloud Object
//     Storage for High-Performance Analytics", VLDB 2023.
//   - [DefaultBandwidth], 90 MB/s for one connection: the README of dvassallo/s3-benchmark measured 93 MB/s. Other
//     published figures are lower (Durner et al.: 50 MiB/s), so a cache saves no less time in production.
//   - [DefaultDatabase], 3 ms: a pooled primary-key SELECT on a managed database in the same region takes 2 to 5 ms.
//     This is a rule of thumb, not a published measurement.
//
// # Counting
//
// A call is counted when it arrives, and bytes before they are written to the socket. When a client has read an answer
// to its end, the counts include all of it: the difference of two snapshots around an invocation is exact.
package origin
