package result

import (
	"os"
	"runtime"
	"strings"
	"time"
)

// Conditions are what the figures depend on.
type Conditions struct {
	Date     time.Time `json:"date"`
	Command  string    `json:"command"` // that measures it again
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	CPU      string    `json:"cpu"`
	CPUs     int       `json:"cpus"`
	Set      string    `json:"set,omitempty"` // what else was chosen, in words
}

// Here returns those of this process.
func Here(command, set string) Conditions {
	return Conditions{
		Date:     time.Now().UTC().Truncate(time.Second),
		Command:  command,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU:      cpuModel(),
		CPUs:     runtime.NumCPU(),
		Set:      set,
	}
}

// cpuModel knows Linux only, and not on every architecture.
func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown CPU"
}
