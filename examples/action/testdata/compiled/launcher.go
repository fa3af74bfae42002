package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	results := os.NewFile(3, "results")
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		fmt.Fprintln(results, `{"ok":true}`)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var activation struct {
			Value map[string]any `json:"value"`
		}
		if err := json.Unmarshal(lines.Bytes(), &activation); err != nil {
			panic(err)
		}
		if err := json.NewEncoder(results).Encode(Main(activation.Value)); err != nil {
			panic(err)
		}
	}
}
