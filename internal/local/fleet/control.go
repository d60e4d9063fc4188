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

// Disconnect takes the host from Systems Manager, which then refuses commands for it with InvalidInstanceId. Scripts run
// on, but nobody learns how they ended until Reconnect.
func (f *Fleet) Disconnect(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Disconnected = true; return nil })
}

// Reconnect undoes Disconnect.
func (f *Fleet) Reconnect(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Disconnected = false; return nil })
}

// Silence lets the host vanish unnoticed: Systems Manager takes commands that name it, since it was there a moment ago,
// but cannot deliver them. They wait for Speak, as long as they are valid. Scripts run on as after Disconnect. A silent
// host that is stopped is taken still: the real one can be late to notice that, too.
func (f *Fleet) Silence(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Silent = true; return nil })
}

// Speak undoes Silence: the host is given what waits for it and is still valid.
func (f *Fleet) Speak(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Silent = false; return nil })
}

// LoseEvents has the events vanish that tell how commands ended on the host: EventBridge's delivery is best effort. Who
// asks Systems Manager learns it all the same.
func (f *Fleet) LoseEvents(hostID string) error {
	return f.set(hostID, func(h *host) error { h.LosesEvents = true; return nil })
}

// DeliverEvents undoes LoseEvents. What was lost stays lost.
func (f *Fleet) DeliverEvents(hostID string) error {
	return f.set(hostID, func(h *host) error { h.LosesEvents = false; return nil })
}

// Untag takes the fleet's tag from the host: the policy of whoever sends commands then denies them for it.
func (f *Fleet) Untag(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Untagged = true; return nil })
}

// Tag undoes Untag.
func (f *Fleet) Tag(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Untagged = false; return nil })
}

// Unmanage takes the host from Systems Manager altogether, as if its agent had never got there.
func (f *Fleet) Unmanage(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Unmanaged = true; return nil })
}

// Manage undoes Unmanage.
func (f *Fleet) Manage(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Unmanaged = false; return nil })
}

// TakeProfile takes the instance profile from the host. What the agent has of its credentials lasts: to be known to
// Systems Manager no more, it has to be unmanaged, too.
func (f *Fleet) TakeProfile(hostID string) error {
	return f.set(hostID, func(h *host) error { h.NoProfile = true; return nil })
}

// GiveProfile undoes TakeProfile.
func (f *Fleet) GiveProfile(hostID string) error {
	return f.set(hostID, func(h *host) error { h.NoProfile = false; return nil })
}

// Downgrade gives the host an agent that is older than 3.3.2746.0, and pastes every parameter into the script.
func (f *Fleet) Downgrade(hostID string) error {
	return f.set(hostID, func(h *host) error { h.OldAgent = true; return nil })
}

// Upgrade undoes Downgrade.
func (f *Fleet) Upgrade(hostID string) error {
	return f.set(hostID, func(h *host) error { h.OldAgent = false; return nil })
}

// MakeNoise has every program of the host complain on standard error, as those of a host do whose ld.so.preload names a
// library that is gone. It does no harm there.
func (f *Fleet) MakeNoise(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Noisy = true; return nil })
}

// StopNoise undoes MakeNoise.
func (f *Fleet) StopNoise(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Noisy = false; return nil })
}

// NoExec mounts the host's /var noexec: its agent writes scripts there, and the shell may not run them.
func (f *Fleet) NoExec(hostID string) error { return f.setAgentFault(hostID, noExec) }

// FillDisk leaves the agent no room to write a script.
func (f *Fleet) FillDisk(hostID string) error { return f.setAgentFault(hostID, fullDisk) }

// KillWorker has the process die in which the agent runs a command, each time. The script goes on, nobody hears how it
// ended, and a minute later the agent reports a failure.
func (f *Fleet) KillWorker(hostID string) error { return f.setAgentFault(hostID, deadWorker) }

// MendAgent undoes NoExec, FillDisk and KillWorker.
func (f *Fleet) MendAgent(hostID string) error { return f.setAgentFault(hostID, "") }

func (f *Fleet) setAgentFault(hostID string, fault agentFault) error {
	return f.set(hostID, func(h *host) error { h.AgentFault = fault; return nil })
}

// StopWhenEmpty gives the host the tag DcvStopWhenEmpty=true: whoever may stop such hosts may stop it.
func (f *Fleet) StopWhenEmpty(hostID string) error {
	return f.set(hostID, func(h *host) error { h.StopsWhenEmpty = true; return nil })
}

// KeepWhenEmpty undoes StopWhenEmpty.
func (f *Fleet) KeepWhenEmpty(hostID string) error {
	return f.set(hostID, func(h *host) error { h.StopsWhenEmpty = false; return nil })
}

// SetOwnerTag gives the host the tag DcvOwner with that value; "" takes it away.
func (f *Fleet) SetOwnerTag(hostID, owner string) error {
	return f.set(hostID, func(h *host) error { h.OwnerTag = owner; return nil })
}

// Break makes every call of the host's dcv fail.
func (f *Fleet) Break(hostID string) error {
	return f.set(hostID, func(h *host) error {
		text := "Could not connect to the DCV server: is dcvserver running?\n"
		return writeWhole(filepath.Join(f.StateDir(h.id), "broken"), []byte(text), 0o644)
	})
}

// Mute makes every call of the host's dcv print nothing and succeed, though it does nothing: what is called dcv there is
// not it.
func (f *Fleet) Mute(hostID string) error {
	return f.set(hostID, func(h *host) error { return writeWhole(filepath.Join(f.StateDir(h.id), "mute"), nil, 0o644) })
}

// floodSessions is more than one host may have in the table: MaxSessionsPerHost is 500.
const floodSessions = "600\n"

// Flood makes the host's dcv list 600 sessions more at each call, which nobody has seen before.
func (f *Fleet) Flood(hostID string) error {
	return f.set(hostID, func(h *host) error {
		return writeWhole(filepath.Join(f.StateDir(h.id), "flood"), []byte(floodSessions), 0o644)
	})
}

// Mend undoes Break, Mute and Flood, and whatever else ails the host's DCV server.
func (f *Fleet) Mend(hostID string) error {
	return f.set(hostID, func(h *host) error {
		for _, name := range []string{"broken", "hang", "garbage", "mute", "flood"} {
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
