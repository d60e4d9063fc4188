package sim

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/template"
)

// A world is one run.
type world struct {
	dice         dice
	other        dice  // for what was added to the simulation later
	ruleDice     dice  // for rules, which were added after that
	tagDice      dice  // for owner tags, which were added after rules
	momentDice   dice  // for times below a millisecond, which were added last
	setup        setup // the current settings
	firstSetup   setup
	setups       map[string]setup // of functions whose settings have changed since
	plans        map[string]int   // by task: how often it was planned
	bound        formerBound
	transcript   *transcript // nil: none
	began        time.Time
	calm         bool // no more faults
	calmFrom     time.Time
	stalledUntil time.Time      // the latest that a stalled agent carries out a command
	lastLook     bool           // the inventories that are compared with the hosts
	changes      map[string]int // of the table, by session
	changedAt    time.Time      // when a session last started or ended on its host
	noIdle       bool           // no idle sessions are closed, and no empty hosts stopped, any more
	broken       *Broken
	events       int
	seen         Coverage

	// The boundaries.
	table            *memtable.Table
	feed             *memtable.Feed
	all              allRecords
	hostTable        *memtable.Hosts
	machines         []*machine
	commands         []*command
	inventoriesSent  []time.Time // as cleanup has them recorded; one in parts may have no command
	documents        map[string]document
	declared         map[string]template.Document // their declarations in the template
	sends, reads     rate
	endBroadcasts    string        // how commands by tag end as a whole, if they do
	hiddenFor        time.Duration // how long after SendCommand an invocation cannot be read
	agenda           []happening
	late             []happening // writes whose callers no longer wait for them
	happened         int
	outage           map[fault]bool // faults that always happen between outFrom and outTill
	outFrom, outTill time.Time
	hourBegins       time.Time
	queue            []*message
	everProcessed    []string // every event that was processed
	shards           [2]shard
	pipe             [2]pipeShard
	streamed         []streamRecord // everything that the stream ever showed

	// The functions.
	mu          sync.Mutex
	parked      []*parked
	ended       []*invocation
	logged      []logLine
	running     []*invocation
	invocations int

	kept        backup
	loss        loss // by a restored backup
	hostsLostAt time.Time

	model model
}

// A Broken promise ends a run.
type Broken struct {
	Promise int
	Why     string
}

// An Outcome is the result of a run.
type Outcome struct {
	Seed     uint64
	Broken   *Broken // nil: all promises held
	Events   int
	Virtual  time.Duration
	Digest   uint64 // the same for the same run
	Coverage Coverage
	// Transcript is every step, if it was asked for.
	Transcript string
}

// Run runs a seed.
func Run(t *testing.T, seed uint64, withTranscript bool) Outcome {
	out := Outcome{Seed: seed}
	synctest.Test(t, func(*testing.T) {
		w := newWorld(seed)
		if withTranscript {
			w.transcript = &transcript{}
		}
		w.run()
		out.Broken, out.Events, out.Coverage = w.broken, w.events, w.seen
		out.Virtual = w.now().Sub(w.began)
		out.Digest = w.dice.pcg.Uint64() ^ uint64(w.events)<<32 ^ uint64(w.now().UnixMilli())
		if withTranscript {
			w.writeLogged()
			out.Transcript = w.transcript.String()
		}
	})
	return out
}

func newWorld(seed uint64) *world {
	w := &world{
		dice: newDice(seed), other: newOtherDice(seed), ruleDice: newRuleDice(seed), tagDice: newTagDice(seed), momentDice: newMomentDice(seed),
		plans: map[string]int{},
		table: memtable.New(), hostTable: memtable.NewHosts(), changes: map[string]int{},
	}
	w.feed = w.table.Feed()
	time.Sleep(time.Duration(w.momentDice.below(int(time.Millisecond)))) // no clock shows whole milliseconds
	w.began = w.now()
	w.documents, w.declared = w.ourDocuments(), deployment().documents
	w.setup = newSetup(w.dice, w.other)
	w.setup.callTime = oneOf(w.momentDice, callTimes)
	w.setup.read = w.setup.settings()
	w.firstSetup, w.setups = w.setup, map[string]setup{}
	w.seen.ran = map[string]int{}
	w.model = newModel()
	w.planOutage()
	return w
}

// now returns the time in whole milliseconds, as the table stores it; clock is the
// functions' clock.
func (w *world) now() time.Time { return w.clock().Truncate(time.Millisecond) }

func (w *world) clock() time.Time { return time.Now().UTC() }

// breaks notes that a promise was broken; the first counts.
func (w *world) breaks(promise int, format string, args ...any) {
	if w.broken == nil {
		w.broken = &Broken{promise, fmt.Sprintf(format, args...)}
		w.aside("PROMISE", "%d is broken: %s", promise, w.broken.Why)
	}
}

// run carries out a run: steps with faults, then none; then everything must have come to
// its end.
func (w *world) run() {
	defer w.stop()
	w.aside("setup", "%s, give up after %s, inventory every %s, idle %s, stopped hosts end their sessions: %t",
		w.setup.forceMode, w.setup.giveUp, w.setup.inventoryEvery, w.setup.closeIdle, w.setup.endStopped)
	w.build()
	w.plan()
	if w.dice.chance(85 * percent) { // most of the time sessions are listed already
		w.calm = true
		w.runTask("inventory")
		w.until(func() bool { return len(w.queue) == 0 && len(w.parked) == 0 }, w.began.Add(10*time.Second))
		w.fleetIsListed()
		w.calm = false
	}
	w.fleetIsHalfTagged()
	w.sends.perSecond, w.reads.perSecond = w.setup.sendRate, w.setup.readRate
	for n := 0; n < w.setup.steps && w.broken == nil; n++ {
		w.lose(n)
		w.step()
	}
	if w.broken == nil {
		w.settle()
	}
}

// stop ends the functions that still run: a synctest bubble must end without goroutines.
func (w *world) stop() {
	synctest.Wait()
	for _, inv := range w.running {
		w.kill(inv)
	}
	synctest.Wait()
}
