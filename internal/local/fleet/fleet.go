// Package fleet is a fleet of DCV hosts on one machine, and Systems Manager and EC2 in front of it. A host is a directory with
// the state of its DCV server; a command runs the real script of template.yaml there, under sh, with a stand-in `dcv`
// (dcv.sh) and, for what shows messages to users, others (programs.go). What is simulated is only what lies around the script: hosts that stop or cannot be reached, and Systems
// Manager with its limits, its defaults and its errors.
//
// A *Fleet has operations of the SDK's ssm.Client and ec2.Client under the same names, so it can stand where a client is
// wanted; Handler and EC2Handler answer the same over the wire. What exists in AWS but is not simulated is refused, never ignored.
package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/template"
)

const (
	account = "000000000000"
	region  = "us-east-1"
)

// Options say what a fleet is made of.
type Options struct {
	// Dir holds the hosts, each in a directory of its own. Hosts that are there already are taken up again: they
	// outlive a broker that is killed, as real ones do.
	Dir string
	// Documents are the command documents that can be sent, each under its logical ID.
	Documents []template.Document
	// FleetTagValue is the value of the hosts' tag session.FleetTagKey, which the caller's policy asks for.
	FleetTagValue string
	// Now is the clock of Systems Manager and of every host; time.Now unless given.
	Now func() time.Time
	// Emit gets the events that AWS would put on the account's event bus, each a whole EventBridge event, in their
	// order and one at a time. It is called from whatever caused the event and should not take long.
	Emit func(json.RawMessage)
	Log  *slog.Logger
	// OldAgent: the hosts' agents are older than 3.3.2746.0 and paste every parameter into the script.
	OldAgent bool
	// DefaultHostManagement: Systems Manager manages instances without an instance profile, too.
	DefaultHostManagement bool
	// Parallel is how many scripts run at once in the whole fleet; 4 unless given. A script that takes long (one that
	// hangs) stops counting after a moment, so that it holds up nobody else's.
	Parallel int
	// InvocationDelay is how long after SendCommand an invocation cannot be read yet.
	InvocationDelay time.Duration
	// SendsPerSecond and ReadsPerSecond are how often Systems Manager takes SendCommand, and calls that read; 0 is any.
	SendsPerSecond, ReadsPerSecond int
}

// Fleet is the hosts, Systems Manager and EC2. Its methods can be called at any time from anywhere.
type Fleet struct {
	dir       string
	documents map[string]template.Document
	tagValue  string

	endBroadcasts string // how commands by tag end as a whole, if they do
	now           func() time.Time
	emit          func(json.RawMessage)
	log           *slog.Logger
	oldAgent      bool

	defaultManagement bool
	delay             time.Duration
	scripts           sync.WaitGroup
	power             sync.Mutex // held while a host stops or starts, which takes a while

	mu       sync.Mutex
	hosts    map[string]*host
	gone     map[string]*host // those that were terminated
	commands map[string]*command
	sent     []*command    // in the order of sending
	ready    []*invocation // delivered, and waiting for a slot to run in
	slots    int           // free ones
	sends    rate
	reads    rate
	closed   bool
	outbox   []json.RawMessage
	emitting bool
}

// New makes a fleet, with the hosts that its directory has.
func New(opts Options) (*Fleet, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	f := &Fleet{
		dir:       dir,
		documents: map[string]template.Document{},
		tagValue:  opts.FleetTagValue,
		now:       opts.Now,
		emit:      opts.Emit,
		log:       opts.Log,
		oldAgent:  opts.OldAgent,

		defaultManagement: opts.DefaultHostManagement,
		delay:             opts.InvocationDelay,
		hosts:             map[string]*host{},
		gone:              map[string]*host{},
		commands:          map[string]*command{},
		slots:             opts.Parallel,
		sends:             rate{perSecond: opts.SendsPerSecond},
		reads:             rate{perSecond: opts.ReadsPerSecond},
	}
	for _, d := range opts.Documents {
		f.documents[d.LogicalID] = d
	}
	if f.now == nil {
		f.now = time.Now
	}
	if f.emit == nil {
		f.emit = func(json.RawMessage) {}
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.slots <= 0 {
		f.slots = 4
	}
	if err := f.writePrograms(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	if err := f.takeUpHosts(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return f, nil
}

// Close ends all running scripts, with every process that they started, and waits for them. What was not finished stays
// unfinished; the hosts' sessions stay in their directories.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closed = true
	f.ready = nil
	for _, c := range f.commands {
		c.expiry.Stop()
	}
	for _, h := range f.hosts {
		h.interrupt(errClosed)
		_ = f.closeWindows(h.id) // or the file system fails: they end when their time is over
	}
	f.mu.Unlock()
	f.scripts.Wait()
}

var errClosed = errors.New("the fleet is closed")

// change does something to the fleet, alone, and lets out the events that come of it afterwards: whoever gets them may
// call the fleet.
func (f *Fleet) change(do func() error) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return errClosed
	}
	err := do()
	f.run()
	f.letOut() // unlocks
	return err
}

// letOut hands over the events in their order. One goroutine does it at a time; others leave theirs to it.
func (f *Fleet) letOut() {
	defer f.mu.Unlock()
	if f.emitting {
		return
	}
	f.emitting = true
	for len(f.outbox) > 0 {
		events := f.outbox
		f.outbox = nil
		f.mu.Unlock()
		for _, e := range events {
			f.emit(e)
		}
		f.mu.Lock()
	}
	f.emitting = false
}

// Quiet: every command has ended everywhere, and the events that tell of it are out. Commands that wait for a host that
// cannot be reached keep the fleet from being quiet until they time out.
func (f *Fleet) Quiet() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	under := slices.ContainsFunc(f.sent, func(c *command) bool { return !c.finished() })
	return !under && len(f.outbox) == 0 && !f.emitting
}

// writeWhole puts a file in its place in one step, since scripts may read it at any time.
func writeWhole(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// In the same directory, where a glob for *.json does not find it; names of files are at most 255 bytes.
	temporary := filepath.Join(filepath.Dir(path), "."+awsenv.NewID())
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
