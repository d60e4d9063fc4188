package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Notice is a window that was shown to a session's users.
type Notice struct {
	HostID    string `json:"HostId"`
	SessionID string `json:"Id"`
	Owner     string
	At        time.Time // by the host's clock
	Text      string
	Shown     bool // whether it is still on the screen
}

// Notices returns all windows that users of the hosts were shown, by host and time.
func (f *Fleet) Notices() ([]Notice, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []Notice{}
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		windows, err := os.ReadDir(filepath.Join(f.hostDir(id), "shown"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, w := range windows {
			if strings.HasSuffix(w.Name(), ".part") {
				continue // it is not there yet
			}
			n, err := f.notice(id, w.Name())
			if err != nil {
				return nil, fmt.Errorf("host %s: window %s: %w", id, w.Name(), err)
			}
			all = append(all, n)
		}
	}
	return all, nil
}

// notice reads the files of a window that the stand-in for zenity has written.
func (f *Fleet) notice(hostID, window string) (Notice, error) {
	dir := filepath.Join(f.hostDir(hostID), "shown", window)
	s, err := readSession(filepath.Join(dir, "session.json"))
	if err != nil {
		return Notice{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "text"))
	if err != nil {
		return Notice{}, err
	}
	seconds, _, _ := strings.Cut(window, "-")
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Notice{}, err
	}
	_, gone := os.Stat(filepath.Join(f.screenDir(hostID), window))
	return Notice{hostID, s.ID, s.Owner, time.Unix(at, 0).UTC(), string(text), gone == nil}, nil
}

// noticesDir returns the host's directory of the notify script's state, which on a real host is in memory.
func (f *Fleet) noticesDir(hostID string) string { return filepath.Join(f.hostDir(hostID), "notices") }

// screenDir returns the directory with a file for each window that is shown on a host.
func (f *Fleet) screenDir(hostID string) string { return filepath.Join(f.hostDir(hostID), "screen") }

// closeWindows closes the windows on a host.
func (f *Fleet) closeWindows(hostID string) error { return os.RemoveAll(f.screenDir(hostID)) }

// forgetNotices closes a host's windows and deletes its notices, as a stop does.
func (f *Fleet) forgetNotices(hostID string) error {
	return errors.Join(f.closeWindows(hostID), os.RemoveAll(f.noticesDir(hostID)))
}
