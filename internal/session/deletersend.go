package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// send sends the commands for the recorded deletions: close commands, or notices for
// those that wait. A refused session is put back; for an unclear result the lease
// repeats the command.
func (d *Deleter) send(ctx context.Context, req Request, deletions []*deletion, log *slog.Logger) {
	var closing, waiting []*deletion
	for _, del := range deletions {
		switch {
		case del.step != toSend:
		case del.is.Waits():
			waiting = append(waiting, del)
		default:
			closing = append(closing, del)
		}
	}
	sendCtx, cancel := EndEarlier(ctx, putBackTime)
	defer cancel()
	var others sync.WaitGroup
	if len(waiting) > 0 {
		others.Go(func() { d.notify(sendCtx, waiting, req.At) })
	}
	if notices := allClears(deletions, req.At); len(notices) > 0 {
		others.Go(func() { sendAllClear(sendCtx, d.Notifier, notices, log) })
	}
	if len(closing) > 0 {
		d.close(sendCtx, req, closing)
	}
	others.Wait()

	var refused []*deletion
	for _, del := range append(closing, waiting...) {
		if refusal := (*Refusal)(nil); errors.As(del.cause, &refusal) {
			refused = append(refused, del)
		}
	}
	if len(refused) == 0 {
		return
	}
	var notes sync.WaitGroup
	ofHosts := hostsOf(refused)
	notes.Go(func() { d.noteRefusedHosts(ctx, ofHosts, req.At, log) })
	refused = d.putBackRefused(ctx, req, refused)
	notes.Wait()
	var (
		reports  []Report
		warnings []Warning
	)
	for _, del := range refused {
		refusal := (*Refusal)(nil)
		errors.As(del.cause, &refusal)
		if del.is.Waits() {
			warnings = append(warnings, refusal.warning(del.is))
		} else {
			reports = append(reports, refusal.report(req.ID, del.is.HostID, del.SessionID))
		}
	}
	recordRefusals(ctx, d.Table, reports, req.At, log)
	recordRefusedNotices(ctx, d.Table, warnings, req.At, log)
}

// close sends close commands.
func (d *Deleter) close(ctx context.Context, req Request, closing []*deletion) {
	attempt := Attempt{ID: req.ID, At: req.At, OnSent: func(i int, commandID string) { closing[i].commandID = commandID }}
	for _, del := range closing {
		attempt.add(del.is, d.GiveUp)
	}
	for i, err := range d.Closer.Close(ctx, attempt) {
		closing[i].sent(err)
	}
}

// notify sends notices with the close time.
func (d *Deleter) notify(ctx context.Context, waiting []*deletion, now time.Time) {
	notices := make([]Notice, len(waiting))
	for i, del := range waiting {
		notices[i] = notice(del.is, now)
	}
	for i, err := range d.Notifier.Notify(ctx, notices) {
		waiting[i].sent(err)
	}
}

// allClears returns the notices for users who were told a close time of a deletion that
// a forced one has replaced.
func allClears(deletions []*deletion, now time.Time) (notices []Notice) {
	for _, del := range deletions {
		if was := del.wasWaiting; was != nil {
			notices = append(notices, allClear(*was, laterNotice(*was, now)))
		}
	}
	return notices
}

// sendAllClear sends notices that revoke earlier ones. Each is tried once, since the
// message on the screen ends by itself.
func sendAllClear(ctx context.Context, notifier Notifier, notices []Notice, log *slog.Logger) {
	for i, err := range notifier.Notify(ctx, notices) {
		log := log.With("SessionId", notices[i].SessionID, "HostId", notices[i].HostID)
		if err != nil {
			unreachable := 0
			if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
				unreachable = 1
			}
			log.Warn("user may still see that the session will be closed: its host did not get the new notice", "Cause", err,
				"Metric", Count(HostsUnreachable, unreachable))
		} else {
			log.Info("host is asked to tell the user that the session stays open")
		}
	}
}

// sent notes the result of the deletion's command.
func (del *deletion) sent(err error) { del.step, del.cause, del.ordered = done, err, true }

// answer returns the answer to an entry of the deletion.
func (del *deletion) answer(e Entry) Answer {
	a := Answer{SessionID: e.SessionID, FailureReason: del.reason}
	if del.reason == "" && e.AsksCloseAt && del.is.Confirmation == "" { // else it is over
		a.CloseAt = del.is.CloseAt
	}
	return a
}
