package sim

import (
	"slices"
)

// Promise 11: the number of calls of a run is bounded, as the code and DESIGN say. Each
// bound is counted when it was at risk: a bound that no run comes near proves nothing.

// calls counts the calls of an invocation: one for each call, however often the SDK tries
// it.
type calls struct {
	writes, reads, sends, nodes, questions int
	hostReads, stops                       int            // of the Hosts table; of hosts
	records                                int            // that the stream or the pipe shows it
	mostReads                              int            // of ended-sessions: the most reads that its hosts can need
	rounds                                 int            // of cleanup: how often it read the due deletions
	claims                                 map[string]int // of sessions
}

// counts counts a call; an invocation makes calls in parallel.
func (w *world) counts(calls *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*calls++
}

type bound int

const (
	plainRequest      bound = iota // one write and one command for a request without faults
	refusedRequest                 // calls to find the hosts at fault
	batchQuestion                  // of host-events to EC2, one a batch
	runQuestions                   // of cleanup to EC2
	claimsOfSession                // one a run
	recordPages                    // records held at one time
	streamWrites                   // of session-stream: one a batch
	announcementReads              // of ended-sessions: the sessions of each host
	describeReads                  // of describe-sessions
	idleCommands                   // of cleanup: one a run
	stopTries                      // of cleanup: the hosts that a run tries to stop
	stopReads                      // of cleanup: the reads for each of those

	bounds
)

var boundNames = [bounds]string{
	"a plain request is a write and a command", "hosts at fault are found in few calls", "a batch of news asks EC2 once",
	"a run of cleanup asks EC2 a few times", "a run claims a deletion once", "records come in pages",
	"a batch of the stream is one write", "the host of an end is read page by page, and once more", "a page of sessions is read in a few calls",
	"idle sessions are closed by one command", "a run stops a few hosts", "a run reads a few times for each host that it stops",
}

// holds counts a bound that was at risk, and checks it (promise 11).
func (w *world) holds(b bound, by *invocation, n, most int) {
	w.seen.bounds[b]++
	if n > most {
		w.breaks(11, "%s: %s: %d, at most %d", by, boundNames[b], n, most)
	}
}

// callsAreBounded checks the bounds of an invocation that has returned.
func (w *world) callsAreBounded(inv *invocation) {
	c := &inv.calls
	switch r := inv.request; {
	case r != nil:
		w.requestIsBounded(inv, r)
	case inv.function == "host-events" && c.questions > 0:
		w.holds(batchQuestion, inv, c.questions, 1)
	case inv.task == "deletions" && c.questions > 0: // for due deletions, for refused ones, and for hosts that were refused to requests
		w.holds(runQuestions, inv, c.questions, 2*c.rounds+1)
	case inv.task == "inventory" && c.questions > 0: // pages of a hundred quiet hosts, and the walk
		w.holds(runQuestions, inv, c.questions, 2+len(w.machines)/100+len(w.machines)/200+1)
	}
	w.othersAreBounded(inv)
	for _, n := range c.claims {
		w.holds(claimsOfSession, inv, n, 1)
	}
}

const (
	maxReads = 10 // session.Describer's
	maxStops = 20 // session.Stopper's
)

// othersAreBounded checks the bounds of the functions that make few calls.
func (w *world) othersAreBounded(inv *invocation) {
	c := &inv.calls
	switch {
	case inv.function == "session-stream" && c.records > 1:
		w.holds(streamWrites, inv, c.writes+c.reads, 1)
	case inv.function == "ended-sessions" && c.reads > 1:
		w.holds(announcementReads, inv, c.reads, c.mostReads)
	case inv.function == "describe-sessions" && c.reads > 1:
		w.holds(describeReads, inv, c.reads, 2*maxReads) // with details, an owner's sessions are read from the table, too
		w.holds(describeReads, inv, c.hostReads, 1)
	case inv.task == "idle" && c.sends > 0:
		w.holds(idleCommands, inv, c.sends+c.reads+c.writes+c.hostReads+c.questions+c.nodes, 1)
	case inv.task == "stop" && c.stops+c.reads > 0:
		w.holds(stopTries, inv, c.stops, maxStops)
		w.holds(stopReads, inv, c.reads+c.hostReads, 1+2*maxStops) // the hosts' answers, and twice for each host
	}
}

// mostReadsOf returns how often the table may be read to see whether a host is empty: a
// page of the index, then the records of that page, 25 at a time, until one of them
// lives.
func (w *world) mostReadsOf(hostID string) int {
	shown := 0
	for _, host := range w.all.hosts {
		if host == hostID {
			shown++
		}
	}
	page := w.setup.hostPage
	return (shown/page + 1) * (1 + (page+24)/25)
}

// requestIsBounded checks the budget of a request: nothing is read, the marks are one
// write, the hosts get one command. Hosts at fault are found in a stated number of calls
// (isolate.go).
func (w *world) requestIsBounded(inv *invocation, r *request) {
	hosts := map[string]bool{}
	refused := false
	for id := range r.marked {
		if a := w.attemptOf(r, id); a != nil {
			hosts[a.hostID] = true
			refused = refused || a.putBack
		}
	}
	calls := inv.calls.sends + inv.calls.nodes
	plain := !r.dryRun && !inv.faulty && !inv.refused && !refused && len(r.groups) > 0 && len(r.marked) == len(r.groups)
	plain = plain && !inv.notifies && !slices.ContainsFunc(r.entries, entry.isNew)
	if plain && len(inv.beaten) == 0 {
		w.holds(plainRequest, inv, inv.calls.writes+inv.calls.reads+calls, 2)
	}
	if inv.olderDocument { // smaller commands would be refused, too
		w.holds(refusedRequest, inv, inv.calls.sends, len(r.groups))
		return
	}
	if h := len(hosts); h > 1 && calls > 1 {
		w.holds(refusedRequest, inv, calls, len(r.groups)*(1+11+(h+sectionHosts(h)-1)/sectionHosts(h)+h))
	}
}

// sectionHosts returns how many of the hosts a command names while the hosts at fault are
// not known.
func sectionHosts(hosts int) int { return min(8, (hosts+1)/2) }

// pageIsBounded checks how many records are read at one time.
func (w *world) pageIsBounded(inv *invocation, limit, most, got int) {
	if got > 1 {
		w.holds(recordPages, inv, limit, most)
	}
}

// claims notes that the invocation has claimed a deletion.
func (inv *invocation) claims(id string) {
	if inv.calls.claims == nil {
		inv.calls.claims = map[string]int{}
	}
	inv.calls.claims[id]++
}
