package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// A Cleaner processes the deletions that have not ended by themselves.
type Cleaner struct {
	Table    Table
	Index    Index
	Closer   SessionCloser
	Notifier Notifier
	Reaper   *HostReaper
	// GiveUp is how long after its first close attempt a deletion is tried that waited
	// for its close time, or whose record has no TryUntil.
	GiveUp time.Duration
	Now    func() time.Time
	// NewID makes the IDs of attempts: UUIDs.
	NewID func() string
	Log   *slog.Logger
}

// duePage is how many records of a shard are handled together.
const duePage = 250

// ProcessDue handles the deletions whose lease has ended, the longest due first. It
// shows confirmed ones to the table's stream once more, gives up those that are too
// old, and sends the other hosts another close command, or another notice before the
// close time. It returns when nothing is due or its time is nearly up; the next run
// continues. Two runs at the same time never claim the same deletion.
func (c *Cleaner) ProcessDue(ctx context.Context) error {
	handled := map[string]bool{}
	for {
		now := c.Now()
		due, err := c.due(ctx, now, handled)
		if err != nil {
			return err
		}
		if len(due) == 0 {
			return nil
		}
		if !timeFor(ctx, roundTime) {
			c.Log.Warn("time is up: the next run goes on", "StillDue", len(due))
			return nil
		}
		c.round(ctx, due, now)
	}
}

// due reads the due records that this run has not handled: a record whose write failed
// is left to the next run.
func (c *Cleaner) due(ctx context.Context, now time.Time, handled map[string]bool) ([]Record, error) {
	var due []Record
	for _, shard := range Shards() {
		records, err := c.Index.Due(ctx, shard, now, duePage)
		if err != nil {
			return nil, fmt.Errorf("read the due deletions: %w", err)
		}
		before := len(due)
		for _, r := range records {
			if id := r.text(AttrSessionID); !handled[id] {
				handled[id] = true
				due = append(due, r)
			}
		}
		if len(records) == duePage && len(due) == before {
			c.Log.Warn("first due deletions are still due after an attempt: the next run looks at those behind them", "StillDue", len(records))
		}
	}
	slices.SortFunc(due, func(a, b Record) int {
		return a.time(AttrNextAttemptAt).Compare(b.time(AttrNextAttemptAt))
	})
	return due, nil
}

// round writes each due deletion, and sends those that it claimed. Hosts that have not
// confirmed may be gone: it asks EC2 about them in between, for a bounded time, so that
// one host with many sessions does not delay the commands of others. It gives up
// deletions last: if the host is gone, the deletion ends, and is not given up.
func (c *Cleaner) round(ctx context.Context, due []Record, now time.Time) {
	var (
		unanswered   []string
		inTime, late []Record
	)
	for _, r := range due {
		s := r.Session()
		if s.unanswered() {
			unanswered = append(unanswered, s.HostID)
		}
		if s.unanswered() && !s.Waits() && !now.Before(tryUntil(s, c.GiveUp)) {
			late = append(late, r)
		} else {
			inTime = append(inTime, r)
		}
	}
	attempt := Attempt{ID: c.NewID(), At: now}
	var closing, waiting []Session
	claimed := c.write(ctx, inTime, attempt.ID, now)
	gone := c.checkHosts(ctx, unanswered)
	for _, s := range claimed {
		switch {
		case gone[s.HostID]:
		case s.Waits():
			waiting = append(waiting, s)
		default:
			closing = append(closing, s)
			attempt.add(s, c.GiveUp)
		}
	}
	c.send(ctx, attempt, closing)
	c.write(ctx, late, attempt.ID, now)
	c.notify(ctx, waiting, now) // last: what it costs is up to those who ask for grace periods
}

// write writes each of the due deletions, and returns the claimed ones as they are
// after the write.
func (c *Cleaner) write(ctx context.Context, due []Record, attemptID string, now time.Time) (claimed []Session) {
	writes := make([]Write, len(due))
	for i, r := range due {
		writes[i] = nextWrite(r, attemptID, now, c.GiveUp)
	}
	for i, res := range c.Table.Write(ctx, writes) {
		s := due[i].Session()
		log := c.Log.With("SessionId", s.ID, "HostId", s.HostID, "RequestId", s.DeletionRequestID)
		became := writes[i].Set
		claims := became[AttrAttemptID] != nil
		ours := claims && errors.Is(res.Err, ErrCondition) && res.Old[AttrAttemptID] == became[AttrAttemptID] // its first answer was lost
		switch {
		case errors.Is(res.Err, ErrCondition) && !ours:
			log.Debug("due deletion has changed since it was read: nothing to do")
		case res.Err != nil && !ours:
			log.Warn("due deletion not processed: the next run tries again", "Cause", res.Err)
		case became[AttrState] == string(Unknown):
			log.Error("deletion given up: the session may still run on its host", "Attempts", s.Attempts, "Reason", became[AttrStateReason], "Metric", Count(DeletionsGivenUp, 1))
		case claims:
			is := writes[i].after(res.Old).Session() // the index may be behind
			if ours {
				is = res.Old.Session()
			}
			if s.Waits() && is.notWarned() {
				log.Warn("session is closed without a warning to its user", "Reason", is.Warning, "Metric", Count(UsersNotWarned, 1))
			}
			claimed = append(claimed, is)
		case s.unanswered() && became[AttrStateReason] != nil && became[AttrNextAttemptAt] == nil:
			log.Error("session removed by force may still run on its host", "Attempts", s.Attempts, "Reason", became[AttrStateReason], "Metric", Count(DeletionsGivenUp, 1))
		case s.Waits():
			log.Debug("deletion waits for its close time", "CloseAt", s.CloseAt)
		case s.unanswered():
			log.Info("no further attempt: too little time is left before the broker gives up")
		default:
			log.Info("confirmed deletion written again, so that session-stream ends it", "Confirmation", string(s.Confirmation))
		}
	}
	return claimed
}

// send sends close commands for the claimed deletions. If one is refused, it keeps its
// lease, the reason is recorded, and EC2 is asked whether its host still exists.
func (c *Cleaner) send(ctx context.Context, attempt Attempt, claimed []Session) {
	if len(attempt.Closings) == 0 {
		return
	}
	commands := make([]string, len(claimed))
	attempt.OnSent = func(closing int, commandID string) { commands[closing] = commandID }
	var (
		reports []Report
		refused []string
	)
	for i, err := range c.Closer.Close(ctx, attempt) {
		s := claimed[i]
		log := c.Log.With("SessionId", s.ID, "HostId", s.HostID, "RequestId", s.DeletionRequestID, "AttemptId", attempt.ID, "Attempts", s.Attempts)
		refusal := (*Refusal)(nil)
		switch {
		case err == nil:
			log.Info("deletion tried again: waiting for the host's answer", "CommandId", commands[i])
			continue
		case !errors.As(err, &refusal):
			log.Warn("deletion tried again, but its command was not accepted: cleanup sends it again when the lease ends", "Cause", err, "Metric", Count(AttemptsFailed, 1))
			continue
		}
		log.Warn("deletion tried again, but its host was refused: cleanup tries again when the lease ends", "Cause", err,
			"Metric", Count(AttemptsFailed, 1), "Metric", Count(HostsUnreachable, 1))
		closing := attempt.Closings[i]
		refused = append(refused, closing.HostID)
		reports = append(reports, refusal.report(attempt.ID, closing.HostID, closing.SessionID))
	}
	recordRefusals(ctx, c.Table, reports, c.Now(), c.Log)
	c.checkHosts(ctx, refused)
}

// notify sends notices for deletions that wait. If one is refused, the deletion keeps
// its lease, and the notice is sent again.
func (c *Cleaner) notify(ctx context.Context, waiting []Session, now time.Time) {
	if len(waiting) == 0 {
		return
	}
	var (
		warnings []Warning
		refused  []string
	)
	sending, stop := context.WithTimeout(ctx, noticeTime)
	defer stop()
	for i, err := range c.Notifier.Notify(sending, notices(waiting, now)) {
		s := waiting[i]
		log := c.Log.With("SessionId", s.ID, "HostId", s.HostID, "RequestId", s.DeletionRequestID, "CloseAt", s.CloseAt)
		refusal := (*Refusal)(nil)
		switch {
		case err == nil:
			log.Info("host is asked again to warn the user")
		case !errors.As(err, &refusal):
			log.Warn("notice was not accepted: cleanup asks the host again when the lease ends", "Cause", err)
		default:
			log.Warn("host of a notice was refused: cleanup asks it again when the lease ends", "Cause", err, "Metric", Count(HostsUnreachable, 1))
			warnings = append(warnings, refusal.warning(s))
			refused = append(refused, s.HostID)
		}
	}
	recordRefusedNotices(ctx, c.Table, warnings, c.Now(), c.Log)
	c.checkHosts(ctx, refused)
}

// checkHosts asks EC2 about hosts and ends the sessions of those that are gone, within
// askTime, since others wait for their commands. It returns the hosts that are gone.
func (c *Cleaner) checkHosts(ctx context.Context, hostIDs []string) (gone map[string]bool) {
	asking, stop := context.WithTimeout(ctx, askTime)
	defer stop()
	checks, err := c.Reaper.Check(asking, hostIDs)
	if err != nil {
		c.Log.Warn("EC2 could not be asked about hosts that do not answer: the next run asks again", "Cause", err)
	}
	gone = map[string]bool{}
	for hostID, check := range checks {
		if check.Err != nil {
			c.Log.Warn("sessions of a host are not all processed: the next run goes on", "HostId", hostID, "Cause", check.Err)
		}
		gone[hostID] = check.Status.gone()
	}
	return gone
}
