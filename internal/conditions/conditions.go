// Package conditions describes the conditions of a measurement.
package conditions

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Conditions are the circumstances that affect the results.
type Conditions struct {
	Date     time.Time `json:"date"`
	Command  string    `json:"command"` // the command that repeats the measurement
	Go       string    `json:"go"`
	Platform string    `json:"platform"`
	CPU      string    `json:"cpu"`
	CPUs     int       `json:"cpus"`
	Set      string    `json:"set,omitempty"` // a description of the other settings
	Quick    bool      `json:"quick,omitempty"`

	LoadBefore string `json:"load_before,omitempty"` // the load averages of 1, 5 and 15 minutes
	LoadAfter  string `json:"load_after,omitempty"`

	Libraries map[string]string `json:"libraries,omitempty"` // versions of the compared libraries
}

// Here returns the conditions of this process: the program, its arguments, and the
// versions of modules whose path contains one of parts.
func Here(program string, args []string, set string, parts ...string) Conditions {
	return Conditions{
		Date:     time.Now().UTC().Truncate(time.Second),
		Command:  commandLine(program, args),
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU:      cpuModel(),
		CPUs:     runtime.NumCPU(),
		Set:      set,

		LoadBefore: LoadAverage(),

		Libraries: versions(parts),
	}
}

// String returns the conditions on one line.
func (c Conditions) String() string {
	text := fmt.Sprintf("%s, %s, %s, %d CPUs", c.Go, c.Platform, c.CPU, c.CPUs)
	if c.LoadBefore != "" {
		text += "; load average before " + c.LoadBefore
	}
	if c.LoadAfter != "" {
		text += ", after " + c.LoadAfter
	}
	if c.Set != "" {
		text += "; " + c.Set
	}
	if c.Quick {
		text += "; quick, and so a hint and not a measurement"
	}
	return text
}

// cpuModel returns the processor's name on Linux, if the kernel provides it for the
// architecture.
func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown CPU"
}

// LoadAverage returns the load averages of 1, 5 and 15 minutes, on Linux.
func LoadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 3 {
		return ""
	}
	return strings.Join(fields[:3], " ")
}

// commandLine returns the shell command for the program and its arguments.
func commandLine(program string, args []string) string {
	line := program
	for _, a := range args {
		line += " " + quote(a)
	}
	return line
}

var plain = regexp.MustCompile(`^[-+\w./:,=@%]+$`)

func quote(arg string) string {
	if plain.MatchString(arg) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// versions returns the versions of this program's modules whose path contains one of
// parts.
func versions(parts []string) map[string]string {
	v := map[string]string{}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return v
	}
	for _, m := range info.Deps {
		for _, part := range parts {
			if strings.Contains(m.Path, part) {
				v[m.Path] = m.Version
			}
		}
	}
	return v
}
