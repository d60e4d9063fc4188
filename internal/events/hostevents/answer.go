package hostevents

import (
	"context"
	"fmt"
	"sync"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// heard collects hosts' reports about sessions, which are recorded together, with the
// source of each.
type heard[T any] struct {
	said []T
	from []invocation
}

func (h *heard[T]) add(said T, from invocation) {
	h.said, h.from = append(h.said, said), append(h.from, from)
}

// collect adds the reports that could not be recorded to the failures.
func (h *heard[T]) collect(errs []error, failures map[invocation]error) {
	for i, err := range errs {
		if err != nil {
			failures[h.from[i]] = err
		}
	}
}

// taken is what take returns.
type taken struct {
	reports []session.Report
	askEC2  bool
	err     error
}

// parallelAnswers is how many hosts' answers are applied at the same time: each waits for the
// table most of its time.
const parallelAnswers = 8

// takeAll takes the answers of the hosts, which are distinct. later is how many answers there are
// after these: they have their share of the time.
func (h *Handler) takeAll(ctx context.Context, hostIDs []string, answers map[string]runcommand.Invocation, later int) map[string]*taken {
	all := map[string]*taken{}
	slots := make(chan struct{}, parallelAnswers)
	var wg sync.WaitGroup
	for n, hostID := range hostIDs {
		answer, t := answers[hostID], &taken{}
		all[hostID] = t
		waiting := len(hostIDs) - n + n%parallelAnswers // with those that are taken at the same time
		rounds := (waiting + parallelAnswers - 1) / parallelAnswers
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			t.reports, t.askEC2, t.err = h.take(ctx, rounds*(waiting+later), waiting, answer)
		})
	}
	wg.Wait()
	return all
}

// take applies a host's answer within that many shares of the time. It returns reports to a close
// command, which are recorded together. askEC2 is true if EC2 must be asked about the host
// because of the answer.
func (h *Handler) take(ctx context.Context, waiting, shares int, answer runcommand.Invocation) (reports []session.Report, askEC2 bool, err error) {
	ctx, stop := session.Shares(ctx, waiting, shares, hostTime)
	defer stop()
	switch {
	case answer.Inventory != nil:
		askEC2, err = h.Reconciler.Apply(ctx, *answer.Inventory)
		return nil, askEC2, err
	case answer.Idle != nil:
		return nil, false, h.IdleRecorder.Apply(ctx, *answer.Idle)
	case answer.AttemptID != "" && !answer.Answered:
		reports, err = h.Confirmer.Failed(ctx, answer.HostID, answer.AttemptID,
			fmt.Sprintf(session.NotAnswered, howItEnded(answer)))
		return reports, false, err
	case answer.AttemptID != "" && (answer.Status != "Success" || answer.Unreadable > 0):
		missing, err := h.Confirmer.Failed(ctx, answer.HostID, answer.AttemptID,
			fmt.Sprintf(session.NotMentioned, howItEnded(answer)), answer.Reports...)
		return append(answer.Reports, missing...), false, err
	}
	return answer.Reports, false, nil
}

// howItEnded returns Systems Manager's status and the other output. If a script could
// not be run, only that output says why.
func howItEnded(answer runcommand.Invocation) string {
	if answer.Said == "" {
		return "Systems Manager: " + answer.Status
	}
	return "Systems Manager: " + answer.Status + ": " + answer.Said
}

func (h *Handler) logAnswer(commandID string, answer runcommand.Invocation) {
	log := h.Log.With("CommandId", commandID, "HostId", answer.HostID, "Status", answer.Status, "Reports", len(answer.Reports)+len(answer.Warnings))
	if inventory := answer.Inventory; inventory != nil && !inventory.Complete {
		log.Warn("inventory is incomplete: its sessions are listed, and no session ends", "Sessions", len(inventory.Sessions),
			"UnreadableLines", answer.Unreadable, "Metric", session.Count(session.InventoriesIncomplete, 1))
		return
	}
	// Sessions that a close command's answer lacks are recorded; those of a notice are only logged here.
	noticeCutOff := answer.NoticeID != "" && answer.Status != "Success"
	if !answer.Answered || answer.Unreadable > 0 || noticeCutOff {
		unreachable := 0
		if !answer.Answered && answer.Status != "Success" {
			unreachable = 1
		}
		log.Warn("host's answer is incomplete", "UnreadableLines", answer.Unreadable, "Failed", answer.Failed, "Said", answer.Said,
			"Metric", session.Count(session.HostsUnreachable, unreachable))
		return
	}
	log.Debug("host answered")
}
