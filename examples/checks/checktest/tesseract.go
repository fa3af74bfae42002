package checktest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// TrainedData returns the English data of the OCR program. The error matches
// ErrNotInstalled if the machine has no such program or data.
func TrainedData() ([]byte, error) {
	if _, err := exec.LookPath("tesseract"); err != nil {
		return nil, fmt.Errorf("tesseract is %w: %w", ErrNotInstalled, err)
	}
	found, _ := filepath.Glob("/usr/share/tesseract-ocr/*/tessdata/eng.traineddata")
	if len(found) == 0 {
		return nil, fmt.Errorf("tesseract is %w: no eng.traineddata", ErrNotInstalled)
	}
	return os.ReadFile(found[len(found)-1])
}
