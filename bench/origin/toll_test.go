package origin

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func newToll(t testing.TB, o TollOptions) *Toll {
	t.Helper()
	toll, err := StartToll(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := toll.Close(); err != nil {
			t.Error(err)
		}
	})
	return toll
}

// tollClient is the client's side of the protocol.
type tollClient struct {
	net.Conn
	answers *bufio.Reader
}

func newTollClient(t testing.TB, toll *Toll) tollClient {
	t.Helper()
	conn, err := net.Dial("tcp", toll.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(deadline))
	return tollClient{conn, bufio.NewReader(conn)}
}

func (c tollClient) pay(t testing.TB, statement string) {
	t.Helper()
	if _, err := io.WriteString(c, statement+"\n"); err != nil {
		t.Fatal(err)
	}
	c.wantOK(t)
}

func (c tollClient) wantOK(t testing.TB) {
	t.Helper()
	if answer, err := c.answers.ReadString('\n'); err != nil || answer != "ok\n" {
		t.Fatalf("answer = %q, %v", answer, err)
	}
}

func TestTollCountsAndDelays(t *testing.T) {
	const latency = 20 * time.Millisecond
	toll := newToll(t, TollOptions{Latency: latency})
	client := newTollClient(t, toll)
	const statement = "SELECT 1"
	for i := range int64(5) {
		before := toll.Counts()
		start := time.Now()
		client.pay(t, statement)
		if took := time.Since(start); took < latency {
			t.Errorf("answered after %v, want at least %v", took, latency)
		}
		if got, want := toll.Counts().Sub(before), (Counts{1, int64(len(statement)) + 1}); got != want {
			t.Errorf("statement %d: %+v, want %+v", i, got, want)
		}
	}
}

// What a client sends ahead waits for what is before it, as on a database connection.
func TestTollAnswersOneAfterTheOther(t *testing.T) {
	const latency = 20 * time.Millisecond
	toll := newToll(t, TollOptions{Latency: latency})
	client := newTollClient(t, toll)
	start := time.Now()
	if _, err := io.WriteString(client, "a\nb\nc\n"); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		client.wantOK(t)
		if took, want := time.Since(start), time.Duration(n)*latency; took < want {
			t.Errorf("answer %d after %v, want at least %v", n, took, want)
		}
	}
	if got := toll.Counts().Calls; got != 3 {
		t.Errorf("%d calls, want 3", got)
	}
}

func TestTollConnectionsDoNotWaitForEachOther(t *testing.T) {
	toll := newToll(t, TollOptions{Latency: time.Second})
	var clients sync.WaitGroup
	start := time.Now()
	const n = 50
	for range n {
		client := newTollClient(t, toll)
		clients.Go(func() {
			io.WriteString(client, "SELECT 1\n")
			client.answers.ReadString('\n')
		})
	}
	clients.Wait()
	if took := time.Since(start); took > n*time.Second/2 {
		t.Errorf("%d connections took %v together", n, took)
	}
	if got := toll.Counts().Calls; got != n {
		t.Errorf("%d calls, want %d", got, n)
	}
}

func TestTollLineLength(t *testing.T) {
	toll := newToll(t, TollOptions{Latency: -1})
	client := newTollClient(t, toll)
	client.pay(t, strings.Repeat("x", MaxTollLine-1))
	client.pay(t, "")
	before := toll.Counts()
	if _, err := io.WriteString(client, strings.Repeat("x", MaxTollLine)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client.answers)
	if string(answer) != "line too long\n" || err != nil {
		t.Errorf("answer = %q, %v", answer, err)
	}
	if got := toll.Counts().Sub(before); got != (Counts{}) {
		t.Errorf("counted %+v", got)
	}
}

// A client that leaves while it waits takes its goroutines with it, and so does Close with all clients: both hang here
// for an hour otherwise.
func TestTollEndsWaitsAtOnce(t *testing.T) {
	toll := newToll(t, TollOptions{Latency: time.Hour})
	leaver, stayer := newTollClient(t, toll), newTollClient(t, toll)
	for _, client := range []tollClient{leaver, stayer} {
		if _, err := io.WriteString(client, "SELECT 1\n"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the statements", func() bool { return toll.Counts().Calls == 2 })
	if err := leaver.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(leaver.answers); len(answer) != 0 || err != nil {
		t.Errorf("answer to a client that left: %q, %v", answer, err)
	}
	if err := toll.Close(); err != nil {
		t.Error(err)
	}
	if answer, err := stayer.answers.ReadString('\n'); err == nil {
		t.Errorf("answer after Close: %q", answer)
	}
}
