package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/examples/checks/checktest"
)

const (
	scanBucket = "north-bank"
	copyBucket = "copies"
	dataKey    = "ocr/eng.traineddata"
)

func checksEnv(o *origins) []string {
	return append(o.s3Env(), "TESSDATA_BUCKET="+modelBucket, "TESSDATA_KEY="+dataKey, "COPIES_BUCKET="+copyBucket,
		"CHECKS_DB="+o.checks, "ORIGIN_TOLL="+o.toll.Addr())
}

func checksEvent(int) string { return `{"bucket":"north-bank","key":"ada.png"}` }

// putChecks stores a scan, the data of the OCR program and the customers.
func putChecks(ctx context.Context, _ example, o *origins) error {
	data, err := checktest.TrainedData()
	if errors.Is(err, checktest.ErrNotInstalled) {
		return fmt.Errorf("%w: it reads scans with tesseract: %w", errSkip, err)
	}
	if err != nil {
		return err
	}
	for _, bucket := range []string{scanBucket, copyBucket} {
		if err := o.s3.CreateBucket(ctx, bucket); err != nil {
			return err
		}
	}
	return errors.Join(
		o.s3.Put(ctx, modelBucket, dataKey, data),
		o.s3.Put(ctx, scanBucket, "ada.png", checktest.Check("40817263", "1,234.56")),
		fillChecks(ctx, o.checks))
}

func fillChecks(ctx context.Context, file string) error {
	source, err := checkout.Examples()
	if err != nil {
		return err
	}
	statements, err := os.ReadFile(filepath.Join(source, "checks", "testdata", "checks.sql"))
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, string(statements))
	return err
}
