package hostevents

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// recordTime is reserved at the end of the function's time for recording the answers.
// Messages whose answers could not be read in time go back to the queue: many commands,
// or a service that throttles, take longer than the time of one event.
const recordTime = 10 * time.Second

// answerTime is reserved for the answer: if Lambda ends the function, all messages come
// again.
const answerTime = time.Second

// hostTime is the least time for reading a command, or applying a host's answer, before
// it is given up in this event. Each has a share of the time, so that a slow one delays
// only itself.
const hostTime = 2 * time.Second

// maxUnrecorded is how many reports wait to be recorded together, about: those of a batch of
// many commands must not wait until the last of them is read.
const maxUnrecorded = 100

// A batch is one event, and the results of its messages.
type batch struct {
	*Handler
	failures   map[invocation]error
	waiting    int // invocations that are not read yet
	reports    heard[session.Report]
	warnings   heard[session.Warning]
	unanswered []string // hosts that EC2 is asked about
	doubtful   []string // hosts whose tag may have changed
}

// work processes the invocations and hosts, and returns what failed.
func (h *Handler) work(ctx context.Context, invocations []invocation) map[invocation]error {
	b := &batch{Handler: h, failures: map[invocation]error{}}
	hostsOf := map[string][]string{} // by command
	for _, inv := range invocations {
		if inv.commandID == "" {
			b.unanswered = append(b.unanswered, inv.hostID)
			continue
		}
		hostsOf[inv.commandID] = append(hostsOf[inv.commandID], inv.hostID)
		b.waiting++
	}
	reading, stop := session.EndEarlier(ctx, recordTime)
	defer stop()
	for _, commandID := range slices.Sorted(maps.Keys(hostsOf)) {
		b.command(ctx, reading, commandID, hostsOf[commandID])
	}
	b.record(ctx)
	b.askEC2(ctx, invocations)
	return b.failures
}

// command reads the hosts' answers to a command by pages, and takes those of each page: the
// answers of one page are in memory.
func (b *batch) command(ctx, reading context.Context, commandID string, hostIDs []string) {
	// A command's part of the time goes by its hosts. The rest is for the answers of its last page.
	ofCommand, stop := session.Shares(reading, 10*b.waiting, 9*len(hostIDs), hostTime)
	defer stop()
	for answers, errs := range b.Reader.Pages(ofCommand, commandID, hostIDs) {
		for _, hostID := range slices.Sorted(maps.Keys(errs)) {
			b.unread(invocation{commandID, hostID}, errs[hostID])
		}
		hosts := slices.Sorted(maps.Keys(answers))
		b.waiting -= len(hosts) + len(errs)
		taken := b.takeAll(reading, hosts, answers, b.waiting)
		for _, hostID := range hosts {
			b.answered(invocation{commandID, hostID}, answers[hostID], taken[hostID])
		}
		if len(b.reports.said)+len(b.warnings.said) >= maxUnrecorded {
			b.record(ctx)
		}
	}
}

func (b *batch) unread(inv invocation, err error) {
	if errors.Is(err, runcommand.ErrNotOurs) {
		b.Log.Warn("command ignored: this broker did not send it", "CommandId", inv.commandID, "HostId", inv.hostID)
		return
	}
	b.failures[inv] = err
}

// answered notes what one host's answer brought.
func (b *batch) answered(inv invocation, answer runcommand.Invocation, took *taken) {
	b.logAnswer(inv.commandID, answer)
	if took.err != nil {
		b.failures[inv] = took.err
	}
	if took.askEC2 {
		b.doubtful = append(b.doubtful, inv.hostID)
	}
	for _, r := range took.reports {
		r.CommandID = inv.commandID
		b.reports.add(r, inv)
	}
	for _, w := range answer.Warnings {
		w.CommandID = inv.commandID
		b.warnings.add(w, inv)
	}
	if !answer.Answered && answer.Status != "Success" {
		b.unanswered = append(b.unanswered, inv.hostID)
	}
}

// record records the reports about deletions together, and those about notices.
func (b *batch) record(ctx context.Context) {
	b.reports.collect(b.Confirmer.Apply(ctx, b.reports.said), b.failures)
	b.warnings.collect(b.WarningRecorder.Apply(ctx, b.warnings.said), b.failures)
	b.reports, b.warnings = heard[session.Report]{}, heard[session.Warning]{}
}

func (b *batch) askEC2(ctx context.Context, invocations []invocation) {
	ctx, stop := session.EndEarlier(ctx, answerTime)
	defer stop()
	checks, err := b.Reaper.Check(ctx, slices.Concat(b.unanswered, b.doubtful))
	if err != nil && len(b.doubtful) > 0 {
		b.Log.Warn("tags "+session.OwnerTagKey+" could not be read: they are read again at the hosts' next inventories", "Hosts", len(b.doubtful), "Cause", err)
	}
	for _, inv := range invocations {
		check := checks[inv.hostID]
		switch {
		case err != nil && slices.Contains(b.unanswered, inv.hostID):
			b.failures[inv] = err
		case check.Err != nil:
			b.failures[inv] = check.Err
		case inv.commandID == "" && check.Status == session.Stopping:
			b.failures[inv] = errLeaving
		}
	}
}
