package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

var errHostStopped = errors.New("the host was stopped")

// Stop stops a host: its scripts are killed and its sessions end, since both live in its memory. It returns when the
// host has stopped. What the agent was doing it does again after the next start, like the real one.
func (f *Fleet) Stop(hostID string) error {
	f.power.Lock()
	defer f.power.Unlock()
	var dying []script
	err := f.change(func() error {
		h, err := f.known(hostID)
		if err != nil || h.Off {
			return err
		}
		h.Off = true
		f.instanceChanged(h, "stopping")
		for _, s := range h.running {
			dying = append(dying, s)
		}
		h.interrupt(errHostStopped)
		return f.save(h)
	})
	if err != nil {
		return err
	}
	for _, s := range dying {
		<-s.ended
	}
	return f.change(func() error {
		h := f.hosts[hostID]
		if !h.Off {
			return nil
		}
		f.instanceChanged(h, "stopped")
		return f.endAll(hostID)
	})
}

// Start starts a stopped host. If it ever had the automatic console session, it has it again: a new one, of the same
// name and owner.
func (f *Fleet) Start(hostID string) error {
	f.power.Lock()
	defer f.power.Unlock()
	return f.change(func() error {
		h, err := f.known(hostID)
		if err != nil || !h.Off {
			return err
		}
		h.Off = false
		f.instanceChanged(h, "pending")
		f.instanceChanged(h, "running")
		if h.Console != nil {
			console := *h.Console
			if err := f.startSession(h, &console); err != nil {
				return err
			}
		}
		f.goOn(h)
		return f.save(h)
	})
}

// Disconnect takes the host from Systems Manager, which then refuses commands for it with InvalidInstanceId. Scripts run
// on, but nobody learns how they ended until Reconnect.
func (f *Fleet) Disconnect(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Disconnected = true; return nil })
}

// Reconnect undoes Disconnect.
func (f *Fleet) Reconnect(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Disconnected = false; return nil })
}

// Untag takes the fleet's tag from the host: the policy of whoever sends commands then denies them for it.
func (f *Fleet) Untag(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Untagged = true; return nil })
}

// Tag undoes Untag.
func (f *Fleet) Tag(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Untagged = false; return nil })
}

// Break makes every call of the host's dcv fail.
func (f *Fleet) Break(hostID string) error {
	return f.set(hostID, func(h *host) error {
		text := "Could not connect to the DCV server: is dcvserver running?\n"
		return writeWhole(filepath.Join(f.StateDir(h.id), "broken"), []byte(text), 0o644)
	})
}

// Mend undoes Break, and whatever else ails the host's DCV server.
func (f *Fleet) Mend(hostID string) error {
	return f.set(hostID, func(h *host) error {
		for _, name := range []string{"broken", "hang", "garbage"} {
			if err := os.Remove(filepath.Join(f.StateDir(h.id), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// SetPlatform makes the host a Windows machine, or a Linux one again. Windows hosts answer Systems Manager as they
// would, but a PowerShell step runs only where there is a pwsh.
func (f *Fleet) SetPlatform(hostID, platform string) error {
	return f.set(hostID, func(h *host) error {
		if platform != "Linux" && platform != "Windows" {
			return fmt.Errorf("platform %q: %w: want Linux or Windows", platform, ErrInvalid)
		}
		h.Platform = platform
		return nil
	})
}

// SetClockOffset puts the host's clock ahead of everybody else's, or behind, in whole seconds: scripts see it in `date`,
// sessions started from now on in their creation time. This machine's date has to know -d @SECONDS, as those of Linux do.
func (f *Fleet) SetClockOffset(hostID string, offset time.Duration) error {
	return f.set(hostID, func(h *host) error {
		date, err := exec.LookPath("date")
		if err != nil {
			return err
		}
		h.ClockOffset = offset.Truncate(time.Second)
		shifted := fmt.Sprintf("#!/bin/sh\nexec %[1]s -d \"@$(($(%[1]s +%%s) + %[2]d))\" \"$@\"\n",
			date, int(h.ClockOffset.Seconds()))
		return writeExecutable(filepath.Join(f.hostDir(h.id), "bin", "date"), []byte(shifted))
	})
}

// set changes a host, and lets it go on with what waits for it.
func (f *Fleet) set(hostID string, do func(*host) error) error {
	return f.change(func() error {
		h, err := f.known(hostID)
		if err != nil {
			return err
		}
		if err := do(h); err != nil {
			return err
		}
		f.goOn(h)
		return f.save(h)
	})
}
