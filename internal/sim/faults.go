package sim

import (
	"context"
	"time"
)

// A fault is one thing that fails or is unexpected.
type fault int

const (
	// The table, for each write of a call.
	tableRefuses    fault = iota
	tableSilent           // no answer, and not written
	tableAnswerLost       // written, but no answer
	tableTriedTwice       // written, answer lost inside the SDK, written again
	tableLate             // no answer, and written a while later
	tableTriedLate        // no answer, written again by the SDK, and then the first try lands
	readFails             // of the table or an index
	indexStale            // an index shows a record as it was
	hostTableFails        // not done
	hostTableAnswerLost

	// Systems Manager and EC2, for each try that the SDK makes of a call.
	sendThrottled
	rateExceeded
	documentOlder  // does not know a parameter: it is updated after the function
	sendFails      // no usable answer, and no command
	sendAnswerLost // no usable answer, but the command is on its way
	broadcastEnds  // a command by tag ends as a whole, before any host has it
	readThrottled
	notYetVisible // the invocation does not show yet
	ec2Fails

	// The functions.
	killed        // one of them, between or during its calls
	timedOut      // it took longer than it may
	deployed      // all of them at the same time
	functionOlder // does not write what newer ones do
	cleanupOlder
	hostEventsOlder
	settingsChange
	slowCall // time passes while a call is under way

	// What is delivered.
	eventLost
	eventDoubled
	eventLate // by minutes or hours
	eventReordered
	eventGarbage
	queueDoubled // a message is delivered again though it was processed
	deadLetter
	streamSplit
	streamDoubled
	streamDropped // repeated too often or for too long
	streamStalls
	busRefuses    // an event of the pipe's
	busAnswerLost // it is on the bus, and comes again
	runMissing
	hourMissing // no runs of cleanup for an hour
	runsOverlap

	// The hosts.
	hostStops
	hostHibernates
	hostTerminates
	hostDisconnects
	hostSilent
	hostUntagged
	hostMidway  // goes while it carries out a command
	agentStalls // has a command, and carries it out much later
	hostBusy    // its agent has others' commands
	bufferFull
	workerDies // of the agent's: the script does its work, its answer is lost
	dcvFails
	dcvHangs
	dcvGarbage
	dcvIgnores     // accepts the close and does not close
	dcvSaysNothing // and does nothing, but exits 0
	messageFails   // does not stay on the screen
	outputCut
	hostLies
	hostDisowns
	hostFloods
	clockOff
	hostNoisy     // its programs complain on standard error
	recordOdd     // a record that no inventory made
	tableRestored // from a backup, with a session of a host that is gone
	hostTableLost // made again, empty
	sessionsRestored

	faults
)

var faultNames = [faults]string{
	"table refuses a write", "table does not answer, not written", "table does not answer, written", "write tried twice", "write lands late", "first try lands after the second",
	"read fails", "index is stale", "hosts table fails", "hosts table's answer is lost",
	"SendCommand throttled", "calls come too fast", "document is older", "SendCommand fails", "SendCommand's answer is lost", "a command by tag ends as a whole", "reading throttled", "invocation not visible yet", "EC2 fails",
	"function killed", "function timed out", "deploy", "function is older", "cleanup is older", "host-events is older", "settings change", "slow call",
	"event lost", "event doubled", "event late", "events reordered", "garbage in the queue", "message delivered again", "dead letter",
	"stream batch split", "stream shown twice", "stream record dropped", "stream stalls", "bus refuses an event", "bus's answer is lost", "run missing", "hour without runs", "runs overlap",
	"host stops", "host hibernates", "host terminates", "host disconnects", "host silent", "host untagged", "host goes midway", "agent stalls", "agent is busy", "agent's buffer is full", "agent's worker dies",
	"dcv fails", "dcv hangs", "dcv prints garbage", "dcv ignores the close", "dcv says nothing", "message does not stay on the screen", "output cut", "host lies", "host lies about owners", "host floods", "clock off", "host noisy", "odd record", "table restored", "hosts table lost", "sessions restored",
}

func (f fault) String() string { return faultNames[f] }

// outages are sets of faults that last for some time: at one boundary, or at all.
var outages = [][]fault{
	{sendThrottled}, {sendFails}, {tableRefuses}, {tableSilent, readFails}, {ec2Fails}, {readThrottled}, {hostTableFails},
	{sendThrottled, readThrottled, tableRefuses, readFails, ec2Fails, hostTableFails},
	{streamStalls}, {eventLost}, {notYetVisible}, {broadcastEnds}, {documentOlder},
}

// planOutage decides whether, when and at which boundary every call fails.
func (w *world) planOutage() {
	if !w.dice.chance(60 * percent) {
		return
	}
	w.outage = map[fault]bool{}
	for _, f := range oneOf(w.dice, outages) {
		w.outage[f] = true
	}
	w.outFrom = w.began.Add(w.dice.between(0, 10*time.Minute))
	w.outTill = w.outFrom.Add(w.dice.between(time.Minute, 90*time.Minute))
}

// meets tells whether the fault happens now.
func (w *world) meets(f fault) bool {
	if !w.calm && w.outage[f] && w.now().After(w.outFrom) && w.now().Before(w.outTill) {
		w.seen.faults[f]++
		return true
	}
	if w.calm || !w.dice.chance(w.setup.rates[f]) {
		return false
	}
	w.seen.faults[f]++
	return true
}

// fails returns the error of a call that does not land, because its context has ended or
// it meets the fault.
func (w *world) fails(inv *invocation, ctx context.Context, what string, f fault, as error) error {
	switch {
	case ctx.Err() != nil:
		inv.faulty = true
		return ctx.Err()
	case w.meets(f):
		inv.faulty = true
		w.say(inv, "FAULT: %s: %s", f, what)
		return as
	}
	return nil
}
