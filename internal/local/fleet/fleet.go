// Package fleet simulates a fleet of DCV hosts on one machine, with Systems Manager and EC2. A host is a directory with the
// state of its DCV server. A command runs the real script of template.yaml there, under sh, with stand-ins for `dcv`
// (dcv.sh) and for the programs that show messages to users (programs.go). The simulation covers what is around the script:
// hosts that stop or cannot be reached, and Systems Manager with its limits, defaults and errors.
//
// A *Fleet has operations of the SDK's ssm.Client and ec2.Client under the same names, so it can replace a client. Handler
// and EC2Handler serve the same over HTTP. It refuses, and never ignores, what exists in AWS but is not simulated.
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

// Options configure a fleet.
type Options struct {
	// Dir holds the hosts, each in its own directory. New loads the hosts that it finds there: like real hosts,
	// they survive a broker that is killed.
	Dir string
	// Documents are the command documents that can be sent, each under its logical ID.
	Documents []template.Document
	// FleetTagValue is the value of the hosts' tag session.FleetTagKey, which the caller's policy requires.
	FleetTagValue string
	// Now is the clock of Systems Manager and of every host. The default is time.Now.
	Now func() time.Time
	// Emit receives the events that AWS would send to the account's event bus, each a whole EventBridge event, in
	// their order and one at a time. The goroutine that caused an event calls it, so it must be fast.
	Emit func(json.RawMessage)
	Log  *slog.Logger
	// OldAgent gives hosts an agent older than 3.3.2746.0, which pastes every parameter into the script.
	OldAgent bool
	// DefaultHostManagement makes Systems Manager also manage instances without an instance profile.
	DefaultHostManagement bool
	// Parallel is how many scripts run at the same time in the whole fleet. The default is 4. A script stops counting
	// after slotTime, so that one that hangs does not delay others.
	Parallel int
	// InvocationDelay is how long after SendCommand an invocation cannot be read.
	InvocationDelay time.Duration
	// SendsPerSecond and ReadsPerSecond are the rates of SendCommand, and of calls that read, that Systems Manager
	// accepts; 0 is no limit.
	SendsPerSecond, ReadsPerSecond int
}

// Fleet simulates the hosts, Systems Manager and EC2. Its methods may be called by several goroutines at the same time.
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
	power             sync.Mutex // held while a host stops or starts

	mu       sync.Mutex
	hosts    map[string]*host
	gone     map[string]*host // terminated hosts
	commands map[string]*command
	sent     []*command    // in the order of sending
	ready    []*invocation // delivered, and waiting for a slot
	slots    int           // free ones
	sends    rate
	reads    rate
	closed   bool
	outbox   []json.RawMessage
	emitting bool
}

// New makes a fleet with the hosts in its directory.
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
	if err := f.loadHosts(); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return f, nil
}

// Close ends all running scripts, with every process that they started, and waits for them. Commands under way stay
// unfinished. The hosts' sessions stay in their directories.
func (f *Fleet) Close() {
	f.mu.Lock()
	f.closed = true
	f.ready = nil
	for _, c := range f.commands {
		c.expiry.Stop()
	}
	for _, h := range f.hosts {
		h.interrupt(errClosed)
		_ = f.closeWindows(h.id) // on an error of the file system they end at their own time
	}
	f.mu.Unlock()
	f.scripts.Wait()
}

var errClosed = errors.New("the fleet is closed")

// change changes the fleet with the lock held, and then emits the events without it, since their receiver may call the
// fleet.
func (f *Fleet) change(do func() error) error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return errClosed
	}
	err := do()
	f.run()
	f.emitEvents() // unlocks
	return err
}

// emitEvents emits the events in their order. One goroutine at a time does this for all.
func (f *Fleet) emitEvents() {
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

// Quiet tells whether every command has ended on every host, and its events are emitted. A command that waits for an
// unreachable host ends only when it times out.
func (f *Fleet) Quiet() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	under := slices.ContainsFunc(f.sent, func(c *command) bool { return !c.finished() })
	return !under && len(f.outbox) == 0 && !f.emitting
}

// writeWhole replaces a file in one step, since scripts may read it at any time.
func writeWhole(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// It is in the same directory, under a name that *.json does not match and that is within the 255 bytes of a file
	// name.
	temporary := filepath.Join(filepath.Dir(path), "."+awsenv.NewID())
	if err := os.WriteFile(temporary, content, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
