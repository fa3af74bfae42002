package host_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The test binary is also the function: with this variable set it runs as the
// function of that name instead of the tests.
const roleVariable = "HOST_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		roles[role]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
