package sim

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/session"
)

// An invocation is a function at work on one event.
type invocation struct {
	n        int
	function string
	setup    setup  // as it was when the function started
	id       string // of the request, a UUID
	started  time.Time
	ctx      context.Context
	cancel   context.CancelFunc
	// killed is read by goroutines of its own, one of which may wait for the others: the race detector does not see that the
	// scheduler waits for that one.
	killed atomic.Bool
	task   string
	source int  // of host-events: the index of the queue of its messages
	faulty bool // a call of its own met a fault
	calls  calls
	// older: it runs the version before (older.go). olderDocument: it met a document that
	// is older than itself.
	older, olderDocument bool
	notifies             bool            // it has sent a notice, or tried to
	sent                 bool            // it has sent a command, or tried to
	refused              bool            // Systems Manager has refused one
	faultyOf             map[string]bool // only a call about that host met a fault
	newIDs               int
	done                 func()    // called when it has returned
	failed               func()    // called when it was killed
	request              *request  // of a client
	rule                 *ruleRun  // of cleanup
	cancels              *request  // of a client that cancels deletions
	reads                []*onHost // the answers of hosts that it has read
	asked                map[string]hostStatus
	tagsTold             map[string]string           // by EC2: the tags of hosts that hold them to an owner
	heldTo               map[string]session.OwnerTag // the tags that were recorded when it noted an inventory of the host
	unmet                map[string]int              // writes whose condition failed because of another's write, by session
	stale                map[string]bool             // an index has shown it the session as it was
	beaten               map[string]int              // by session: the number of its changes when that happened
	looked               map[string]time.Time        // when it read what lives on a host: how new that host's newest inventory was
}

type hostStatus struct {
	gone, stopped bool
	at            time.Time
}

func (inv *invocation) String() string { return fmt.Sprintf("%s#%d", inv.function, inv.n) }

// newID returns an ID that depends only on the invocation.
func (inv *invocation) newID() string {
	inv.newIDs++
	return fmt.Sprintf("%08d-0000-4000-8000-%012d", inv.n, inv.newIDs)
}

// start has a function work on an event.
func (w *world) start(function string, work func(*invocation), done, failed func(*invocation)) *invocation {
	w.invocations++
	inv := &invocation{
		n: w.invocations, function: function, setup: w.setupOf(function), started: w.now(),
		id:    fmt.Sprintf("%08d-0000-4000-8000-000000000000", w.invocations),
		asked: map[string]hostStatus{}, tagsTold: map[string]string{}, heldTo: map[string]session.OwnerTag{}, unmet: map[string]int{}, beaten: map[string]int{},
	}
	if inv.older = w.isOlder(function); inv.older {
		inv.setup = inv.setup.asOlder()
	}
	inv.done = func() { done(inv) }
	inv.failed = func() { failed(inv) }
	inv.ctx, inv.cancel = context.WithTimeout(context.Background(), deployment().timeouts[function])
	w.seen.ran[function]++
	w.running = append(w.running, inv)
	go func() {
		defer func() {
			w.mu.Lock()
			w.ended = append(w.ended, inv)
			w.mu.Unlock()
		}()
		growStack()
		work(inv)
	}()
	synctest.Wait() // at its first call; so what two functions log never mixes
	return inv
}

// growStack grows a goroutine's stack to 16 KB while it is almost empty: functions need that size, and growing step by
// step would copy the stack three times.
//
//go:noinline
func growStack() (b byte) {
	var room [9 << 10]byte
	return room[runtime.NumCPU()]
}

// A parked call waits at a boundary until the scheduler lets it land.
type parked struct {
	inv  *invocation
	ctx  context.Context
	key  string // tells it from the other calls of its invocation
	land func() (done bool)
	// torn does what the call may still cause after its function was killed.
	torn     func()
	released chan struct{}
}

// park is where every call over a boundary waits. land is called by the
// scheduler until it is done. An invocation that was killed ends here.
func (w *world) park(inv *invocation, ctx context.Context, key string, land func() bool, torn func()) {
	if inv.killed.Load() {
		runtime.Goexit()
	}
	p := &parked{inv: inv, ctx: ctx, key: key, land: land, torn: torn, released: make(chan struct{})}
	w.mu.Lock()
	w.parked = append(w.parked, p)
	w.mu.Unlock()
	<-p.released
	if inv.killed.Load() {
		runtime.Goexit()
	}
}

// quiesce waits until every function waits at a boundary or has ended, and deals
// with the latter. It puts the calls into an order that does not depend on how
// the goroutines ran.
func (w *world) quiesce() {
	for {
		synctest.Wait()
		slices.SortFunc(w.parked, func(a, b *parked) int {
			return cmp.Or(cmp.Compare(a.inv.n, b.inv.n), cmp.Compare(a.key, b.key))
		})
		if len(w.ended) == 0 {
			break
		}
		ended := w.ended
		w.ended = nil
		slices.SortFunc(ended, func(a, b *invocation) int { return cmp.Compare(a.n, b.n) })
		for _, inv := range ended {
			w.running = slices.DeleteFunc(w.running, func(r *invocation) bool { return r == inv })
			inv.cancel()
			if !inv.killed.Load() {
				w.say(inv, "returns")
				w.callsAreBounded(inv)
				inv.done()
			}
		}
	}
}

// kill ends a function during its calls: each call is not made, or is made without an
// answer.
func (w *world) kill(inv *invocation) {
	inv.killed.Store(true)
	w.parked = slices.DeleteFunc(w.parked, func(p *parked) bool {
		if p.inv != inv {
			return false
		}
		if p.torn != nil && w.broken == nil && w.dice.chance(40*percent) {
			p.torn()
		}
		close(p.released)
		return true
	})
	inv.cancel()
}

func (w *world) killFor(inv *invocation, why fault) {
	w.seen.faults[why]++
	w.say(inv, "FAULT: %s", why)
	w.kill(inv)
	synctest.Wait()
	inv.failed()
}

// sleep lets functions continue that wait for a time. Each of them takes the lock before it
// changes what the scheduler reads, so that it does so after what the scheduler has read.
func (w *world) sleep(d time.Duration) {
	w.writeLogged()
	time.Sleep(d)
}

// moment lets the time of a call pass.
func (w *world) moment() {
	if w.setup.callTime > 0 {
		w.sleep(time.Duration(w.momentDice.below(int(w.setup.callTime))))
		synctest.Wait() // for functions whose context has ended
	}
}

// landOne makes one call land, or a part of it.
func (w *world) landOne(p *parked) {
	w.moment()
	if p.land() {
		w.parked = slices.DeleteFunc(w.parked, func(other *parked) bool { return other == p })
		close(p.released)
	}
}

// A happening is a planned occurrence, at its time.
type happening struct {
	at   time.Time
	what func()
}

func (w *world) at(when time.Time, what func()) { w.agenda = append(w.agenda, happening{when, what}) }

func (w *world) after(d time.Duration, what func()) { w.at(w.now().Add(d), what) }

// landsSoon returns the indexes of the late writes that may land now. The others land
// when they are due (pass), after many other steps.
func (w *world) landsSoon() (soon []int) {
	for i, l := range w.late {
		if l.at.Sub(w.now()) <= latest[0] {
			soon = append(soon, i)
		}
	}
	return soon
}

// landLate makes a write land whose caller no longer waits for it. Unlike other
// happenings it is never delayed past its time.
func (w *world) landLate(i int) {
	l := w.late[i]
	w.late = slices.Delete(w.late, i, i+1)
	l.what()
}

// due returns the indexes of the happenings that are due.
func (w *world) due() (due []int) {
	now := w.now()
	for i, h := range w.agenda {
		if !h.at.After(now) {
			due = append(due, i)
		}
	}
	return due
}

func (w *world) happen(i int) {
	h := w.agenda[i]
	w.agenda = slices.Delete(w.agenda, i, i+1)
	h.what()
}

// next is when something will be due.
func (w *world) next() (next time.Time, ok bool) {
	consider := func(t time.Time) {
		if !ok || t.Before(next) {
			next, ok = t, true
		}
	}
	for _, h := range w.agenda {
		consider(h.at)
	}
	for _, m := range w.queue {
		consider(m.visibleAt)
	}
	for i := range w.shards {
		if s := &w.shards[i]; !s.busy && len(s.records) > 0 {
			consider(s.retryAt)
		}
	}
	for i := range w.pipe {
		if s := &w.pipe[i]; !s.busy && len(s.turns) > 0 {
			consider(s.retryAt)
		}
	}
	return next, ok
}

// pass lets time pass. Functions whose time is up are killed by it.
func (w *world) pass(d time.Duration) {
	for end := w.now().Add(d); ; {
		i := slices.IndexFunc(w.late, func(l happening) bool { return !l.at.After(end) })
		if i < 0 {
			w.sleep(end.Sub(w.now()))
			break
		}
		for j, l := range w.late {
			if l.at.Before(w.late[i].at) {
				i = j
			}
		}
		w.sleep(w.late[i].at.Sub(w.now()))
		w.landLate(i)
	}
	w.quiesce()
	for _, inv := range slices.Clone(w.running) {
		const hurry = 20 * time.Second // a function with less time left may skip work
		inv.faulty = inv.faulty || w.now().Sub(inv.started) > hurry
		if deadline, _ := inv.ctx.Deadline(); !deadline.After(w.clock()) {
			w.killFor(inv, timedOut)
			w.quiesce()
		}
	}
}

// step is one step of a run in which things go wrong.
func (w *world) step() {
	w.quiesce()
	if w.broken != nil {
		return
	}
	if len(w.parked) > 0 && w.dice.below(100) < w.setup.land {
		w.landOne(oneOf(w.dice, w.parked))
		return
	}
	if soon := w.landsSoon(); len(soon) > 0 && w.dice.chance(20*percent) {
		w.landLate(oneOf(w.dice, soon))
		return
	}
	due := w.due()
	polls := w.polls()
	const perDue = 30
	switch w.dice.weighted([]int{
		perDue * min(len(due), 3), perDue * min(len(polls), 3),
		w.setup.clientWeight, w.setup.hostWeight, w.setup.timeWeight,
		w.setup.killWeight * min(len(w.running), 4), min(w.setup.killWeight*len(w.running), 1),
		w.setup.changeWeight,
	}) {
	case 0:
		w.happen(oneOf(w.dice, due))
	case 1:
		oneOf(w.dice, polls)()
	case 2:
		w.client()
	case 3:
		w.live()
	case 4:
		w.timePasses()
	case 5:
		w.killFor(oneOf(w.dice, w.running), killed)
	case 6:
		w.say("deploy", "all functions are stopped")
		w.seen.faults[deployed]++
		for _, inv := range slices.Clone(w.running) {
			w.killFor(inv, killed)
		}
	case 7:
		w.changeSettings()
	}
}

// timePasses jumps to the next happening, or, while calls are under way, makes them slow.
func (w *world) timePasses() {
	if len(w.running) > 0 {
		w.seen.faults[slowCall]++
		d := w.dice.between(time.Millisecond, 3*time.Second)
		if w.dice.chance(3 * percent) {
			d = w.dice.between(3*time.Second, 60*time.Second)
		}
		w.pass(d)
		return
	}
	next, ok := w.next()
	d := next.Sub(w.now())
	if !ok || d <= 0 || w.dice.chance(10*percent) {
		d = w.dice.between(time.Millisecond, 30*time.Second)
	}
	w.pass(d)
}
