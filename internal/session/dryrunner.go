package session

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// HostChecker checks whether hosts accept commands.
type HostChecker interface {
	// Check returns by host the refusals that a command would get. The other hosts
	// would accept it.
	Check(ctx context.Context, hostIDs []string) (map[string]*Refusal, error)
}

// A DryRunner answers requests as a Deleter would, and changes and sends
// nothing.
type DryRunner struct {
	Getter      Getter
	Notes       HostNotes
	HostChecker HostChecker
	Log         *slog.Logger
}

// A DryAnswer is an Answer, and the session that the entry would delete: nil if the
// owner has no such session.
type DryAnswer struct {
	Answer
	Session *Session
	// LastSeenAt is when the newest inventory was sent that is known to have had the
	// session. It is zero if none is known.
	LastSeenAt time.Time
}

// DryRun answers each entry as Delete would now. Only a command can find a host that
// Systems Manager has just lost, or one of a large fleet that lacks its tag.
//
// ErrTableDown means that no entry can be answered.
func (d *DryRunner) DryRun(ctx context.Context, req Request) ([]DryAnswer, error) {
	deletions, ofEntry := group(req.Entries)
	if err := d.read(ctx, deletions); err != nil {
		d.Log.Error("dry run: the table cannot be read", "RequestId", req.ID, "Cause", err)
		return nil, ErrTableDown
	}
	asked := map[string]bool{}
	for _, del := range deletions {
		del.predict(req)
		if del.step == toSend {
			asked[del.seen.HostID] = true
		}
	}
	refusals, err := d.HostChecker.Check(ctx, slices.Sorted(maps.Keys(asked)))
	if err != nil {
		return nil, fmt.Errorf("ask Systems Manager about hosts: %w", err)
	}
	var found []Session
	for _, del := range deletions {
		if del.reason != NotFound {
			found = append(found, del.seen.shown(req.At))
		}
	}
	seen, err := lastSeen(ctx, d.Notes, found)
	if err != nil {
		return nil, fmt.Errorf("read when hosts were seen: %w", err)
	}
	for _, del := range deletions {
		if refusal := refusals[del.seen.HostID]; del.step == toSend && refusal != nil {
			del.fail(refusalReason(refusal), refusal)
		}
	}
	answers := make([]DryAnswer, len(req.Entries))
	for i, e := range req.Entries {
		del := ofEntry[i]
		answers[i].Answer = del.answer(e)
		if del.reason != NotFound {
			hit := del.seen.shown(req.At)
			answers[i].Session = &hit
			answers[i].LastSeenAt = seen[del.SessionID]
		}
	}
	return answers, nil
}

// read looks up each deletion's record, and fails those without one.
func (d *DryRunner) read(ctx context.Context, deletions []*deletion) error {
	var ids []string
	for _, del := range deletions {
		ids = append(ids, del.SessionID)
	}
	byID, err := getByID(ctx, d.Getter, ids)
	if err != nil {
		return err
	}
	for _, del := range deletions {
		r, exists := byID[del.SessionID]
		if del.seen = r.Session(); !exists || del.seen.Owner != del.Owner {
			del.fail(NotFound, nil)
		}
	}
	return nil
}
