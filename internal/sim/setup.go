package sim

import (
	"maps"
	"time"

	"dcv-session-broker/internal/session"
)

// A setup has the settings of a seed's system, its size, and the rate of each fault.
// Seeds differ a lot: a run in which everything fails all the time never reaches the
// states in which a single fault does harm.
type setup struct {
	forceMode                                                 session.ForceMode
	endStopped                                                bool
	giveUp, silentAfter, inventoryEvery, closeIdle, stopEmpty time.Duration
	hosts, steps                                              int
	rates                                                     [faults]int   // in millionths
	land                                                      int           // how readily calls land, in percent
	staleFor, dueStaleFor                                     time.Duration // how far behind an index may be; the index due
	clientWeight, hostWeight, timeWeight, killWeight          int
	longestGiveUp                                             time.Duration // of all that were set
	read                                                      settings      // the settings that the functions read
	changeWeight                                              int           // of changes of settings
	change                                                    int           // counts the changes
	changesAll                                                bool          // not only the give-up time and the force mode
	sessionsAHost, hostPage                                   int           // when the run begins, at most; records of a host in a page
	sendRate, readRate                                        int           // calls a second; 0: any
	maxSessions                                               int           // of one host in the table
	flood                                                     bool          // some hosts flood
	losses                                                    losses
	untagged                                                  int                      // so many hosts in a hundred of a large fleet lose their tag
	olderFor                                                  map[string]time.Duration // from the run's beginning: so long that function is older
	ruleEvery                                                 time.Duration            // how often a rule runs, if it does
	grace                                                     time.Duration            // of deletions that ask for none of their own
	graceEntries                                              int                      // so many entries in a million ask for something of grace periods
	cancels                                                   int                      // so many requests in a hundred cancel deletions
	callTime                                                  time.Duration            // of a call that nothing slows down, at most
}

// The rarest bugs need tens of thousands of small runs. So only so many seeds in a
// million have a fleet of hundreds of hosts, or hosts with hundreds of sessions.
const (
	largeFleets  = 1 * permille
	crowdedHosts = 2 * permille
)

// callTimes are so short that a caller can act upon an answer within the millisecond.
var callTimes = []time.Duration{0, 0, 0, 200 * time.Microsecond}

func newSetup(d, other dice) setup {
	s := setup{
		forceMode:      oneOf(d, []session.ForceMode{session.Purge, session.BestEffort}),
		endStopped:     d.chance(70 * percent),
		giveUp:         oneOf(d, giveUpTimes),
		silentAfter:    oneOf(d, silentTimes),
		inventoryEvery: oneOf(d, inventoryPeriods),
		hosts:          1 + d.below(4),
		steps:          60 + d.below(140),
		land:           50 + d.below(50),
		clientWeight:   oneOf(d, []int{5, 15, 40}),
		hostWeight:     oneOf(d, []int{2, 6, 15}),
		timeWeight:     oneOf(d, []int{5, 20, 60}),
		killWeight:     oneOf(d, []int{0, 0, 1, 3}),
	}
	if d.chance(40 * percent) { // much time and little else, so that deletions are given up
		s.clientWeight, s.hostWeight, s.timeWeight = 3, 2, 100
		s.steps += 150
	}
	if d.chance(40 * percent) {
		s.closeIdle = oneOf(d, idleTimes)
	}
	if d.chance(50 * percent) {
		s.stopEmpty = oneOf(d, emptyTimes)
	}
	if d.chance(30 * percent) {
		s.changeWeight = 1
	}
	if d.chance(15 * percent) {
		s.sendRate, s.readRate = oneOf(d, []int{1, 2, 5}), oneOf(d, []int{2, 5, 10})
	}
	s.sessionsAHost, s.hostPage = 2, 3 // so that a host of a few sessions has more than one page
	switch n := d.below(1_000_000); {
	case n < largeFleets:
		s.hosts = 50 + d.below(350)
		s.steps += 1000
	case n < largeFleets+crowdedHosts:
		s.hosts, s.sessionsAHost, s.hostPage = 1+d.below(2), 100+d.below(250), 100
		s.steps += 300
	}
	if d.chance(4 * percent) {
		s.olderFor = map[string]time.Duration{"delete-sessions": d.between(time.Minute, 30*time.Minute)}
	}
	s.losses = planLosses(d, s.steps)
	s.maxSessions = 500
	if s.sessionsAHost == 2 && d.chance(12*percent) {
		s.flood, s.maxSessions = true, floodedAt
	}
	s.longestGiveUp = s.giveUp
	s.staleFor, s.dueStaleFor = time.Second, time.Second
	for f := range s.rates {
		if d.chance(60 * percent) {
			s.rates[f] = oneOf(d, []int{5 * permille, 2 * percent, 6 * percent, 15 * percent})
		}
	}
	if d.chance(15 * percent) { // indexes are far behind, for which no bound is promised, and IDs are passed on
		s.staleFor = 5 * time.Minute
		s.rates[indexStale], s.rates[recordOdd] = 40*percent, 40*percent
	}
	for _, f := range []fault{hostStops, hostHibernates, hostTerminates, hostDisconnects, hostSilent, hostUntagged, hostBusy, documentOlder, dcvFails, dcvHangs, dcvGarbage, dcvIgnores, dcvSaysNothing} {
		s.rates[f] = 0 // these are among what hosts do, by weight
	}
	s.widen(other)
	return s
}

func (s *setup) large() bool { return s.hosts >= 50 }

// widen draws the settings that were added to the simulation later.
func (s *setup) widen(d dice) {
	s.changesAll = d.chance(50 * percent)
	if d.chance(65 * percent) {
		s.grace = oneOf(d, graceTimes)
		s.graceEntries, s.cancels = oneOf(d, []int{60 * percent, 95 * percent}), oneOf(d, []int{20, 35, 50})
		s.rates[messageFails] = oneOf(d, []int{0, 10 * percent, 30 * percent})
	}
	if d.chance(50*percent) && s.staleFor > time.Second {
		s.dueStaleFor = s.staleFor
	}
	if s.large() {
		s.untagged = oneOf(d, []int{0, 3, 3, 10})
		if d.chance(50 * percent) { // more than are listed for a request
			s.hosts, s.untagged = 330+d.below(70), max(s.untagged, 3)
		}
	}
	if d.chance(10 * percent) {
		s.olderFor = maps.Clone(s.olderFor)
		if s.olderFor == nil {
			s.olderFor = map[string]time.Duration{}
		}
		for _, function := range []string{"cleanup", "host-events"} {
			s.olderFor[function] = d.between(0, 30*time.Minute)
		}
	}
}
