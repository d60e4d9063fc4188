package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// A stateDir is the directory of the simulated hosts and of DynamoDB Local's tables.
type stateDir struct {
	path string
	kept bool     // otherwise it is removed at the end
	lock *os.File // no other system uses the directory while it is open
}

// openStateDir opens STATE_DIR, which is kept, or makes a new directory.
func (s settings) openStateDir() (*stateDir, error) {
	if s.stateDir == "" {
		path, err := os.MkdirTemp("", "dcv-session-broker-")
		return &stateDir{path: path}, err
	}
	if err := os.MkdirAll(s.stateDir, 0o755); err != nil {
		return nil, fmt.Errorf("STATE_DIR: %w", err)
	}
	lock, err := lockFile(filepath.Join(s.stateDir, "lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("STATE_DIR=%s is in use%s. End that, or give this one another STATE_DIR", s.stateDir, by(lock))
	}
	if err != nil {
		return nil, fmt.Errorf("STATE_DIR: %w", err)
	}
	return &stateDir{path: s.stateDir, kept: true, lock: lock}, nil
}

// lockFile locks a file as long as it is open. The kernel closes it when this process
// dies; the scripts of hosts do not inherit it.
func lockFile(name string) (*os.File, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return file, fmt.Errorf("lock %s: %w", name, err)
	}
	return file, nil
}

// owned writes into the lock which process has it, for the message to one that is refused.
func (d *stateDir) owned(address string) error {
	if d.lock == nil {
		return nil
	}
	if err := d.lock.Truncate(0); err != nil {
		return err
	}
	_, err := d.lock.WriteAt(fmt.Appendf(nil, "process %d at %s", os.Getpid(), address), 0)
	return err
}

// by returns which process has locked a file, and closes the file.
func by(file *os.File) string {
	defer file.Close()
	owner, err := io.ReadAll(io.LimitReader(file, 200))
	if err != nil || len(owner) == 0 {
		return ""
	}
	return " by " + string(owner)
}

func (d *stateDir) close() {
	if d.kept {
		d.lock.Close()
		return
	}
	os.RemoveAll(d.path)
}

// tables returns the directory of DynamoDB Local's tables; "": in memory only.
func (d *stateDir) tables() string {
	if !d.kept {
		return ""
	}
	return filepath.Join(d.path, "dynamodb")
}

func (d *stateDir) left() string {
	if !d.kept {
		return ""
	}
	return " " + d.path + " has the state for the next start."
}
