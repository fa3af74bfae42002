package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Credentials are a user's name and password. The password is unexported, so JSON
// omits it and cache.New refuses a Tier for it. Format and LogValue keep it out of logs.
type Credentials struct {
	User     string
	password string
}

// Format implements fmt.Formatter for all verbs: %+v would print the password.
func (c Credentials) Format(w fmt.State, _ rune) { io.WriteString(w, c.description()) }

// LogValue implements slog.LogValuer.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.description()) }

func (c Credentials) description() string { return fmt.Sprintf("credentials of %q", c.User) }

// parseCredentials reads the form that Secrets Manager uses for databases. Its error
// does not wrap that of encoding/json, which quotes parts of its input.
func parseCredentials(secret string) (Credentials, error) {
	var fields struct{ Username, Password string }
	if err := json.Unmarshal([]byte(secret), &fields); err != nil || fields.Username == "" || fields.Password == "" {
		return Credentials{}, errors.New(`it must be a JSON object {"username": ..., "password": ...}`)
	}
	return Credentials{User: fields.Username, password: fields.Password}, nil
}
