//go:build unix

package token

import (
	"io/fs"
	"os"
	"syscall"
)

// private tells whether only the user who runs this, and root, can read or write it.
func private(there fs.FileInfo) bool {
	owner, ok := there.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Getuid() && there.Mode().Perm()&0o077 == 0
}
