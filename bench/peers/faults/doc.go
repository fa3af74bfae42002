// Package faults has a test that damages the disk caches of Go libraries in the ways
// in which disks, crashes and neighbours do, and compares their answers. With
// -v it prints the table of bench/RESULTS.md, and it writes it as JSON with
//
//	go test ./bench/peers/faults -count=1 -v -args -results FILE
//
// Every library is used as its documentation shows, as a read-through cache of one
// origin. The cases are the same for all, and all are real: files are changed on disk,
// processes killed, file systems full.
package faults
