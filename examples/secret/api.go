package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/warmcache/warmcache/examples/internal/toll"
)

// api is the service that wants the password. A database is the same: its driver
// returns an error for a failed login, such as SQLSTATE 28P01 of PostgreSQL.
type api struct{ url string }

// errRejected is the error of a login that the API has refused.
var errRejected = errors.New("the API rejects the credentials")

func apiFromEnv() (api, error) {
	base := os.Getenv("API_URL")
	if u, err := url.Parse(base); err != nil || u.Host == "" || u.User != nil {
		return api{}, errors.New("API_URL must be the URL of the API, without a password") // the value may have one
	}
	return api{base}, nil
}

func (a api) balance(ctx context.Context, c Credentials, account string) (int64, error) {
	if err := toll.Pay(ctx, "balance"); err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+"/balance?account="+url.QueryEscape(account), nil)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth(c.User, c.password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return 0, errRejected
	default:
		return 0, fmt.Errorf("the API answers %s", resp.Status)
	}
	var body struct{ Cents int64 }
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<10)).Decode(&body); err != nil {
		return 0, fmt.Errorf("the API's answer: %w", err)
	}
	return body.Cents, nil
}
