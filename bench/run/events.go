package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// readEvents reads one JSON value a line, and ignores empty lines.
func readEvents(file string) (events [][]byte, err error) {
	if file == "" {
		return [][]byte{[]byte("{}")}, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("run: -events: %w", err)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // some editors write a byte order mark
	for i, line := range bytes.Split(b, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			return nil, fmt.Errorf("run: -events: %s:%d is not JSON: %.60s (each line is one event)", file, i+1, line)
		}
		events = append(events, line)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("run: -events: %s holds no event", file)
	}
	return events, nil
}
