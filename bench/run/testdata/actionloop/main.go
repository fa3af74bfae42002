// Command actionloop is an OpenWhisk action that knows nothing of this repository.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	out := os.NewFile(3, "results")
	switch os.Getenv("INIT") {
	case "babble":
		fmt.Fprintln(out, "hello")
	case "quiet":
	default:
		fmt.Fprintln(out, `{"ok":true}`)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var activation struct{ Value map[string]any }
		if err := json.Unmarshal(in.Bytes(), &activation); err != nil {
			panic(err)
		}
		answer, _ := json.Marshal(map[string]any{"hello": activation.Value["name"]})
		fmt.Fprintf(out, "%s\n", answer)
	}
}
