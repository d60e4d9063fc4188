package fleet

import (
	"embed"
	"path/filepath"
)

//go:embed dcv.sh
var dcv []byte

// programs has stand-ins for other programs that the hosts' scripts use: the user database, programs that change rights,
// and zenity. So a notice does not use this machine's users and screens.
//
//go:embed programs
var programs embed.FS

// writePrograms writes the programs that are the same on all hosts.
func (f *Fleet) writePrograms() error {
	bin := filepath.Join(f.dir, "bin")
	if err := writeExecutable(filepath.Join(bin, "dcv"), dcv); err != nil {
		return err
	}
	found, err := programs.ReadDir("programs")
	if err != nil {
		return err
	}
	for _, p := range found {
		content, err := programs.ReadFile("programs/" + p.Name())
		if err != nil {
			return err
		}
		if err := writeExecutable(filepath.Join(bin, p.Name()), content); err != nil {
			return err
		}
	}
	return nil
}
