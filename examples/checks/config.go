package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache/s3source"
)

// settings are shared by all invocations of a process.
type settings struct {
	client    *s3.Client
	tessdata  s3source.Bucket // has the trained data
	language  string          // of the trained data, such as "eng"
	dataKey   string
	copies    string // the bucket for the smaller copies
	tesseract string // path of the OCR program
	db        store
}

// configuration does not use the context of an invocation, because the clients
// outlive it.
var configuration = sync.OnceValues(configure)

func configure() (*settings, error) {
	s := &settings{tesseract: tesseractProgram()}
	for name, value := range map[string]*string{
		"TESSDATA_BUCKET": &s.tessdata.Name, "TESSDATA_KEY": &s.dataKey, "COPIES_BUCKET": &s.copies,
	} {
		if *value = os.Getenv(name); *value == "" {
			return nil, fmt.Errorf("%s is not set", name)
		}
	}
	var ok bool
	if s.language, ok = strings.CutSuffix(path.Base(s.dataKey), ".traineddata"); !ok || s.language == "" {
		return nil, fmt.Errorf("TESSDATA_KEY is %q: it must end in LANGUAGE.traineddata", s.dataKey)
	}
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return nil, fmt.Errorf("configure the S3 client: %w", err)
	}
	s.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("S3_PATH_STYLE") == "1" // most servers other than Amazon's need it
		o.DisableLogOutputChecksumValidationSkipped = true // avoids a useless warning for each download
	})
	s.tessdata.Client = s.client
	s.db, err = openStore()
	return s, err
}

// tesseractProgram has a fallback for OpenWhisk, which sets no PATH.
func tesseractProgram() string {
	if name := os.Getenv("TESSERACT"); name != "" {
		return name
	}
	if name, err := exec.LookPath("tesseract"); err == nil {
		return name
	}
	return "/usr/bin/tesseract"
}
