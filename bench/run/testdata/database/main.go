// Command database is a Lambda function that sends two statements to its database,
// and knows nothing of where that is.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	u, err := url.Parse(os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		panic(err)
	}
	answers := bufio.NewReader(c)
	lambda.Start(func() (answer string, err error) {
		for n := range 2 {
			fmt.Fprintf(c, "statement %d\n", n)
			if answer, err = answers.ReadString('\n'); err != nil {
				return "", err
			}
		}
		return answer, nil
	})
}
