// Package host runs serverless functions the way their clouds do: the user's
// own binary, as an ordinary process, behind the real protocol, in an
// execution environment that lives, freezes and dies.
//
// Code that keeps things between invocations goes wrong at the edges of a
// container's life: a time-out kills the process and leaves half a file in
// /tmp; a freeze stops it in the middle of a request; a new process finds the
// files of an old one. Here those edges are methods:
//
//	env, err := host.Lambda{Binary: "./bootstrap"}.Environment()
//	...
//	defer env.Close()
//	res, err := env.Invoke(ctx, []byte(`{"sku": 7}`)) // Cold
//	res, err = env.Invoke(ctx, []byte(`{"sku": 7}`))  // Warm: same process
//	err = env.Freeze()                                // as Lambda does between invocations
//	res, err = env.Invoke(ctx, []byte(`{"sku": 7}`))  // Thawed: same process, later
//	env.Crash()                                       // the process dies, /tmp stays
//	res, err = env.Invoke(ctx, []byte(`{"sku": 7}`))  // Restarted: new process, old /tmp
//	env.Close()                                       // removes /tmp as well
//
// An OpenWhisk action runs in a Container with the same methods. There a crash removes
// /tmp too, and the next start is Cold. Both implement Sandbox.
//
// # Real
//
// The binary is unmodified. A Lambda talks to the Runtime API over HTTP, on
// 127.0.0.1; an action speaks the ActionLoop, on stdin and file descriptor 3,
// with no other environment than OpenWhisk's. Its process is a real one, so
// panics, os.Exit, kills, open files, clocks and sockets behave as they do
// there. A freeze stops every thread of it.
//
// # Not real
//
//   - There is no sandbox: the function has the host's file system, network,
//     user and all of its memory and CPU. Only TMPDIR is its own, instead of
//     /tmp, so that environments can live side by side. A function must ask
//     os.TempDir, not say "/tmp".
//   - A freeze is SIGSTOP. CLOCK_MONOTONIC runs on meanwhile, as it does under
//     the cgroup freezer and does not when a virtual machine is paused: timers
//     that fell due fire at once at the thaw, and time.Since counts the freeze.
//     Freezing needs Linux, everything else runs elsewhere too.
//   - The telemetry and logs APIs answer that they are not supported, as those of
//     AWS's own emulator do. Extensions, external and internal, are real.
//   - OpenWhisk's API, its proxy with /init and /run, its compiler and the end marker
//     after the logs of an activation are missing: an action's process cannot see them.
//     Actions need Unix.
//   - Children of the function freeze and die with it as long as they stay in its
//     process group; on Linux also those in other groups and sessions, unless their
//     parent is gone and they have dropped TMPDIR. When the host itself is killed,
//     only the function's own process is certain to die with it, and only on Linux.
package host
