package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The errors of a call about a host or a session. Use errors.Is.
var (
	ErrUnknownHost    = errors.New("there is no such host")
	ErrUnknownSession = errors.New("there is no such session on the host")
	ErrStopped        = errors.New("the host is stopped")
	ErrInvalid        = errors.New("invalid")
)

// State is a host's state as seen from outside.
type State string

// The states of a host. A stopped host has sessions only if it is hibernated. An unreachable host runs, with its
// sessions, but is not connected to Systems Manager.
const (
	Running     State = "running"
	Stopped     State = "stopped"
	Unreachable State = "unreachable"
)

// Host is the true state of a host.
type Host struct {
	HostID   string `json:"HostId"`
	State    State
	Faults   []string  `json:",omitempty"` // the controls in effect: "silence", "break", ... ...
	Sessions []Session // by ID
}

// Session is a session in the state of its host's DCV server.
type Session struct {
	ID    string `json:"Id"`
	Owner string
	Type  string // virtual or console
	// CreationTime is RFC 3339 as this host's dcv prints it: with six decimals, or with none.
	CreationTime string
	Connections  int `json:",omitempty"`
}

// host is a machine. The fleet's lock guards all fields except id.
type host struct {
	id string
	machine

	// The invocations that its agent has not received yet, that were interrupted, or whose end it could not report.
	waiting []*invocation
	running map[*invocation]script
	leaving bool // it is being turned off: its scripts end
}

// script is a running script.
type script struct {
	end   context.CancelCauseFunc
	ended chan struct{} // closed when all its processes have ended
}

// machine is the state of a host that is kept on disk, in addition to its sessions.
type machine struct {
	Off          bool          // stopped, hibernated or terminated
	Hibernated   bool          // its memory, with the sessions, was saved
	TerminatedAt time.Time     // zero: not terminated
	Disconnected bool          // its agent cannot reach Systems Manager, which has noticed
	Silent       bool          // its agent cannot reach Systems Manager, which has not noticed
	SilentSince  time.Time     // when Silent began
	LosesEvents  bool          // the events about ends of commands
	Untagged     bool          // lacks the fleet's tag
	Unmanaged    bool          // its agent never registered with Systems Manager
	NoProfile    bool          // lacks an instance profile
	OldAgent     bool          // its agent is older than 3.3.2746.0
	Noisy        bool          // every program on it prints a message on standard error
	AgentFault   agentFault    // why its agent cannot run a script; "": it can
	EmptyList    emptyList     // what its dcv prints if it has no sessions
	Platform     string        // Linux or Windows
	ClockOffset  time.Duration // how far its clock is ahead
	Console      *Session      // the automatic console session, which every start creates

	StopsWhenEmpty bool      // has the tag DcvStopWhenEmpty=true
	OwnerTag       string    // the value of its tag DcvOwner; "": no tag
	StartedAt      time.Time // last
}

// accepted tells whether Systems Manager accepts commands for the host: as far as it knows, it can deliver them.
func (h *host) accepted() bool { return !h.Disconnected && !h.Unmanaged && (!h.Off || h.Silent) }

// reachable tells whether Systems Manager can deliver commands and receive their results.
func (h *host) reachable() bool { return !h.Disconnected && !h.Unmanaged && !h.Off && !h.Silent }

func (h *host) state() State {
	switch {
	case h.Off:
		return Stopped
	case !h.reachable():
		return Unreachable
	}
	return Running
}

// interrupt ends the scripts that run on the host.
func (h *host) interrupt(cause error) {
	for _, s := range h.running {
		s.end(cause)
	}
}

// nodeID matches the ID of a managed node, as SendCommand requires.
var nodeID = regexp.MustCompile(`^(i-(\w{8}|\w{17})|mi-\w{17})$`)

// isInstance distinguishes EC2's instances from nodes of a hybrid activation.
func isInstance(hostID string) bool { return strings.HasPrefix(hostID, "i-") }

// Hosts returns all hosts with their sessions, by ID. It shows the true state, also of an unreachable host.
func (f *Fleet) Hosts() ([]Host, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hosts := []Host{}
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		sessions, err := f.sessions(id)
		if err != nil {
			return nil, fmt.Errorf("host %s: %w", id, err)
		}
		hosts = append(hosts, Host{HostID: id, State: f.hosts[id].state(), Faults: f.faults(f.hosts[id]), Sessions: sessions})
	}
	return hosts, nil
}

// faults returns the host's faults by the names of their controls.
func (f *Fleet) faults(h *host) (faults []string) {
	ill := func(file string) bool {
		_, err := os.Stat(filepath.Join(f.StateDir(h.id), file))
		return err == nil
	}
	for _, fault := range []struct {
		name  string
		there bool
	}{
		{"disconnect", h.Disconnected}, {"silence", h.Silent}, {"lose-events", h.LosesEvents}, {"untag", h.Untagged},
		{"unmanage", h.Unmanaged}, {"take-profile", h.NoProfile}, {"downgrade", h.OldAgent}, {"break", ill("broken")},
		{"mute", ill("mute")}, {"flood", ill("flood")}, {"make-noise", h.Noisy}, {string(h.AgentFault), h.AgentFault != ""}, {string(h.EmptyList), h.EmptyList != ""},
		{"stop-when-empty", h.StopsWhenEmpty}, {"owner-tag", h.OwnerTag != ""},
	} {
		if fault.there {
			faults = append(faults, fault.name)
		}
	}
	return faults
}

// StateDir returns the directory of the host's DCV server, DCV_STATE for dcv.sh. The head of dcv.sh lists the files
// that cause faults.
func (f *Fleet) StateDir(hostID string) string { return filepath.Join(f.hostDir(hostID), "dcv") }

func (f *Fleet) hostDir(hostID string) string { return filepath.Join(f.dir, "hosts", hostID) }

func (f *Fleet) known(hostID string) (*host, error) {
	h, ok := f.hosts[hostID]
	if !ok {
		return nil, fmt.Errorf("host %s: %w", hostID, ErrUnknownHost)
	}
	return h, nil
}

// addHost starts a new machine.
func (f *Fleet) addHost(hostID string) (*host, error) {
	if !nodeID.MatchString(hostID) {
		return nil, fmt.Errorf("host ID %q: %w: want i- and 8 or 17 letters or digits, or mi- and 17", hostID, ErrInvalid)
	}
	if f.gone[hostID] != nil {
		return nil, fmt.Errorf("host %s: %w: it was terminated, and no ID is used twice", hostID, ErrInvalid)
	}
	h := &host{id: hostID, machine: machine{Platform: "Linux", StartedAt: f.now()}, running: map[*invocation]script{}}
	if err := os.MkdirAll(f.StateDir(hostID), 0o755); err != nil {
		return nil, err
	}
	f.hosts[hostID] = h
	f.instanceStarted(h)
	return h, f.save(h)
}

func (f *Fleet) save(h *host) error {
	encoded, err := json.Marshal(h.machine)
	if err != nil {
		return err
	}
	return writeWhole(filepath.Join(f.hostDir(h.id), "host.json"), encoded, 0o644)
}

// loadHosts loads the hosts of an earlier fleet.
func (f *Fleet) loadHosts() error {
	found, err := os.ReadDir(filepath.Join(f.dir, "hosts"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, dir := range found {
		content, err := os.ReadFile(filepath.Join(f.hostDir(dir.Name()), "host.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the process was killed while it created the host
		}
		if err != nil {
			return err
		}
		h := &host{id: dir.Name(), running: map[*invocation]script{}}
		if err := json.Unmarshal(content, &h.machine); err != nil {
			return fmt.Errorf("host %s: %w", h.id, err)
		}
		if h.TerminatedAt.IsZero() {
			f.hosts[h.id] = h
		} else {
			f.gone[h.id] = h
		}
	}
	return nil
}
