package clock

import "time"

// LongestInvocation is longer than a host lets an invocation run. Anything of a
// function that is older was frozen or left behind.
const LongestInvocation = 15 * time.Minute
