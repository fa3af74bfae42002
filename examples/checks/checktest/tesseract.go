package checktest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// TrainedData returns the English data of the OCR program. It is an ErrNotInstalled
// on a machine without the program or the data.
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
