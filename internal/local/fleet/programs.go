package fleet

import (
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed dcv.sh
var dcv []byte

// programs has what else the hosts' scripts find in place of this machine's programs: the user database, the programs that
// change rights, and zenity. So a notice neither needs nor touches this machine's users and screens.
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

// noticesDir is where the notify script keeps what it knows of a host's notices, in memory.
func (f *Fleet) noticesDir(hostID string) string { return filepath.Join(f.hostDir(hostID), "notices") }

// screenDir has a file for each window that is shown on a host.
func (f *Fleet) screenDir(hostID string) string { return filepath.Join(f.hostDir(hostID), "screen") }

// screen is what a host's windows show.
func (f *Fleet) screen(hostID string) (shown []string, err error) {
	windows, err := os.ReadDir(f.screenDir(hostID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, w := range windows {
		text, err := os.ReadFile(filepath.Join(f.screenDir(hostID), w.Name()))
		switch {
		case strings.Contains(w.Name(), "."), errors.Is(err, fs.ErrNotExist): // it is not there yet, or no more
		case err != nil:
			return nil, err
		default:
			shown = append(shown, string(text))
		}
	}
	slices.Sort(shown)
	return shown, nil
}

// closeWindows ends what is shown on a host.
func (f *Fleet) closeWindows(hostID string) error { return os.RemoveAll(f.screenDir(hostID)) }

// forgetNotices ends a host's windows and forgets its notices, as when it stops.
func (f *Fleet) forgetNotices(hostID string) error {
	return errors.Join(f.closeWindows(hostID), os.RemoveAll(f.noticesDir(hostID)))
}
