// Command hello is for tests.
package main

func main() { println("hello") }
