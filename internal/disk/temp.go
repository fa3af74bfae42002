package disk

import (
	"strconv"
	"strings"
	"sync"

	"github.com/warmcache/warmcache/internal/clock"
)

// TempPrefix is the prefix of files under construction.
const TempPrefix = ".tmp-"

var ownTemps = sync.OnceValue(func() string {
	return TempPrefix + strconv.FormatUint(clock.Random(), 16) + "-"
})

// OwnTemp reports whether name is a temporary file of this process.
func OwnTemp(name string) bool { return strings.HasPrefix(name, ownTemps()) }

func tempName() string { return ownTemps() + strconv.FormatUint(clock.Random(), 16) }
