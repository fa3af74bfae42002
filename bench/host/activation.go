package host

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Activation is an event with its metadata. Every field may be empty.
type Activation struct {
	// Value holds the parameters, a JSON object or array. Default: {}.
	Value []byte

	// ID is the activation's id. Default: a new random one.
	ID string

	// TransactionID is the id of the request that led to the activation.
	// Default: a new random one.
	TransactionID string

	// APIKey is for an action with the annotation provide-api-key. Default: absent.
	APIKey string
}

// The limits of an activation, in bytes.
const (
	maxValue  = 1 << 20
	maxResult = 1 << 20
)

func (a Activation) withDefaults() Activation {
	if len(a.Value) == 0 {
		a.Value = []byte("{}")
	}
	a.ID, a.TransactionID = cmp.Or(a.ID, fmt.Sprintf("%x", random(16))), cmp.Or(a.TransactionID, fmt.Sprintf("%x", random(16)))
	return a
}

func (a Activation) check() error {
	if len(a.Value) > maxValue {
		return fmt.Errorf("parameters of %d bytes, at most %d are allowed", len(a.Value), maxValue)
	}
	if !isObjectOrArray(a.Value) {
		return errors.New("the parameters are not a JSON object or array")
	}
	return nil
}

func isObjectOrArray(b []byte) bool {
	b = bytes.TrimLeft(b, " \t\r\n")
	return len(b) > 0 && (b[0] == '{' || b[0] == '[') && json.Valid(b)
}

// line returns the activation as the action reads it.
func (a Activation) line(w OpenWhisk, deadline time.Time) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(struct { // cannot fail: the value has been checked
		Value         json.RawMessage `json:"value"`
		Namespace     string          `json:"namespace"`
		ActionName    string          `json:"action_name"`
		ActionVersion string          `json:"action_version"`
		ActivationID  string          `json:"activation_id"`
		TransactionID string          `json:"transaction_id"`
		Deadline      string          `json:"deadline"`
		APIKey        string          `json:"api_key,omitempty"`
	}{a.Value, w.Namespace, w.fullName(), w.Version, a.ID, a.TransactionID, epochMillis(deadline), a.APIKey})
	return b.Bytes()
}

// variables returns the environment of an action's process, which is started for the
// activation. OpenWhisk sets nothing else: no PATH, no HOME, no TZ. Only TMPDIR is
// added.
func (w OpenWhisk) variables(a Activation, deadline time.Time, tmp string) []string {
	v := []string{
		"__OW_PROXY_VERSION=1.17.1",
		"__OW_WAIT_FOR_ACK=1",
		"__OW_API_HOST=https://openwhisk.invalid",
		"__OW_NAMESPACE=" + w.Namespace,
		"__OW_ACTION_NAME=" + w.fullName(),
		"__OW_ACTION_VERSION=" + w.Version,
		"__OW_ACTIVATION_ID=" + a.ID,
		"__OW_TRANSACTION_ID=" + a.TransactionID,
		"__OW_DEADLINE=" + epochMillis(deadline),
	}
	if a.APIKey != "" {
		v = append(v, "__OW_API_KEY="+a.APIKey)
	}
	return append(append(v, "TMPDIR="+tmp), w.Env...)
}

func epochMillis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
