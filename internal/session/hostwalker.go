package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// HostLister finds the hosts that have living records.
type HostLister interface {
	// HostsAfter lists the next hosts that have living records, in the table's own
	// order, which does not change: those after that host ("" for the first). It looks
	// at limit records at most. If the records of one host fill the limit, it does not
	// look at the rest of that host. No host means that none is left.
	HostsAfter(ctx context.Context, hostID string, limit int) (hostIDs []string, err error)
}

// HostWalk is the part of the Hosts table for a HostWalker.
type HostWalk interface {
	// WalkedTo returns the host at which the last walk stopped, "" for the first.
	WalkedTo(ctx context.Context) (hostID string, err error)
	// RecordWalkedTo stores it.
	RecordWalkedTo(ctx context.Context, hostID string) error
	// RecordAsked notes that EC2 was asked about a silent host.
	RecordAsked(ctx context.Context, hostID string, at time.Time) error
}

// longestWithoutQuestion is the longest time between two calls of EC2 about a silent host.
const longestWithoutQuestion = 6 * time.Hour

// due tells whether EC2 must be asked now: when a host has been silent for twice as
// long as at the last call, and every six hours at least.
func (s Silence) due(now time.Time) bool {
	pause := min(s.AskedAt.Sub(s.AnsweredAt), longestWithoutQuestion)
	return s.Silent && !now.Before(s.AskedAt.Add(pause))
}

// A HostWalker looks at the hosts that have living records, some in each run, and
// begins again after the last one. It finds what nothing else looks for: hosts that the
// Hosts table lacks, because it was made again or the Sessions table was restored;
// silent hosts whose end no event reported; sessions of silent hosts that are READY
// again, because the Sessions table was restored; and the tags DcvOwner of hosts
// without problems.
type HostWalker struct {
	HostLister HostLister
	HostTable  interface {
		HostTable
		HostWalk
	}
	Reaper       *HostReaper
	Unresponsive *UnresponsiveMarker
	Now          func() time.Time
	Log          *slog.Logger
}

const (
	// walkRecords is how many records a walk looks at. walkPage is how many of them are
	// in memory at one time, and how many it looks at of one host.
	walkRecords = 1000
	walkPage    = 50
)

// Walk adds hosts that the Hosts table lacks, as ones that answered now: they are found
// to be silent if they do not answer. It has EC2 asked about silent hosts. It stores
// its place before that, so that a host that fails does not delay others. When its time
// is up, the next run begins at that place.
func (hw *HostWalker) Walk(ctx context.Context) error {
	place, err := hw.HostTable.WalkedTo(ctx)
	if err != nil {
		return fmt.Errorf("read the host that the last walk came to: %w", err)
	}
	places := []string{place}
	for range walkRecords / walkPage {
		if !timeFor(ctx, hostTime) {
			break
		}
		page, err := hw.HostLister.HostsAfter(ctx, place, walkPage)
		if err != nil {
			return fmt.Errorf("find hosts that have sessions: %w", err)
		}
		if len(page) == 0 {
			place = ""
			break
		}
		place = page[len(page)-1]
		places = append(places, page...)
	}
	if err := hw.HostTable.RecordWalkedTo(ctx, place); err != nil {
		return fmt.Errorf("store the host that the walk came to: %w", err)
	}
	return hw.look(ctx, places)
}

// look looks at the hosts at the places, which begin with the place before the first.
func (hw *HostWalker) look(ctx context.Context, places []string) error {
	hostIDs := places[1:]
	now := hw.Now()
	silences, err := hw.HostTable.Silences(ctx, hostIDs)
	if err != nil {
		return fmt.Errorf("read which hosts are silent: %w", err)
	}
	var (
		errs   []error
		silent []int // their numbers
		ask    []string
	)
	for i, hostID := range hostIDs {
		if !timeFor(ctx, hostTime) {
			hw.Log.Warn("time is up: the next run looks at more hosts that have sessions", "Looked", i, "HostsLeft", len(hostIDs)-i)
			errs = append(errs, hw.HostTable.RecordWalkedTo(ctx, places[i]))
			break
		}
		silence, known := silences[hostID]
		switch {
		case !known:
			hw.Log.Info("unknown host has sessions: it is expected to answer from now on", "HostId", hostID)
			errs = append(errs, hw.HostTable.AddHost(ctx, hostID, now))
		case silence.due(now):
			silent = append(silent, i)
			if knownToEC2(hostID) {
				ask = append(ask, hostID)
			}
		}
	}
	asking, stop := EndEarlier(ctx, hostTime) // then there is time to go back
	defer stop()
	checks, unasked := hw.Reaper.Check(asking, ask)
	missed, err := hw.lookAtSilent(ctx, hostIDs, silent, checks, now)
	errs = append(errs, unasked, err)
	// Not back to where this run began: a host that failed there would delay all
	// others.
	if len(missed) > 0 && missed[0] > 0 {
		errs = append(errs, hw.HostTable.RecordWalkedTo(ctx, places[missed[0]]))
	}
	hw.Reaper.readOwnerTags(asking, hostIDs, silences, now)
	return errors.Join(errs...)
}

// lookAtSilent applies EC2's answers about silent hosts. It returns those that it
// missed, because EC2 did not answer or there was no time.
func (hw *HostWalker) lookAtSilent(ctx context.Context, hostIDs []string, silent []int, checks map[string]HostCheck, now time.Time) (missed []int, err error) {
	var errs []error
	for n, i := range silent {
		if !timeFor(ctx, hostTime) {
			hw.Log.Warn("time is up: the next run looks at more silent hosts", "Looked", n, "HostsLeft", len(silent)-n)
			missed = append(missed, silent[n:]...)
			break
		}
		check, asked := checks[hostIDs[i]]
		if !asked && knownToEC2(hostIDs[i]) {
			missed = append(missed, i)
		} else if err := hw.afterCheck(ctx, hostIDs[i], check, now); err != nil {
			errs = append(errs, fmt.Errorf("host %s: %w", hostIDs[i], err))
		}
	}
	return missed, errors.Join(errs...)
}

// afterCheck applies EC2's answer about a silent host. If that fails, the question does
// not count, and the next walk asks again.
func (hw *HostWalker) afterCheck(ctx context.Context, hostID string, check HostCheck, now time.Time) error {
	if !check.settled() {
		return check.Err
	}
	if settled, err := hw.Unresponsive.markAgain(ctx, hostID, now); !settled || err != nil {
		return err
	}
	return hw.HostTable.RecordAsked(ctx, hostID, now)
}

// knownToEC2 tells whether EC2 can know the host: it does not know IDs that Systems
// Manager has given.
func knownToEC2(hostID string) bool { return !strings.HasPrefix(hostID, "mi-") }
