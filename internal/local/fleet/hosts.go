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

// What can be wrong with a call that is about a host or a session. Use errors.Is.
var (
	ErrUnknownHost    = errors.New("there is no such host")
	ErrUnknownSession = errors.New("there is no such session on the host")
	ErrStopped        = errors.New("the host is stopped")
	ErrInvalid        = errors.New("invalid")
)

// State is what a host looks like from outside.
type State string

// The states of a host. One that is stopped has sessions only if it is hibernated. One that is unreachable runs, with its
// sessions, but Systems Manager does not hear from it.
const (
	Running     State = "running"
	Stopped     State = "stopped"
	Unreachable State = "unreachable"
)

// Host is what really runs on a host.
type Host struct {
	HostID   string `json:"HostId"`
	State    State
	Faults   []string  `json:",omitempty"` // what was done to it, and not yet undone: "silence", "break", ...
	Sessions []Session // by ID
}

// Session is a session as its host's DCV server knows it.
type Session struct {
	ID    string `json:"Id"`
	Owner string
	Type  string // virtual or console
	// CreationTime is RFC 3339 as this host's dcv prints it: with six decimals, or with none.
	CreationTime string
	Connections  int `json:",omitempty"`
}

// host is a machine. All but id is guarded by the fleet's lock.
type host struct {
	id string
	machine

	// Invocations that this host has to do with: those that its agent could not be given yet, was interrupted in, or
	// could not report the end of.
	waiting []*invocation
	running map[*invocation]script
	leaving bool // on its way to be off: its scripts are dying
}

// script is one that runs.
type script struct {
	end   context.CancelCauseFunc
	ended chan struct{} // closed when no process of it is left
}

// machine is what of a host is kept on disk, beside its sessions.
type machine struct {
	Off          bool          // stopped, hibernated or terminated
	Hibernated   bool          // its memory, with the sessions, is kept
	TerminatedAt time.Time     // zero: it is not
	Disconnected bool          // its agent cannot reach Systems Manager, which has noticed
	Silent       bool          // its agent cannot reach Systems Manager, which has not noticed
	LosesEvents  bool          // of the ends of commands
	Untagged     bool          // lacks the fleet's tag
	Unmanaged    bool          // its agent never got to Systems Manager, which does not know it
	NoProfile    bool          // lacks an instance profile
	OldAgent     bool          // its agent is older than 3.3.2746.0
	Noisy        bool          // every program on it complains on standard error
	AgentFault   agentFault    // why its agent cannot run a script; "" is that it can
	EmptyList    emptyList     // what its dcv prints where it has no sessions
	Platform     string        // Linux or Windows
	ClockOffset  time.Duration // what its clock is ahead
	Console      *Session      // the automatic console session that every start brings

	StopsWhenEmpty bool      // has the tag DcvStopWhenEmpty=true
	OwnerTag       string    // the value of its tag DcvOwner; "": it has none
	StartedAt      time.Time // last
}

// accepted: Systems Manager takes commands for the host, since it can deliver them as far as it knows.
func (h *host) accepted() bool { return !h.Disconnected && !h.Unmanaged && (!h.Off || h.Silent) }

// reachable: it can deliver them, and hear how they ended.
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

// An ID of a managed node, as SendCommand has it.
var nodeID = regexp.MustCompile(`^(i-(\w{8}|\w{17})|mi-\w{17})$`)

// isInstance tells EC2's machines from those of a hybrid activation.
func isInstance(hostID string) bool { return strings.HasPrefix(hostID, "i-") }

// Hosts lists all hosts with their sessions, by ID. What runs on an unreachable host is listed too: this is the truth,
// not what anybody can know of it.
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

// faults are named after the controls that bring them about.
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

// StateDir is the directory of the host's DCV server, DCV_STATE for dcv.sh, whose head says which files make the server
// misbehave in which way.
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

// takeUpHosts finds the hosts of a fleet that was there before.
func (f *Fleet) takeUpHosts() error {
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
			continue // the process was killed while it made the host
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
