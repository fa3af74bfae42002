// Command raw is a Lambda function without any library, and with every bad habit: its
// event says which.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type event struct {
	Do     string `json:"do"`
	Status int    `json:"status"`
	Daemon string `json:"daemon"`
}

func main() {
	switch os.Getenv("START") {
	case "lock": // a start after a crash finds the lock of the one before
		f, err := os.OpenFile(filepath.Join(os.TempDir(), "lock"), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			fmt.Fprintln(os.Stderr, "another one runs")
			os.Exit(1)
		}
		f.Close()
	case "seventh":
		if starts(os.Getenv("COUNTER"))%7 == 0 {
			os.Exit(1)
		}
	}
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		res, err := http.Get(api + "next")
		if err != nil {
			panic(err)
		}
		var e event
		if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
			panic(err)
		}
		res.Body.Close()
		answer(api+res.Header.Get("Lambda-Runtime-Aws-Request-Id"), e)
	}
}

func starts(file string) int {
	b, _ := os.ReadFile(file)
	n, _ := strconv.Atoi(string(b))
	n++
	if err := os.WriteFile(file, []byte(strconv.Itoa(n)), 0o600); err != nil {
		panic(err)
	}
	return n
}

func answer(invocation string, e event) {
	switch e.Do {
	case "hang":
		time.Sleep(time.Hour)
	case "stream":
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "first ")
			time.Sleep(500 * time.Millisecond)
			io.WriteString(w, "last")
			w.Close()
		}()
		post(invocation+"/response", r, "streaming")
	case "daemon": // with no variable and no parent by which it could be found
		cmd := exec.Command("/bin/sh", "-c", "setsid "+e.Daemon+" >/dev/null 2>&1 &")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
		if err := cmd.Run(); err != nil {
			panic(err)
		}
		post(invocation+"/response", strings.NewReader(`{}`), "")
	case "tell":
		post(invocation+"/error", strings.NewReader(`{"errorType":"Refused","errorMessage":"cannot log in at `+os.Getenv("SHOP_URL")+` with `+os.Getenv("TOKEN")+` or `+os.Getenv("DB_URL")+` or `+os.Getenv("DB_URL2")+`"}`), "")
	case "handler":
		post(invocation+"/response", strings.NewReader(`"`+os.Getenv("_HANDLER")+`"`), "")
	case "http":
		post(invocation+"/response", strings.NewReader(fmt.Sprintf(`{"statusCode":%d,"body":"b"}`, e.Status)), "")
	default:
		post(invocation+"/response", strings.NewReader(`{"hello":"world"}`), "")
	}
}

func post(url string, body io.Reader, mode string) {
	req, err := http.NewRequest("POST", url, body)
	if err != nil {
		panic(err)
	}
	if mode != "" {
		req.Header.Set("Lambda-Runtime-Function-Response-Mode", mode)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	io.Copy(new(bytes.Buffer), res.Body)
	res.Body.Close()
}
