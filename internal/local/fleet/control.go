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

// Disconnect disconnects the host from Systems Manager, which then refuses commands for it with InvalidInstanceId.
// Scripts run on, but their end is not known until Reconnect.
func (f *Fleet) Disconnect(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Disconnected = true; return nil })
}

// Reconnect undoes Disconnect.
func (f *Fleet) Reconnect(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Disconnected = false; return nil })
}

// Silence makes the host unreachable without Systems Manager's noticing: it accepts commands for the host but cannot
// deliver them. They wait for Speak, as long as they are valid. Scripts run on as after Disconnect. Commands for a
// silent host that is stopped are accepted, too: the real Systems Manager can be late to notice that.
func (f *Fleet) Silence(hostID string) error {
	return f.set(hostID, func(h *host) error {
		if !h.Silent {
			h.Silent, h.SilentSince = true, f.now()
		}
		return nil
	})
}

// Speak undoes Silence: the host gets the waiting commands that are still valid.
func (f *Fleet) Speak(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Silent = false; return nil })
}

// LoseEvents drops the events about the end of commands on the host: EventBridge's delivery is best effort. Systems
// Manager still answers calls about them.
func (f *Fleet) LoseEvents(hostID string) error {
	return f.set(hostID, func(h *host) error { h.LosesEvents = true; return nil })
}

// DeliverEvents undoes LoseEvents. Lost events stay lost.
func (f *Fleet) DeliverEvents(hostID string) error {
	return f.set(hostID, func(h *host) error { h.LosesEvents = false; return nil })
}

// Untag removes the fleet's tag from the host: the policy of the caller then denies commands for it.
func (f *Fleet) Untag(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Untagged = true; return nil })
}

// Tag undoes Untag.
func (f *Fleet) Tag(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Untagged = false; return nil })
}

// Unmanage removes the host from Systems Manager, as if its agent had never registered.
func (f *Fleet) Unmanage(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Unmanaged = true; return nil })
}

// Manage undoes Unmanage.
func (f *Fleet) Manage(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Unmanaged = false; return nil })
}

// TakeProfile removes the host's instance profile. The agent's credentials stay valid: to remove the host from
// Systems Manager, call Unmanage, too.
func (f *Fleet) TakeProfile(hostID string) error {
	return f.set(hostID, func(h *host) error { h.NoProfile = true; return nil })
}

// GiveProfile undoes TakeProfile.
func (f *Fleet) GiveProfile(hostID string) error {
	return f.set(hostID, func(h *host) error { h.NoProfile = false; return nil })
}

// Downgrade gives the host an agent older than 3.3.2746.0, which pastes every parameter into the script.
func (f *Fleet) Downgrade(hostID string) error {
	return f.set(hostID, func(h *host) error { h.OldAgent = true; return nil })
}

// Upgrade undoes Downgrade.
func (f *Fleet) Upgrade(hostID string) error {
	return f.set(hostID, func(h *host) error { h.OldAgent = false; return nil })
}

// MakeNoise makes every program of the host print a message on standard error, as on a host whose ld.so.preload names a
// missing library. There it is harmless.
func (f *Fleet) MakeNoise(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Noisy = true; return nil })
}

// StopNoise undoes MakeNoise.
func (f *Fleet) StopNoise(hostID string) error {
	return f.set(hostID, func(h *host) error { h.Noisy = false; return nil })
}

// NoExec mounts the host's /var noexec: its agent writes scripts there, and the shell cannot run them.
func (f *Fleet) NoExec(hostID string) error { return f.setAgentFault(hostID, noExec) }

// FillDisk fills the disk, so that the agent cannot write a script.
func (f *Fleet) FillDisk(hostID string) error { return f.setAgentFault(hostID, fullDisk) }

// KillWorker kills the agent's worker process in each command. The script goes on, its end is not reported, and a
// minute later the agent reports a failure.
func (f *Fleet) KillWorker(hostID string) error { return f.setAgentFault(hostID, deadWorker) }

// RepairAgent undoes NoExec, FillDisk and KillWorker.
func (f *Fleet) RepairAgent(hostID string) error { return f.setAgentFault(hostID, "") }

func (f *Fleet) setAgentFault(hostID string, fault agentFault) error {
	return f.set(hostID, func(h *host) error { h.AgentFault = fault; return nil })
}

// StopWhenEmpty gives the host the tag DcvStopWhenEmpty=true, by which a policy allows stopping it.
func (f *Fleet) StopWhenEmpty(hostID string) error {
	return f.set(hostID, func(h *host) error { h.StopsWhenEmpty = true; return nil })
}

// KeepWhenEmpty undoes StopWhenEmpty.
func (f *Fleet) KeepWhenEmpty(hostID string) error {
	return f.set(hostID, func(h *host) error { h.StopsWhenEmpty = false; return nil })
}

// SetOwnerTag gives the host the tag DcvOwner with that value; "" removes it.
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

// Mute makes every call of the host's dcv do nothing, print nothing and succeed, as if another program had its name.
func (f *Fleet) Mute(hostID string) error {
	return f.set(hostID, func(h *host) error { return writeWhole(filepath.Join(f.StateDir(h.id), "mute"), nil, 0o644) })
}

// floodSessions is more than one host may have in the table: MaxSessionsPerHost is 500.
const floodSessions = "600\n"

// Flood makes the host's dcv list 600 new sessions more at each call.
func (f *Fleet) Flood(hostID string) error {
	return f.set(hostID, func(h *host) error {
		return writeWhole(filepath.Join(f.StateDir(h.id), "flood"), []byte(floodSessions), 0o644)
	})
}

// Repair undoes Break, Mute and Flood, and every other fault of the host's DCV server.
func (f *Fleet) Repair(hostID string) error {
	return f.set(hostID, func(h *host) error {
		for _, name := range []string{"broken", "hang", "garbage", "mute", "flood"} {
			if err := os.Remove(filepath.Join(f.StateDir(h.id), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
}

// SetPlatform makes the host a Windows or a Linux machine. A Windows host answers Systems Manager as a real one,
// but a PowerShell step runs only if this machine has pwsh.
func (f *Fleet) SetPlatform(hostID, platform string) error {
	return f.set(hostID, func(h *host) error {
		if platform != "Linux" && platform != "Windows" {
			return fmt.Errorf("platform %q: %w: want Linux or Windows", platform, ErrInvalid)
		}
		h.Platform = platform
		return nil
	})
}

// SetClockOffset sets the host's clock ahead or behind, in whole seconds: `date` in scripts shows it, and the creation
// times of sessions that start from now on. This machine's date must have -d @SECONDS, as on Linux.
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

// set changes a host, and resumes what waits for it.
func (f *Fleet) set(hostID string, do func(*host) error) error {
	return f.change(func() error {
		h, err := f.known(hostID)
		if err != nil {
			return err
		}
		if err := do(h); err != nil {
			return err
		}
		f.resume(h)
		return f.save(h)
	})
}
