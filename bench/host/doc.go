// Package host runs serverless functions as their clouds do: the user's own binary, as
// an ordinary process, behind the real protocol, in an execution environment that
// freezes, crashes and ends.
//
// Code that keeps data between invocations fails at the edges of a container's life: a
// time-out kills the process and leaves half a file in /tmp; a freeze stops it in the
// middle of a request; a new process finds the files of an old one. Here those edges
// are methods:
//
//	env, err := host.Lambda{Binary: "./bootstrap"}.Environment()
//	...
//	defer env.Close()                                 // removes /tmp
//	res, err := env.Invoke(ctx, []byte(`{"sku": 7}`)) // Cold
//	res, err = env.Invoke(ctx, []byte(`{"sku": 7}`))  // Warm: same process
//	err = env.Freeze()                                // as Lambda does between invocations
//	res, err = env.Invoke(ctx, []byte(`{"sku": 7}`))  // Thawed: same process, later
//	env.Crash()                                       // the process dies, /tmp stays
//	res, err = env.Invoke(ctx, []byte(`{"sku": 7}`))  // Restarted: new process, old /tmp
//
// An OpenWhisk action runs in a Container with the same methods. There a crash removes
// /tmp too, and the next start is Cold. Both implement Sandbox.
//
// The binary is unmodified. A Lambda uses the Runtime API over HTTP, on 127.0.0.1; an
// action speaks the ActionLoop, on stdin and file descriptor 3, with OpenWhisk's
// environment variables alone. Panics, os.Exit, kills, open files, clocks, sockets and
// extensions are real. A freeze stops every thread. These things differ:
//
//   - There is no sandbox: the function has the host's file system, network, user,
//     memory and CPU. TMPDIR replaces /tmp, so that environments can run side by side.
//     A function must use os.TempDir instead of "/tmp".
//   - A freeze is SIGSTOP. CLOCK_MONOTONIC continues, as with the cgroup freezer, and
//     unlike in a paused virtual machine: due timers fire at the thaw, and time.Since
//     includes the freeze. Freezing needs Linux.
//   - The telemetry and logs APIs answer that they are not supported, as those of
//     AWS's own emulator do.
//   - OpenWhisk's API, its proxy with /init and /run, its compiler and the end marker
//     after the logs of an activation are missing. Actions need Unix.
//   - Children of the function freeze and die with it if they stay in its process
//     group. On Linux so do those in other groups and sessions, except orphans without
//     TMPDIR. If the host itself is killed, only the function's own process is certain
//     to die with it, and only on Linux.
package host
