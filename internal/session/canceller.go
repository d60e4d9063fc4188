package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// A CancelRequest is a validated batch of cancels.
type CancelRequest struct {
	ID      string // a UUID
	By      string // who asks, for the log
	Entries []CancelEntry
}

// A CancelEntry asks for the cancel of one session's deletion.
type CancelEntry struct {
	SessionID, Owner string
	// DeletionRequestID, if not empty, is the request of the deletion that is meant.
	DeletionRequestID string
}

// A CancelAnswer is the answer to one entry: the state that the session has again, or,
// if FailureReason is not empty, why nothing was changed.
type CancelAnswer struct {
	SessionID     string
	State         State
	FailureReason string
}

// A Canceller carries out cancels.
type Canceller struct {
	Table    Table
	Getter   Getter
	Notifier Notifier
	Now      func() time.Time
	Log      *slog.Logger
}

// Cancel restores the state that each session had before its deletion, tells users who
// were warned, and answers each entry once, in the order of the request. A living
// session without a deletion is a success, too: no write of an earlier request lands
// afterwards.
//
// ErrTableDown means that nothing could be read or written.
func (c *Canceller) Cancel(ctx context.Context, req CancelRequest) ([]CancelAnswer, error) {
	ctx, stop := EndEarlier(ctx, answerTime)
	defer stop()
	req.By = callerName(req.By)
	all, ofEntry := groupCancels(req.Entries)
	tableDown := len(all) > 0
	for range maxRounds {
		open := slices.DeleteFunc(slices.Clone(all), func(cn *cancellation) bool { return cn.done })
		if len(open) == 0 {
			break
		}
		c.round(ctx, req, open)
	}
	var notices []Notice
	for _, cn := range all {
		if !cn.done {
			cn.fail(reasonCancelUnclear, errors.New("the record kept changing, or the table does not answer"))
		}
		tableDown = tableDown && cn.cause != nil
		if cn.notice != nil && cn.reason == "" {
			notices = append(notices, *cn.notice)
		}
		cn.log(c.Log.With("RequestId", req.ID, "RequestedBy", req.By))
	}
	if tableDown {
		return nil, ErrTableDown
	}
	if len(notices) > 0 {
		sendAllClear(ctx, c.Notifier, notices, c.Log.With("RequestId", req.ID))
	}
	return cancelAnswers(req, ofEntry), nil
}

// round reads the records of the open cancellations and writes each once.
func (c *Canceller) round(ctx context.Context, req CancelRequest, open []*cancellation) {
	if err := c.read(ctx, open); err != nil {
		for _, cn := range open {
			cn.cause = err
		}
		return
	}
	var (
		writing []*cancellation
		writes  []Write
	)
	for _, cn := range open {
		cn.cause = nil
		now := c.Now() // after the read
		if cn.judge(req.ID, now); !cn.done {
			writing, writes = append(writing, cn), append(writes, cancelAsRead(cn.seen, req.ID, now))
		}
	}
	for i, res := range c.Table.Write(ctx, writes) {
		writing[i].apply(res)
	}
}

func (c *Canceller) read(ctx context.Context, all []*cancellation) error {
	var ids []string
	for _, cn := range all {
		ids = append(ids, cn.SessionID)
	}
	byID, err := getByID(ctx, c.Getter, ids)
	for _, cn := range all {
		cn.seen = byID[cn.SessionID]
	}
	return err
}

// DryRun answers each entry as Cancel would now, and changes nothing.
func (c *Canceller) DryRun(ctx context.Context, req CancelRequest) ([]CancelAnswer, error) {
	all, ofEntry := groupCancels(req.Entries)
	if err := c.read(ctx, all); err != nil {
		c.Log.Error("dry run: the table cannot be read", "RequestId", req.ID, "Cause", err)
		return nil, ErrTableDown
	}
	for _, cn := range all {
		cn.judge(req.ID, c.Now())
	}
	return cancelAnswers(req, ofEntry), nil
}

// A cancellation is all entries of a request with the same session and owner.
type cancellation struct {
	CancelEntry

	seen   Record  // as it was read last; nil if there is none
	was    Session // what the last write found
	state  State   // that the session has again
	reason string  // why it failed, for the caller
	cause  error   // the same, for the log
	done   bool
	// notice tells the user that the session stays, if the write lands.
	notice *Notice
	// mayLand is true if a write had no answer, so that it is not known whether it changed the record.
	mayLand bool
}

// groupCancels makes one cancellation of all entries with the same session and owner.
// The second result has the cancellation of each entry.
func groupCancels(entries []CancelEntry) (all, ofEntry []*cancellation) {
	known := map[CancelEntry]*cancellation{}
	for _, e := range entries {
		if known[e] == nil {
			known[e] = &cancellation{CancelEntry: e}
			all = append(all, known[e])
		}
		ofEntry = append(ofEntry, known[e])
	}
	return all, ofEntry
}

func cancelAnswers(req CancelRequest, ofEntry []*cancellation) []CancelAnswer {
	answers := make([]CancelAnswer, len(req.Entries))
	for i, cn := range ofEntry {
		answers[i] = CancelAnswer{SessionID: cn.SessionID, State: cn.state, FailureReason: cn.reason}
	}
	return answers
}

// judge decides by the record as it was read. The cancellation is done if its answer is
// certain.
func (cn *cancellation) judge(requestID string, now time.Time) {
	s := cn.seen.Session()
	switch {
	case cn.seen == nil, s.Owner != cn.Owner:
		cn.fail(NotFound, nil)
		return
	case s.CancelledBy == requestID: // our write, whose answer was lost; the session may have been deleted again since
		cn.done = true
		closing := s.State == Deleting && s.Confirmation == "" || !s.CloseUntil.IsZero()
		switch {
		case cn.notice == nil:
		case closing, s.NoticeID != "": // the notice is no longer true, or a newer one has replaced it
			cn.notice = nil
		default: // the try that landed need not be the last
			cn.notice.At, cn.notice.VoidAfter = s.NoticeAt, s.NoticeAt.Add(noticeLife)
		}
		return
	case !s.State.lives() && s.State != Deleting:
		cn.fail(NotFound, nil)
		return
	}
	if reason := cancelRefused(s, cn.CancelEntry, now); reason != "" {
		cn.fail(reason, nil)
		return
	}
	cn.was, cn.notice, cn.state = s, nil, s.State
	if s.State == Deleting {
		cn.state = stateAgain(s)
		if s.NoticeID != "" {
			n := allClear(s, laterNotice(s, now))
			cn.notice = &n
		}
		return
	}
	cn.done = !s.CancelledAt.Before(now) // it has the effect of ours: it covers all earlier requests
}

// apply decides what the answer to a write means.
func (cn *cancellation) apply(res Result) {
	cn.mayLand = cn.mayLand || res.mayLand()
	switch {
	case res.Err == nil:
		cn.done = true
	case !errors.Is(res.Err, ErrCondition): // otherwise the record is read again
		cn.cause = res.Err
	}
}

func (cn *cancellation) fail(reason string, cause error) {
	if cn.mayLand {
		reason = reasonCancelUnclear
	}
	cn.done, cn.reason, cn.cause = true, reason, cause
}

func (cn *cancellation) log(log *slog.Logger) {
	s := cn.seen.Session()
	if cn.reason == "" {
		s = cn.was // the record may have been read since, where an answer was lost
	}
	log = log.With("SessionId", cn.SessionID, "HostId", s.HostID, "Owner", cn.Owner, "DeletionRequestId", s.DeletionRequestID)
	switch {
	case cn.reason == "" && s.State == Deleting:
		log.Info("deletion cancelled: the session stays open", "Metric", Count(DeletionsCancelled, 1))
	case cn.reason == "":
		log.Info("no deletion to cancel: earlier requests can no longer begin one")
	case cn.cause != nil:
		log.Warn("cancel failed: the caller must repeat it", "Cause", cn.cause)
	default:
		log.Info("cancel refused", "Reason", cn.reason)
	}
}
