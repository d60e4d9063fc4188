package sim

import (
	"fmt"
	"slices"
	"time"
)

// A machine is the true state of a host. The broker knows only the host's answers.
type machine struct {
	id       string
	platform string
	state    machineState
	since    time.Time
	launched time.Time // when it was last started
	tagged   bool
	// stopWhenEmpty: its owner has tagged it so.
	stopWhenEmpty   bool
	offline         bool // Systems Manager has lost it, and says so
	silent          bool // Systems Manager does not know yet
	dcv             dcvState
	liar            bool // gives false answers about its own and other hosts' sessions
	lied            bool
	ownerTag        string        // its instance's tag DcvOwner, which limits it to one owner; "": none
	liesAboutOwners bool          // reports false owners of its sessions
	floods          bool          // invents sessions, new ones each time
	skew            time.Duration // of its clock
	whole           bool          // its dcv prints creation times without decimals
	console         bool          // makes a console session when it starts
	noisy           bool          // its programs complain on standard error, which does no harm
	workersDie      bool          // each worker of its agent dies during its command
	changed         time.Time     // when its health last changed

	others  int // commands of others that its agent has
	waiting int // commands of ours for which its agent has no worker yet
	working int // commands of ours that its agent's workers have

	sessions []*desktop
	newest   map[string]time.Time   // by name: when the last of that name was created
	notices  map[string]*noticeFile // by name; nil: none

	idleTries map[string]idleTry // by name
	noUsers   bool               // its user database is empty
}

type machineState int

const (
	running machineState = iota
	stopped
	hibernated
	terminated
)

type dcvState int

const (
	dcvWorks dcvState = iota
	dcvBroken
	dcvHung
	dcvUnreadable // prints unreadable text
	dcvStubborn
	dcvMute // prints nothing, does nothing and succeeds
)

// A desktop is a session that really runs: an incarnation.
type desktop struct {
	machine           *machine
	name, owner, kind string
	startedAt         time.Time
	created           time.Time // the same by its host's clock
	createdText       string
	connections       int64
	usedSince         time.Time // when a user last connected or left
	away              time.Time // since when, by its host's clock, its connected user has been idle; zero: not idle
	left              string
	window            *window // on its screen
	newestRun         int     // of the notices that its host has accepted
}

func (m *machine) isEC2() bool { return m.id[:2] == "i-" }

// known tells whether Systems Manager accepts commands for the host.
func (m *machine) known() bool { return !m.offline && (m.state == running || m.silent) }

// reachable tells whether a command reaches it.
func (m *machine) reachable() bool { return m.state == running && !m.offline && !m.silent }

// well tells whether the host has no fault.
func (m *machine) well() bool {
	return m.reachable() && m.others == 0 && m.tagged && m.dcv == dcvWorks && !m.liar && m.platform != "macOS"
}

func (w *world) machine(id string) *machine {
	for _, m := range w.machines {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (m *machine) clock(now time.Time) time.Time { return now.Add(m.skew) }

func (m *machine) find(name string) *desktop {
	for _, d := range m.sessions {
		if d.name == name {
			return d
		}
	}
	return nil
}

// build makes the fleet, and what runs on it.
func (w *world) build() {
	for n := range w.setup.hosts {
		m := &machine{
			id: fmt.Sprintf("i-%017x", 0xa0+n), platform: "linux", tagged: true,
			since: w.now(), launched: w.now(), changed: w.now(), newest: map[string]time.Time{},
			stopWhenEmpty: w.dice.chance(70 * percent), whole: w.dice.chance(30 * percent), console: w.dice.chance(60 * percent),
		}
		if w.dice.chance(4 * percent) {
			m.id = fmt.Sprintf("mi-%017x", 0xa0+n)
		}
		if w.dice.chance(3 * percent) {
			m.platform = "macOS"
		}
		if w.dice.chance(10 * percent) {
			w.seen.faults[hostNoisy]++
			m.noisy = true
		}
		if w.meets(clockOff) || w.dice.chance(10*percent) {
			w.seen.faults[clockOff]++
			m.skew = w.dice.between(0, 6*time.Second) - 3*time.Second
		}
		if w.meets(hostLies) || w.dice.chance(6*percent) {
			w.seen.faults[hostLies]++
			m.liar, m.lied = true, true
		}
		if w.setup.flood && w.dice.chance(60*percent) {
			m.liar, m.lied, m.floods = true, true, true
		}
		w.machines = append(w.machines, m)
		w.say(m.id, "runs (clock off by %s, liar: %t)", m.skew, m.liar)
		if m.console {
			w.startDesktop(m, "console", "console")
		}
		for n := range w.dice.below(w.setup.sessionsAHost + 1) {
			if w.setup.sessionsAHost > len(names) {
				w.startDesktop(m, fmt.Sprintf("%08x-0000-4000-8000-%012x", w.dice.below(1<<31), n), "virtual")
			} else {
				w.startDesktop(m, w.anyName(), "virtual")
			}
		}
	}
	w.tagHosts()
	if len(w.machines) > 4 {
		w.seen.effects[fleetLarge]++
	}
	if w.setup.sessionsAHost > len(names) {
		w.seen.effects[hostCrowded]++
	}
	w.oddRecords()
}

var names = []string{"s1", "s2", "s3", "s4", "s5", "s6", "a b/c%d"}

func (w *world) anyName() string { return oneOf(w.dice, names) }

var owners = []string{"alice", "bob"}

// startDesktop starts a session, if its host can have one of that name now. Two
// incarnations of a name are more than a second apart.
func (w *world) startDesktop(m *machine, name, kind string) {
	now := w.now()
	if m.state != running || m.find(name) != nil || now.Sub(m.newest[name]) < 2*time.Second {
		return
	}
	m.newest[name] = now
	d := &desktop{machine: m, name: name, owner: oneOf(w.dice, owners), kind: kind, startedAt: now, usedSince: now, created: m.clock(now).Truncate(time.Microsecond)}
	if m.whole {
		d.created = d.created.Truncate(time.Second)
		d.createdText = d.created.Format("2006-01-02T15:04:05Z")
	} else {
		d.created = d.created.Add(time.Duration(w.dice.below(999)+1) * time.Microsecond)
		d.createdText = d.created.Format("2006-01-02T15:04:05.000000Z")
	}
	if w.other.chance(65 * percent) {
		d.connections = 1
		w.goesAway(d)
	}
	m.sessions = append(m.sessions, d)
	w.say(m.id, "session %q of %s starts (%s)", name, d.owner, d.createdText)
	w.changedAt = w.now()
}

func (w *world) endDesktop(d *desktop, why string) {
	m := d.machine
	m.sessions = slices.DeleteFunc(m.sessions, func(o *desktop) bool { return o == d })
	w.say(m.id, "session %q (%s) ends: %s", d.name, d.createdText, why)
	w.changedAt = w.now()
}

// live makes something happen on a host.
func (w *world) live() {
	m := oneOf(w.dice, w.machines)
	emptied := 0
	if w.setup.stopEmpty > 0 {
		emptied = 6
	}
	kinds := []struct {
		weight int
		do     func(*machine)
	}{
		{10, func(m *machine) { w.startDesktop(m, w.anyName(), "virtual") }},
		{4, func(m *machine) {
			if m.console {
				w.startDesktop(m, "console", "console")
			}
		}},
		{5, func(m *machine) {
			if len(m.sessions) > 0 {
				w.endDesktop(oneOf(w.dice, m.sessions), "its user logs out")
			}
		}},
		{emptied, func(m *machine) {
			for len(m.sessions) > 0 {
				w.endDesktop(m.sessions[0], "its user logs out, as all on this host do")
			}
		}},
		{5, w.use},
		{3, w.power},
		{2, func(m *machine) { w.ill(m, hostDisconnects, func() { m.offline = !m.offline }, m.offline) }},
		{2, func(m *machine) { w.ill(m, hostSilent, func() { m.silent = !m.silent }, m.silent) }},
		{1, func(m *machine) { w.ill(m, hostUntagged, func() { m.tagged = !m.tagged }, !m.tagged) }},
		{5, w.changeDCV},
		{2, w.busy},
	}
	weights := make([]int, len(kinds))
	for i, k := range kinds {
		weights[i] = k.weight
	}
	kinds[w.dice.weighted(weights)].do(m)
}

// ill turns a fault of a host on or off.
func (w *world) ill(m *machine, how fault, toggle func(), was bool) {
	toggle()
	m.changed = w.now()
	if was {
		w.say(m.id, "the fault ends: %s", how)
	} else {
		w.seen.faults[how]++
		w.say(m.id, "FAULT: %s", how)
	}
}

func (w *world) changeDCV(m *machine) {
	m.changed = w.now()
	if m.dcv != dcvWorks {
		m.dcv = dcvWorks
		w.say(m.id, "dcv works again")
		return
	}
	m.dcv = dcvState(1 + w.dice.below(5))
	how := []fault{dcvFails, dcvHangs, dcvGarbage, dcvIgnores, dcvSaysNothing}[m.dcv-1]
	w.seen.faults[how]++
	w.say(m.id, "FAULT: %s", how)
}

// power stops a host in one of the ways there are, or starts it.
func (w *world) power(m *machine) {
	m.changed = w.now()
	switch {
	case !m.isEC2() || m.state == terminated:
	case m.state == stopped, m.state == hibernated:
		w.turnOn(m)
	default:
		how := w.dice.weighted([]int{60, 25, 15})
		kind := []fault{hostStops, hostHibernates, hostTerminates}[how]
		w.seen.faults[kind]++
		w.say(m.id, "FAULT: %s", kind)
		w.turnOff(m, []machineState{stopped, hibernated, terminated}[how])
	}
}

func (w *world) turnOff(m *machine, how machineState) {
	m.state, m.since = how, w.now()
	if how != hibernated {
		m.sessions, m.notices, m.idleTries = nil, nil, nil
	}
	if how == terminated {
		w.emitInstance(m, "terminated")
	} else {
		w.emitInstance(m, "stopped")
	}
}

func (w *world) turnOn(m *machine) {
	w.say(m.id, "starts again")
	was := m.state
	m.state, m.since, m.launched, m.changed = running, w.now(), w.now(), w.now()
	w.emitInstance(m, "running")
	if m.console && was == stopped {
		w.startDesktop(m, "console", "console")
	}
}
