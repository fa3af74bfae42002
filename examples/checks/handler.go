package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/warmcache/warmcache/filecache"
)

// In is the event: a scanned check. Each bank has a bucket.
type In struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// Out is the answer and the saved record. A rejected check has a reason and no text
// of the scan.
type Out struct {
	Bucket      string   `json:"bucket"`
	Key         string   `json:"key"`
	Status      string   `json:"status"` // parsed or rejected
	Account     string   `json:"account,omitempty"`
	Customer    string   `json:"customer,omitempty"`
	AmountCents int64    `json:"amount_cents,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Copies      []string `json:"copies,omitempty"` // keys of the smaller images
}

const (
	parsed   = "parsed"
	rejected = "rejected"
)

// A rejection is the reason why a check is invalid, as opposed to an error of the
// system.
type rejection string

func (r rejection) Error() string { return string(r) }

// handle answers one event. It does not depend on the host.
func handle(ctx context.Context, in In) (Out, error) {
	out, err := answer(ctx, in)
	if err != nil {
		return Out{}, fmt.Errorf("checks: s3://%s/%s: %w", in.Bucket, in.Key, err)
	}
	return out, nil
}

func answer(ctx context.Context, in In) (Out, error) {
	if in.Bucket == "" || in.Key == "" {
		return Out{}, errors.New("the event has no bucket or no key")
	}
	s, err := configuration()
	if err != nil {
		return Out{}, err
	}
	dir, remove, err := workSpace()
	if err != nil {
		return Out{}, err
	}
	defer remove()
	out, err := s.process(ctx, in, dir)
	if err != nil {
		return Out{}, err
	}
	return out, s.save(ctx, out)
}

// process reads the check. Its files are in dir, which is empty at first. So it
// cannot read the output of an earlier OCR by mistake.
func (s *settings) process(ctx context.Context, in In, dir string) (Out, error) {
	out := Out{Bucket: in.Bucket, Key: in.Key}
	var why rejection
	switch err := s.fill(ctx, &out, dir); {
	case errors.As(err, &why):
		return Out{Bucket: in.Bucket, Key: in.Key, Status: rejected, Reason: string(why), Copies: out.Copies}, nil
	case err != nil:
		return Out{}, err
	}
	out.Status = parsed
	return out, nil
}

func (s *settings) fill(ctx context.Context, out *Out, dir string) error {
	scan, err := s.scan(ctx, out.Bucket, out.Key)
	if err != nil {
		return err
	}
	img, err := decode(scan)
	if err != nil {
		return err
	}
	if out.Copies, err = s.uploadCopies(ctx, img, out.Bucket, out.Key); err != nil {
		return err
	}
	text, err := s.recognize(ctx, img, dir)
	if err != nil {
		return err
	}
	if out.Account, out.AmountCents, err = parse(text); err != nil {
		return err
	}
	c, err := s.customer(ctx, CustomerKey{Bank: out.Bucket, Account: out.Account})
	if err != nil {
		return err
	}
	if out.AmountCents > c.LimitCents {
		return rejection("the amount is over the customer's limit")
	}
	out.Customer = c.Name
	return nil
}

// files keeps the trained data and the work spaces in /tmp.
var files = filecache.Must(filecache.New(filecache.Options{
	MaxAge: filecache.Immutable, // a new version has a new key
}))

// plain disables the caches: WARMCACHE=off fetches the data and queries the
// database on each invocation. The answers are the same.
func plain() bool { return os.Getenv("WARMCACHE") == "off" }

// workSpace creates a directory for one invocation. If the process is killed, a
// later Scratch removes it.
func workSpace() (dir string, remove func() error, err error) {
	if !plain() {
		return files.Scratch()
	}
	dir, err = os.MkdirTemp("", "checks-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}
