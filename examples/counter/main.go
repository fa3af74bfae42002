// Command counter is a function that counts its invocations in memory and in /tmp,
// and shows which of the counts survives.
package main

import "github.com/warmcache/warmcache/examples/action"

func main() { action.Run(handle) }
