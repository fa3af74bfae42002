package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// actionLoop is a process that speaks the ActionLoop: one line of JSON on its
// stdin for each activation, one on its file descriptor 3 for each result, and
// before them one on file descriptor 3 to acknowledge its start.
//
// Like OpenWhisk's proxy it reads a line only when it waits for one. So an action
// that writes a line too many answers the next activation with it.
type actionLoop struct {
	*process
	output  *childtest.Tail
	started time.Time

	acknowledges bool

	requests *os.File // its stdin

	exchanging sync.Mutex
	results    *os.File // its file descriptor 3
	lines      *bufio.Reader
}

func startActionLoop(w OpenWhisk, a Activation, tmp string) (*actionLoop, error) {
	stdin, requests, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	results, fd3, err := os.Pipe()
	if err != nil {
		requests.Close()
		return nil, err
	}
	defer fd3.Close()

	l := &actionLoop{output: &childtest.Tail{To: w.Logs}, started: time.Now(), requests: requests, results: results, lines: bufio.NewReader(results)}
	cmd := exec.Command(w.Binary, w.Args...)
	cmd.Dir = filepath.Dir(w.Binary)
	cmd.Env = w.variables(a, l.started.Add(w.Timeout), tmp)
	l.acknowledges = w.variable("__OW_WAIT_FOR_ACK", "1") != ""
	cmd.Stdin, cmd.ExtraFiles = stdin, []*os.File{fd3}
	cmd.Stdout, cmd.Stderr = l.output, l.output
	if l.process, err = startProcess(cmd, tmp, func(*process) { l.hangUp() }); err != nil {
		requests.Close()
		results.Close()
		return nil, err
	}
	return l, nil
}

// hangUp ends the exchange with a dead process, after its last output has been read.
// The deadline is for a child in another process group, which may keep the pipe open.
func (l *actionLoop) hangUp() {
	l.requests.Close()
	_ = l.results.SetReadDeadline(time.Now().Add(drainTime))
	l.exchanging.Lock()
	defer l.exchanging.Unlock()
	l.results.Close()
}

// exchange is a line sent and one received.
type exchange struct {
	over chan struct{} // closed when the other fields are set

	line    []byte
	length  int // of the line, which is cut if it is longer than maxResult
	err     error
	arrived time.Time
}

// exchange sends a line, if it is not empty, and waits for one. It ends at the latest
// with the process.
func (l *actionLoop) exchange(line []byte, x *exchange) {
	l.exchanging.Lock()
	defer l.exchanging.Unlock()
	defer close(x.over)
	if len(line) > 0 {
		_, _ = l.requests.Write(line) // an action that does not listen may still answer
	}
	x.line, x.length, x.err = readLine(l.lines)
	x.arrived = time.Now()
}

// readLine keeps no more of a line than a result may have.
func readLine(r *bufio.Reader) (line []byte, length int, err error) {
	for {
		part, err := r.ReadSlice('\n')
		length += len(part)
		line = append(line, part[:min(len(part), maxResult-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, length, err
		}
	}
}

// roundTrip sends a line and waits for one. If it returns an error, the process is
// dead.
func (l *actionLoop) roundTrip(ctx context.Context, line []byte, deadline time.Time) (*exchange, error) {
	x := &exchange{over: make(chan struct{})}
	go l.exchange(line, x)
	err := l.wait(ctx, x.over, nil, deadline)
	if err != nil {
		l.kill()
	}
	<-x.over
	switch {
	case err == errDied && x.err == nil: // it answered before it died
		return x, nil
	case err == nil && x.err != nil: // it has closed its end
		l.kill()
		return x, errDied
	}
	return x, err
}

var errNoAck = errors.New(`it did not acknowledge its start with {"ok":true}`)

// init waits until the action is ready.
func (l *actionLoop) init(ctx context.Context, deadline time.Time) (time.Duration, error) {
	if !l.acknowledges {
		return 0, nil
	}
	x, err := l.roundTrip(ctx, nil, deadline)
	if err != nil {
		return time.Since(l.started), err
	}
	var ack struct{ OK bool }
	if json.Unmarshal(x.line, &ack) != nil || !ack.OK {
		l.kill()
		return time.Since(l.started), fmt.Errorf("%w, but %.100q", errNoAck, x.line)
	}
	return x.arrived.Sub(l.started), nil
}

func (l *actionLoop) stop(string) { l.kill() }

// exit describes how the process ended, beginning with OpenWhisk's message.
func (l *actionLoop) exit() string {
	if s := l.cmd.ProcessState; s != nil {
		return "command exited: " + s.String()
	}
	return "command exited"
}
