// Command counter is a function that counts its invocations, in memory and in
// /tmp, and shows what a container keeps and what it loses.
package main

import "github.com/warmcache/warmcache/examples/action"

func main() { action.Run(handle) }
