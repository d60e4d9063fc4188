package fleet

import (
	"errors"
	"maps"
	"slices"
	"time"
)

var errHostOff = errors.New("the host was turned off")

// Stop stops a host: its scripts are killed and its sessions end, since both are in its memory. It returns when the
// host has stopped. After the next start the agent reports the interrupted commands as failed.
func (f *Fleet) Stop(hostID string) error {
	return f.turnOff(hostID, func(h *host) bool {
		if h.Off {
			return false
		}
		h.Off = true
		return true
	}, f.endAll)
}

// Hibernate stops a host but keeps its memory: after the next start it has its sessions again. From outside only EC2's
// reason distinguishes it from a stop. Scripts are interrupted as by Stop.
func (f *Fleet) Hibernate(hostID string) error {
	return f.turnOff(hostID, func(h *host) bool {
		if h.Off {
			return false
		}
		h.Off, h.Hibernated = true, true
		return true
	}, func(*host) error { return nil })
}

// Terminate terminates a host. Systems Manager no longer knows it, EC2 shows it for some time, and its ID is not
// used again.
func (f *Fleet) Terminate(hostID string) error {
	return f.turnOff(hostID, func(h *host) bool {
		h.Off, h.Hibernated, h.TerminatedAt = true, false, f.now()
		return true
	}, func(h *host) error {
		delete(f.hosts, h.id)
		f.gone[h.id] = h
		return f.endAll(h)
	})
}

// turnOff calls off and, after the host's scripts have ended, done. If off returns false there is nothing to do.
func (f *Fleet) turnOff(hostID string, off func(*host) bool, done func(*host) error) error {
	f.power.Lock()
	defer f.power.Unlock()
	var h *host
	var dying []script
	err := f.change(func() (err error) {
		if h, err = f.known(hostID); err != nil {
			return err
		}
		if h.leaving = off(h); !h.leaving {
			return nil
		}
		f.instanceChanged(h)
		dying = slices.Collect(maps.Values(h.running))
		h.interrupt(errHostOff)
		return f.save(h)
	})
	if err != nil || !h.leaving {
		return err
	}
	for _, s := range dying {
		<-s.ended
	}
	return f.change(func() error {
		h.leaving = false
		f.instanceChanged(h)
		return done(h)
	})
}

// Start starts a stopped host. If it ever had the automatic console session, it gets a new one, of the same name and
// owner. A hibernated host has its old sessions.
func (f *Fleet) Start(hostID string) error {
	f.power.Lock()
	defer f.power.Unlock()
	return f.change(func() error {
		h, err := f.known(hostID)
		if err != nil || !h.Off {
			return err
		}
		resumed := h.Hibernated
		h.Off, h.Hibernated, h.StartedAt = false, false, f.now()
		f.instanceStarted(h)
		if h.Console != nil && !resumed {
			console := *h.Console
			if err := f.startSession(h, &console); err != nil {
				return err
			}
		}
		f.resume(h)
		return f.save(h)
	})
}

// remembered is how long EC2 still shows a terminated instance: "usually less than one hour" (API reference,
// DescribeInstances).
const remembered = time.Hour
