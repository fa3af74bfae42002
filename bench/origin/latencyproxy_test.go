package origin

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func newProxy(t testing.TB, latency time.Duration) *LatencyProxy {
	t.Helper()
	proxy, err := StartLatencyProxy(latency)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return proxy
}

// proxyClient is the client's side of the protocol.
type proxyClient struct {
	net.Conn
	answers *bufio.Reader
}

func newProxyClient(t testing.TB, proxy *LatencyProxy) proxyClient {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(deadline))
	return proxyClient{conn, bufio.NewReader(conn)}
}

func (c proxyClient) pay(t testing.TB, statement string) {
	t.Helper()
	if _, err := io.WriteString(c, statement+"\n"); err != nil {
		t.Fatal(err)
	}
	c.wantOK(t)
}

func (c proxyClient) wantOK(t testing.TB) {
	t.Helper()
	if answer, err := c.answers.ReadString('\n'); err != nil || answer != "ok\n" {
		t.Fatalf("answer = %q, %v", answer, err)
	}
}

func TestLatencyProxyCountsAndDelays(t *testing.T) {
	const latency = 20 * time.Millisecond
	proxy := newProxy(t, latency)
	client := newProxyClient(t, proxy)
	const statement = "SELECT 1"
	for i := range int64(5) {
		before := proxy.Counts()
		start := time.Now()
		client.pay(t, statement)
		if took := time.Since(start); took < latency {
			t.Errorf("answered after %v, want at least %v", took, latency)
		}
		if got, want := proxy.Counts().Sub(before), (Counts{1, int64(len(statement)) + 1}); got != want {
			t.Errorf("statement %d: %+v, want %+v", i, got, want)
		}
	}
}

// A line waits for the lines before it, as on a database connection.
func TestLatencyProxyAnswersOneAfterTheOther(t *testing.T) {
	const latency = 20 * time.Millisecond
	proxy := newProxy(t, latency)
	client := newProxyClient(t, proxy)
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
	if got := proxy.Counts().Calls; got != 3 {
		t.Errorf("%d calls, want 3", got)
	}
}

// All statements arrive while none of them is answered.
func TestLatencyProxyConnectionsDoNotWaitForEachOther(t *testing.T) {
	proxy := newProxy(t, time.Hour)
	const n = 50
	for range n {
		if _, err := io.WriteString(newProxyClient(t, proxy), "SELECT 1\n"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all statements", func() bool { return proxy.Counts().Calls == n })
}

func TestLatencyProxyLineLength(t *testing.T) {
	proxy := newProxy(t, 0)
	client := newProxyClient(t, proxy)
	client.pay(t, strings.Repeat("x", MaxStatement-1))
	client.pay(t, "")
	before := proxy.Counts()
	if _, err := io.WriteString(client, strings.Repeat("x", MaxStatement)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client.answers)
	if string(answer) != "line too long\n" || err != nil {
		t.Errorf("answer = %q, %v", answer, err)
	}
	if got := proxy.Counts().Sub(before); got != (Counts{}) {
		t.Errorf("counted %+v", got)
	}
}

// Without its context a wait would delay Close for an hour.
func TestLatencyProxyCloseEndsWaits(t *testing.T) {
	proxy := newProxy(t, time.Hour)
	client := newProxyClient(t, proxy)
	if _, err := io.WriteString(client, "SELECT 1\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the statement", func() bool { return proxy.Counts().Calls == 1 })
	if err := proxy.Close(); err != nil {
		t.Error(err)
	}
	if answer, err := client.answers.ReadString('\n'); err == nil {
		t.Errorf("answer after Close: %q", answer)
	}
}
