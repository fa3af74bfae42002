package host_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

// The life of an environment, seen from a function that counts its calls.
func Example() {
	ctx := context.Background()
	env, err := host.Lambda{
		Binary:  os.Args[0], // yours: "./bootstrap"
		Env:     []string{"HOST_TEST_ROLE=counter"},
		Timeout: time.Minute,
	}.Environment()
	if err != nil {
		log.Fatal(err)
	}
	defer env.Close()

	invoke := func(event string) {
		res, err := env.Invoke(ctx, []byte(event))
		if err != nil {
			log.Fatal(err)
		}
		if res.FunctionError != nil {
			fmt.Println(res.Start, res.FunctionError)
			return
		}
		fmt.Println(res.Start, string(res.Payload))
	}

	invoke(`"hello"`)
	invoke(`"hello"`)
	if err := env.Freeze(); err != nil { // Linux only
		log.Fatal(err)
	}
	invoke(`"hello"`)
	invoke(`"panic"`)
	invoke(`"hello"`)
	// Output:
	// cold {"calls":1,"files":1}
	// warm {"calls":2,"files":2}
	// thawed {"calls":3,"files":3}
	// warm string: out of luck
	// restarted {"calls":1,"files":4}
}
