package host

import (
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

const region = "us-east-1"

// variables returns the environment of a function on an OS-only runtime
// (provided.al2023), without credentials. Lambda defines neither HOME nor
// AWS_EXECUTION_ENV there. Lambda has no TMPDIR either, but an empty /tmp.
func (l Lambda) variables(api, logStream, tmp string) []string {
	root := filepath.Dir(l.Binary)
	v := append(l.sharedVariables(api),
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/"+l.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME="+logStream,
		"LAMBDA_TASK_ROOT="+root,
		"LAMBDA_RUNTIME_DIR=/var/runtime",
		"LD_LIBRARY_PATH=/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:"+root+":"+root+"/lib:/opt/lib",
		"_HANDLER="+l.Handler,
		"TMPDIR="+tmp,
	)
	if l.Concurrency > 1 {
		v = append(v, "AWS_LAMBDA_MAX_CONCURRENCY="+strconv.Itoa(l.Concurrency))
	}
	return append(v, l.Env...)
}

// extensionVariables returns the environment of an extension, which is smaller.
func (l Lambda) extensionVariables(api, tmp string) []string {
	return append(append(l.sharedVariables(api), l.Env...), "TMPDIR="+tmp)
}

func (l Lambda) sharedVariables(api string) []string {
	initialization := "on-demand"
	if l.Concurrency > 1 {
		initialization = "lambda-managed-instances"
	}
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + api,
		"AWS_LAMBDA_FUNCTION_NAME=" + l.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=" + l.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(l.MemoryMB),
		"AWS_LAMBDA_INITIALIZATION_TYPE=" + initialization,
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region,
		"LANG=en_US.UTF-8",
		"TZ=:UTC",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
	}
}

// newLogStream returns a unique name.
func (l Lambda) newLogStream() string {
	return fmt.Sprintf("%s[%s]%x", time.Now().UTC().Format("2006/01/02/"), l.Version, random(16))
}

func newRequestID() string {
	b := random(16)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func newTraceID() string {
	return fmt.Sprintf("Root=1-%08x-%x;Parent=%x;Sampled=0", time.Now().Unix(), random(12), random(8))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
