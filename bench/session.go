package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// guest is the tenant of an event, where OpenWhisk has a word on it: the namespace.
const guest = "guest"

func sessionEnv(o *origins) []string {
	return []string{"SESSION_DB=" + o.sessions, "ORIGIN_TOLL=" + o.toll.Addr()}
}

func sessionEvent(int) string {
	return fmt.Sprintf(`{"tenant":%q,"do":"request","session":%q}`, guest, loggedIn)
}

// loggedIn is the session that the events are about.
var loggedIn string

// logIn makes the session, by the action itself.
func logIn(ctx context.Context, e example, o *origins) error {
	env, err := e.lambda(o).Environment()
	if err != nil {
		return err
	}
	defer env.Close()
	res, err := env.Invoke(ctx, fmt.Appendf(nil, `{"tenant":%q,"do":"login","user":"ann"}`, guest))
	if err != nil {
		return err
	}
	if res.FunctionError != nil {
		return res.FunctionError
	}
	var out struct{ Session string }
	err = json.Unmarshal(res.Payload, &out)
	loggedIn = out.Session
	return err
}
