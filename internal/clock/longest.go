package clock

import "time"

// LongestInvocation is longer than a host lets an invocation run. Any older work of a
// function was frozen or left behind.
const LongestInvocation = 15 * time.Minute
