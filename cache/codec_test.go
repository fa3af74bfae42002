package cache

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// A codec would lose a part of these types.
type (
	unexportedField struct {
		Name  string
		admin bool
	}
	dashed struct {
		Name    string
		IsAdmin bool `json:"-"`
	}
	base     struct{ ID, Owner string }
	shadowed struct {
		base
		ID int
	}
	Left      struct{ X int }
	Right     struct{ X int }
	ambiguous struct {
		Left
		Right
	}
	sameName struct {
		A int `json:"B"`
		B int
	}
	withTime struct {
		time.Time
		Name string
	}
	withTimePtr struct {
		Name string
		*time.Time
	}
	unexportedPtr struct{ *base }
	selfEmbedded  struct {
		*selfEmbedded //nolint:unused // by reflection only
		X             int
	}
	deep struct {
		Tenant string
		Items  map[string][]struct{ Attributes [2]*dashed }
	}
	inAny     struct{ Count any }
	withError struct{ Err error }
	withChan  struct{ C chan int }
	withFunc  struct{ F func() }
	notBack   struct{ X onlyEncodes }
	badKeys   struct{ M map[[2]int]string }
	inMap     struct{ M map[string]pointerMethods }
	node      struct {
		Value int
		Next  *node
	}
	empty struct{}
)

func (u unexportedField) String() string { return u.Name + map[bool]string{true: "!"}[u.admin] }

type onlyEncodes struct{ X int }

func (onlyEncodes) MarshalJSON() ([]byte, error) { return []byte(`"x"`), nil }
func (onlyEncodes) GobEncode() ([]byte, error)   { return []byte(`x`), nil }

// pointerMethods encodes itself if it is addressable.
type pointerMethods struct{ hidden int }

func (p *pointerMethods) MarshalJSON() ([]byte, error) { return json.Marshal(p.hidden) }
func (p *pointerMethods) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &p.hidden) }

// ownTime embeds a time and encodes all its fields.
type ownTime struct {
	time.Time
	Name string
}

func (o ownTime) MarshalJSON() ([]byte, error) {
	return json.Marshal([]string{o.Time.Format(time.RFC3339Nano), o.Name})
}

func (o *ownTime) UnmarshalJSON(b []byte) (err error) {
	var s []string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	o.Name = s[1]
	o.Time, err = time.Parse(time.RFC3339Nano, s[0])
	return err
}

// ptrTime is ownTime with methods of the pointer.
type ptrTime struct {
	time.Time
	Name string
}

func (p *ptrTime) MarshalJSON() ([]byte, error) { return json.Marshal(p.Name) }
func (p *ptrTime) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &p.Name) }

// lenient only decodes itself.
type lenient int

func (l *lenient) UnmarshalJSON(b []byte) error {
	return json.Unmarshal([]byte(strings.Trim(string(b), `"`)), (*int)(l))
}

type good struct {
	base
	Name    string `json:"name,omitempty"`
	Price   float64
	Small   float32
	Big     int64 `json:",string"`
	Bytes   []byte
	Sub     *base
	Tags    []string
	ByID    map[int]base
	Rows    [][2]bool
	Other   json.Number
	_       int
	URLs    map[string][]string
	Lenient lenient
}

// newWith returns a Cache with a codec for V. It is a Cache of any, because compiling
// one for each type in this file takes minutes.
func newWith[V any](codec Codec[V], tier Tier, v V) (*Cache[string, any], error) {
	return newCache(Options[string, any]{
		Load: func(context.Context, string) (any, error) { return v, nil },
		TTL:  time.Minute, Tier: tier, Namespace: "n",
		Codec: Codec[any]{
			Encode: func(v any) ([]byte, error) { typed, _ := v.(V); return codec.Encode(typed) },
			Decode: func(b []byte) (any, error) { return codec.Decode(b) },
			check:  codec.check,
		},
	}, clock.New())
}

func refused[V any](t *testing.T, codec Codec[V], want string) {
	t.Helper()
	var v V
	_, err := newWith(codec, newFakeTier(), v)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cache.New: Options.Codec: ") {
		t.Errorf("New for %T: %v; want %q", v, err, want)
	}
}

func TestJSONRefusesTypes(t *testing.T) {
	refused(t, JSON[unexportedField](), "cache.unexportedField.admin: it is not exported; use Gob")
	refused(t, JSON[*dashed](), `cache.dashed.IsAdmin: it has the tag json:"-"`)
	refused(t, JSON[deep](), "cache.deep.Items[][].Attributes[].IsAdmin: it has the tag")
	refused(t, JSON[shadowed](), "cache.shadowed.ID: cache.shadowed.base.ID has the same name")
	refused(t, JSON[ambiguous](), "cache.ambiguous.Right.X: cache.ambiguous.Left.X has the same name")
	refused(t, JSON[sameName](), "cache.sameName.B: cache.sameName.A has the same name in JSON")
	refused(t, JSON[withTime](), "cache.withTime.Name: cache.withTime is encoded by the method of the embedded time.Time alone")
	refused(t, JSON[*withTimePtr](), "cache.withTimePtr.Name")
	refused(t, JSON[unexportedPtr](), "cache.unexportedPtr.base: it is not exported")
	refused(t, JSON[selfEmbedded](), "selfEmbedded: it is")
	refused(t, JSON[any](), "would change interface {}: it does not restore")
	refused(t, JSON[map[string]any](), "map[string]interface {}[]: it does not restore")
	refused(t, JSON[inAny](), "cache.inAny.Count")
	refused(t, JSON[withError](), "cache.withError.Err")
	refused(t, JSON[withChan](), "cache.withChan.C: it cannot encode a chan")
	refused(t, JSON[withFunc](), "cache.withFunc.F: it cannot encode a func")
	refused(t, JSON[complex128](), "complex128: it cannot encode")
	refused(t, JSON[notBack](), "cache.notBack.X: cache.onlyEncodes has a method that encodes it, but none that decodes it")
	refused(t, JSON[badKeys](), "cache.badKeys.M: it cannot encode keys of type [2]int")
	refused(t, JSON[inMap](), "cache.inMap.M[].hidden: it is not exported")
	refused(t, JSON[url.URL](), "url.URL.User.username")
}

func TestGobRefusesTypes(t *testing.T) {
	refused(t, Gob[unexportedField](), "cache.unexportedField.admin: it is not exported; use a Codec of your own")
	refused(t, Gob[withTime](), "cache.withTime.Name: cache.withTime is encoded by the method of the embedded time.Time alone")
	refused(t, Gob[withChan](), "cache.withChan.C")
	refused(t, Gob[notBack](), "cache.notBack.X")
	refused(t, Gob[node](), "cache.node refers to itself")
	refused(t, Gob[map[string]empty](), "a struct without fields")
	refused(t, Gob[struct{ base }](), "base: it is not exported")
}

// kept checks that another container gets the value that Load returned from the Tier.
func kept[V any](t *testing.T, codec Codec[V], v V) {
	t.Helper()
	if s := through(t, codec, v); s.TierHits != 1 {
		t.Errorf("%T %+v did not reach the Tier: %+v", v, v, s)
	}
}

// notKept checks that another container calls Load for the value.
func notKept[V any](t *testing.T, codec Codec[V], v V) {
	t.Helper()
	if s := through(t, codec, v); s.TierHits != 0 || s.CodecErrors != 1 {
		t.Errorf("%T %+v reached the Tier, and is another value there: %+v", v, v, s)
	}
}

// through gets v in two containers, and returns the Stats of the second.
func through[V any](t *testing.T, codec Codec[V], v V) Stats {
	t.Helper()
	tier := newFakeTier()
	var c *Cache[string, any]
	for range 2 {
		var err error
		if c, err = newWith(codec, tier, v); err != nil {
			t.Fatal(err)
		}
		got, err := c.Get(background, "k")
		if err != nil || !equal(got, v) {
			t.Errorf("Get = %+v, %v; want %+v", got, err, v)
		}
	}
	return c.Stats()
}

// equal is reflect.DeepEqual, but treats equal times in different zones as equal.
func equal(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		return t.Equal(b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

func TestJSONKeeps(t *testing.T) {
	kept(t, JSON[string](), "<&>\u2028 \x00 日本")
	kept(t, JSON[int64](), math.MinInt64)
	kept(t, JSON[uint64](), math.MaxUint64)
	kept(t, JSON[float32](), math.MaxFloat32)
	kept(t, JSON[float64](), math.Copysign(0, -1))
	kept(t, JSON[*int](), nil)
	kept(t, JSON[[]byte](), []byte{0, 255})
	kept(t, JSON[[]string](), []string{})
	kept(t, JSON[[]string](), nil)
	kept(t, JSON[time.Time](), time.Now())
	kept(t, JSON[time.Time](), time.Date(2026, 7, 1, 0, 0, 0, 1, time.FixedZone("", 3600)))
	kept(t, JSON[map[netip.Addr]*big.Int](), map[netip.Addr]*big.Int{netip.MustParseAddr("::1"): big.NewInt(1)})
	kept(t, JSON[json.RawMessage](), json.RawMessage(`{"a":1e400}`))
	kept(t, JSON[struct{ P pointerMethods }](), struct{ P pointerMethods }{pointerMethods{1}})
	kept(t, JSON[[]pointerMethods](), []pointerMethods{{1}, {2}})
	kept(t, JSON[map[string]*pointerMethods](), map[string]*pointerMethods{"a": {1}})
	kept(t, JSON[ownTime](), ownTime{time.Unix(1, 1).UTC(), "n"})
	kept(t, JSON[ptrTime](), ptrTime{Name: "n"})
	kept(t, JSON[struct{ time.Time }](), struct{ time.Time }{time.Unix(1, 0).UTC()})
	kept(t, JSON[*node](), &node{1, &node{2, nil}})
	kept(t, JSON[empty](), empty{})
	kept(t, JSON[good](), good{base: base{"1", "o"}, Big: 1 << 60, Other: "1", Sub: &base{}, ByID: map[int]base{-1: {}}, Lenient: 3})
}

// The types of these values do not show that decoding changes them. They stay in
// memory.
func TestJSONDoesNotKeepWhatItChanges(t *testing.T) {
	notKept(t, JSON[string](), "a\xff")
	notKept(t, JSON[map[string]int](), map[string]int{"a\xff": 1})
	notKept(t, JSON[map[string]int](), map[string]int{"a\xff": 1, "a\xfe": 1})
	notKept(t, JSON[float64](), math.Inf(1))
	notKept(t, JSON[**int](), new(*int))
	notKept(t, JSON[*[]int](), new([]int))
	notKept(t, JSON[json.Number](), "")
	type omits struct {
		Tags []string       `json:",omitempty"`
		M    map[string]int `json:",omitempty"`
		P    *base          `json:",omitempty"`
		T    zeroIsOne      `json:",omitzero"`
	}
	kept(t, JSON[omits](), omits{P: &base{}})
	notKept(t, JSON[omits](), omits{Tags: []string{}})
	notKept(t, JSON[omits](), omits{M: map[string]int{}})
	notKept(t, JSON[omits](), omits{T: 1})
	loop := &node{}
	loop.Next = loop
	notKept(t, JSON[*node](), loop)
	notKept(t, JSON[time.Time](), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))
}

type zeroIsOne int

func (z zeroIsOne) IsZero() bool { return z == 1 }

func TestGobKeeps(t *testing.T) {
	gob.Register(map[string]any{})
	kept(t, Gob[dashed](), dashed{"n", true})
	kept(t, Gob[string](), "a\xff")
	kept(t, Gob[complex128](), 1i)
	kept(t, Gob[float64](), math.Inf(1))
	kept[any](t, Gob[any](), int64(math.MaxInt64))
	kept[any](t, Gob[any](), []byte{1})
	kept(t, Gob[map[string]any](), map[string]any{"n": int64(1) << 60, "m": map[string]any{"f": 1.0}})
	kept(t, Gob[struct{ Left }](), struct{ Left }{Left{1}})
	kept(t, Gob[ambiguous](), ambiguous{Left{1}, Right{2}})
	kept(t, Gob[*int](), nil)
	kept(t, Gob[int](), 0)
	kept(t, Gob[map[[2]int]string](), map[[2]int]string{{1, 2}: "a"})
	kept(t, Gob[time.Time](), time.Now())
}

func TestGobDoesNotKeepWhatItChanges(t *testing.T) {
	zero := 0
	notKept(t, Gob[*int](), &zero)
	notKept(t, Gob[[]string](), []string{})
	notKept(t, Gob[float64](), math.Copysign(0, -1))
	notKept[any](t, Gob[any](), struct{ X int }{1}) // not registered
	notKept(t, Gob[**int](), new(*int))
}

// Every value is either restored exactly or not encoded.
func TestCodecsNeverChange(t *testing.T) {
	type random struct {
		Left
		Name  string
		Price float64
		Bytes []byte
		Sub   *base
		ByID  map[int]base
		Rows  [][2]bool
		URLs  map[string][]string `json:",omitempty"`
	}
	for name, c := range map[string]Codec[random]{"JSON": JSON[random](), "Gob": Gob[random]()} {
		encoded := 0
		if err := quick.Check(func(v random) bool {
			b, err := c.Encode(v)
			if err != nil {
				return true
			}
			encoded++
			back, err := c.Decode(b)
			return err == nil && reflect.DeepEqual(v, back)
		}, nil); err != nil || encoded == 0 {
			t.Errorf("%s: %v; %d values were encoded", name, err, encoded)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	type product struct {
		Tenant, SKU, Name string
		Price             float64
		Stock             int
		Tags              []string
		Updated           time.Time
	}
	v := product{"tenant-1", "sku-000123", strings.Repeat("name ", 20), 12.5, 7, []string{"a", "b", "c"}, time.Unix(1, 0).UTC()}
	bare := func(v product) ([]byte, error) { return json.Marshal(&v) }
	for name, c := range map[string]Codec[product]{"JSON": JSON[product](), "Gob": Gob[product](), "json.Marshal": {Encode: bare, Decode: JSON[product]().Decode}} {
		data, err := c.Encode(v)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("Encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Encode(v)
			}
			b.ReportMetric(float64(len(data)), "bytes")
		})
		b.Run("Decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Decode(data)
			}
		})
	}
}
