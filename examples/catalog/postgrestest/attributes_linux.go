package postgrestest

import "syscall"

// attributes returns the process attributes to run as that account.
func attributes(uid, gid int) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
