//go:build unix

package redistier

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

// replyError is an error reply as the client returns it.
type replyError string

func (e replyError) Error() string { return string(e) }
func (replyError) RedisError()     {}

var _ redis.Error = replyError("")

// A key that another program has made with another type is a miss and is repaired. The
// breaker does not open: all other keys are served.
func TestPoisonedKey(t *testing.T) {
	for _, suffix := range []string{"", "e", "l"} {
		t.Run("key"+suffix, func(t *testing.T) {
			s, o := startSocket(t), &origin{}
			tier := newTier(t, patient(s.client()))
			wantGet(t, newCache(t, tier, o), "good", "good v1")
			poison := func() {
				s.do("DEL", "warmcache:{test/1:k}")
				s.do("DEL", "warmcache:{test/1:k}"+suffix)
				s.do("LPUSH", "warmcache:{test/1:k}"+suffix, "a list")
			}
			for i := range 10 {
				poison()
				k := fmt.Sprintf("k v%d", o.loads.Load()+1)
				c := newCache(t, tier, o)
				if i%2 == 0 {
					wantGet(t, c, "k", k)
				} else if r, err := c.GetMany(background, []string{"k", "good"}); err != nil || r[0].Value != k || r[1].Value != "good v1" {
					t.Errorf("GetMany = %v, %v", r, err)
				}
				c = newCache(t, tier, o)
				wantGet(t, c, "good", "good v1")
				if suffix != "l" { // a caller that finds the lease in another type waits once
					wantGet(t, c, "k", k)
				}
				if cs := c.Stats(); cs.TierErrors != 0 {
					t.Errorf("Stats = %+v", cs)
				}
			}
			poison()
			if err := newCache(t, tier, o).Invalidate(background, "k"); err != nil {
				t.Error(err)
			}
			if st := tier.Stats(); st.Failures != 0 || st.Skipped != 0 || st.Last != nil {
				t.Errorf("Stats = %+v", st)
			}
		})
	}
}

// A key that becomes another type between the lease and the record is overwritten.
func TestPoisonedDuringALoad(t *testing.T) {
	s, o := startSocket(t), &origin{}
	tier := newTier(t, patient(s.client()))
	lease, err := tier.Get(background, "test/1:k", nil)
	if lease == "" || err != nil {
		t.Fatal(lease, err)
	}
	for _, suffix := range []string{"", "l"} {
		s.do("DEL", "warmcache:{test/1:k}"+suffix)
		s.do("SADD", "warmcache:{test/1:k}"+suffix, "a set")
	}
	if err := tier.Set(background, record("test/1:k", lease)); err != nil {
		t.Error(err)
	}
	if got := s.do("GET", "warmcache:{test/1:k}"); got != "record" {
		t.Errorf("the record is %q", got)
	}
	wantGet(t, newCache(t, tier, o), "k", "k v1") // "record" is none of a cache
}

// Replies about a single key do not open the breaker; those about the server do.
func TestRepliesAndTheBreaker(t *testing.T) {
	tier := newTier(t, Options{Client: closed(t, Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}}))})
	for reply, healthy := range map[string]bool{
		"WRONGTYPE Operation against a key holding the wrong kind of value":                               true,
		"WRONGTYPE Operation against a key holding the wrong kind of value script: x, on @user_script:4.": true,
		"ERR Error running script (call to f_1): @user_script:4: WRONGTYPE Operation against a key":       true,
		"OOM command not allowed when used memory > 'maxmemory'.":                                         true,
		"NOPERM No permissions to access a key":                                                           true,
		"NOPERM this user has no permissions to access one of the keys used as arguments":                 true,
		"NOPERM User default has no permissions to run the 'eval' command":                                false,
		"LOADING Redis is loading the dataset in memory":                                                  false,
		"NOAUTH Authentication required.":                                                                 false,
		"READONLY You can't write against a read only replica.":                                           false,
		"ERR unknown command 'EVAL'":                                                                      false,
	} {
		b := &breaker{}
		tier.note(background, b, 0, fmt.Errorf("wrapped: %w", replyError(reply)))
		if got := b.failures == 0; got != healthy {
			t.Errorf("%s: healthy %v; want %v", reply, got, healthy)
		}
	}
	b := &breaker{}
	if tier.note(background, b, 0, errors.New("WRONGTYPE ")); b.failures == 0 {
		t.Error("an error that is no reply counts as one")
	}
}
