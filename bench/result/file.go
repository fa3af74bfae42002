package result

import (
	"bytes"
	"encoding/json"
	"os"

	"github.com/warmcache/warmcache/internal/conditions"
)

// File is a run of the bench, as -json writes it.
type File struct {
	Conditions conditions.Conditions `json:"conditions"`
	Rows       []Row                 `json:"rows"`
}

// Write makes or replaces a file of JSON.
func (f File) Write(name string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
