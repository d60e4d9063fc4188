package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// A Stopper stops empty hosts, to save their cost. If in doubt it does not stop a host;
// it stops only a host that
//
//   - EC2 says runs, and is tagged for it;
//   - an inventory has seen a session on since it was started, so that one that
//     was started for a session still to come is left alone;
//   - has said, in complete inventories from Grace ago until just now, that
//     nothing runs;
//   - has no record, of a session that lives or a deletion that is open.
//
// A session that begins after the host's last inventory, at most newsAge before,
// is lost: nobody but the host could know of it.
type Stopper struct {
	Index     Index
	Notes     HostNotes
	Instances Stoppable
	// Grace is how long a host has been empty before it is stopped.
	Grace time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Stoppable is the part of EC2 that a Stopper uses.
type Stoppable interface {
	// Running are the hosts of the fleet that run and are tagged to be stopped
	// when they are empty.
	Running(ctx context.Context) ([]RunningHost, error)
	// Stop returns ErrCannotBeStopped if the kind or the state of the host does not
	// allow it.
	Stop(ctx context.Context, hostID string) error
}

// ErrCannotBeStopped is about one host, and permanent.
var ErrCannotBeStopped = errors.New("this host cannot be stopped")

// A RunningHost was last started at that time.
type RunningHost struct {
	HostID    string
	StartedAt time.Time
}

const (
	// newsAge is how old the newest inventory of a host may be when the host is
	// stopped. The task runs each minute, so it sees every inventory at that age.
	newsAge = 90 * time.Second
	// maxStops bounds how many hosts one run tries to stop.
	maxStops = 20
)

// Stop stops the hosts that are empty.
func (s *Stopper) Stop(ctx context.Context) error {
	running, err := s.Instances.Running(ctx)
	if err != nil {
		return fmt.Errorf("find running hosts that may be stopped: %w", err)
	}
	var ids []string
	for _, h := range running {
		ids = append(ids, h.HostID)
	}
	notes, err := s.Notes.Notes(ctx, ids)
	if err != nil {
		return fmt.Errorf("read the inventories of hosts: %w", err)
	}
	var errs []error
	tries := 0
	for _, h := range s.inTurn(running) {
		if !notes[h.HostID].empty(h.StartedAt, s.Now(), s.Grace) {
			continue
		}
		if tries++; tries > maxStops {
			s.Log.Info("more hosts are empty: the next run goes on with them")
			break
		}
		if err := s.stop(ctx, h); err != nil {
			errs = append(errs, fmt.Errorf("host %s: %w", h.HostID, err))
		}
	}
	return errors.Join(errs...)
}

// inTurn returns the hosts in an order that begins elsewhere each minute, so that hosts
// that cannot be stopped do not exclude the rest.
func (s *Stopper) inTurn(hosts []RunningHost) []RunningHost {
	if len(hosts) == 0 {
		return nil
	}
	first := int(s.Now().Unix() / 60 * maxStops % int64(len(hosts)))
	return slices.Concat(hosts[first:], hosts[:first])
}

// stop does not fail because of a host that cannot be stopped: an operator must see
// that, but the run has not failed.
func (s *Stopper) stop(ctx context.Context, h RunningHost) error {
	records, _, err := s.Index.OnHost(ctx, h.HostID, "", 1)
	if err != nil {
		return fmt.Errorf("read its sessions: %w", err)
	}
	notes, err := s.Notes.Notes(ctx, []string{h.HostID}) // a session may have been seen since the run began
	if err != nil {
		return fmt.Errorf("read its inventories: %w", err)
	}
	note := notes[h.HostID]
	log := s.Log.With("HostId", h.HostID, "EmptySeconds", s.Now().Sub(note.EmptySince).Seconds())
	switch {
	case !note.empty(h.StartedAt, s.Now(), s.Grace):
		s.Log.Info("empty host not stopped: it may have a session again", "HostId", h.HostID)
		return nil
	case len(records) > 0:
		log.Info("empty host not stopped: it has records of sessions that have not ended", "SessionId", records[0].text(AttrSessionID))
		return nil
	}
	err = s.Instances.Stop(ctx, h.HostID)
	if errors.Is(err, ErrCannotBeStopped) {
		log.Warn("empty host not stopped: EC2 does not stop this host; cleanup tries again while it is empty", "Cause", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop it: %w", err)
	}
	log.Info("empty host stopped", "Metric", Count(HostsStopped, 1))
	return nil
}

// empty tells whether a host that was started then is empty, and has been for
// the grace time.
func (n HostNote) empty(startedAt, now time.Time, grace time.Duration) bool {
	used := !startedAt.IsZero() && n.OccupiedAt.After(startedAt)
	since := n.EmptySince.After(n.OccupiedAt) && !now.Before(n.EmptySince.Add(grace))
	return used && since && now.Sub(n.SentAt) <= newsAge
}
