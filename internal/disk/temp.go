package disk

import (
	"strconv"
	"strings"
	"sync"

	"github.com/warmcache/warmcache/internal/clock"
)

// TempPrefix starts the names of files under construction.
const TempPrefix = ".tmp-"

var ownTemps = sync.OnceValue(func() string {
	return TempPrefix + strconv.FormatUint(clock.Random(), 16) + "-"
})

// OwnTemp reports whether this process is writing the file of that name.
func OwnTemp(name string) bool { return strings.HasPrefix(name, ownTemps()) }

func tempName() string { return ownTemps() + strconv.FormatUint(clock.Random(), 16) }
