package host_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/warmcache/warmcache/bench/host"
)

// The life of an OpenWhisk action that counts its calls. Unlike a Lambda it
// loses its files with its process.
func ExampleOpenWhisk() {
	ctx := context.Background()
	c, err := host.OpenWhisk{
		Binary: os.Args[0], // yours: "./exec"
		Env:    []string{"HOST_TEST_ROLE=counter-action"},
	}.Container()
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	invoke := func(parameters string) {
		res, err := c.Invoke(ctx, []byte(parameters))
		if err != nil {
			log.Fatal(err)
		}
		if res.FunctionError != nil {
			fmt.Println(res.Start, res.FunctionError)
			return
		}
		fmt.Println(res.Start, string(res.Payload))
	}

	invoke(`{"say":"hello"}`)
	invoke(`{"say":"hello"}`)
	if err := c.Freeze(); err != nil { // Linux only
		log.Fatal(err)
	}
	invoke(`{"say":"hello"}`)
	invoke(`{"say":"panic"}`)
	invoke(`{"say":"hello"}`)
	// Output:
	// cold {"calls":1,"files":1}
	// warm {"calls":2,"files":2}
	// thawed {"calls":3,"files":3}
	// warm Runtime.ExitError: command exited: exit status 2
	// cold {"calls":1,"files":1}
}
