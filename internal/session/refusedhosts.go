package session

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// RefusedHostNotes keeps the hosts because of which deletions were refused, until
// cleanup asks EC2 about them: delete-sessions does not ask EC2.
type RefusedHostNotes interface {
	// RecordRefused notes these distinct hosts. A host's new note replaces the earlier
	// one.
	RecordRefused(ctx context.Context, hostIDs []string, at time.Time) error
}

// RefusedHosts reads the notes of RefusedHostNotes.
type RefusedHosts interface {
	// RefusedHosts lists noted hosts, the longest noted first, at most limit of them.
	RefusedHosts(ctx context.Context, limit int) ([]RefusedHost, error)
	// ForgetRefused removes a note, unless another has replaced it.
	ForgetRefused(ctx context.Context, noted RefusedHost) error
}

// A RefusedHost is a host because of which a deletion was refused, and when that was.
type RefusedHost struct {
	HostID string
	At     time.Time
}

// KeepRefused is how long a note is kept if it is not removed.
const KeepRefused = 24 * time.Hour

// noteTime bounds how long noting refused hosts may delay the answer.
const noteTime = 2 * time.Second

// hostsOf returns the hosts of deletions that EC2 may know, each once.
func hostsOf(deletions []*deletion) (hostIDs []string) {
	for _, del := range deletions {
		if id := del.seen.HostID; id != "" && knownToEC2(id) {
			hostIDs = append(hostIDs, id)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(hostIDs)))
}

// noteRefusedHosts notes the hosts of refused deletions, so that cleanup asks EC2 about
// them: a host that is gone without an event is found before the caller repeats the
// request. The answer does not depend on it.
func (d *Deleter) noteRefusedHosts(ctx context.Context, hostIDs []string, at time.Time, log *slog.Logger) {
	if len(hostIDs) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(ctx, noteTime)
	defer stop()
	if err := d.RefusedHosts.RecordRefused(ctx, hostIDs, at); err != nil {
		log.Warn("failed to note refused hosts: cleanup does not ask EC2 about them because of this request", "Hosts", len(hostIDs), "Cause", err)
	}
}

// A RefusedHostChecker asks EC2 about the hosts that are noted as refused.
type RefusedHostChecker struct {
	RefusedHosts RefusedHosts
	Reaper       *HostReaper
	Log          *slog.Logger
}

const (
	// maxRefused is how many noted hosts one run asks about; refusedPage is how many
	// it asks about together.
	maxRefused  = 1000
	refusedPage = 100
)

// Check asks about hosts until no other is noted or its time is nearly up; the next run
// continues. A host stays noted until EC2's answer about it has been applied.
func (c *RefusedHostChecker) Check(ctx context.Context) error {
	hosts, err := c.RefusedHosts.RefusedHosts(ctx, maxRefused)
	if err != nil {
		return fmt.Errorf("read which hosts were refused: %w", err)
	}
	left := len(hosts)
	for page := range slices.Chunk(hosts, refusedPage) {
		if !timeFor(ctx, askTime) {
			c.Log.Warn("time is up: the next run asks about more refused hosts", "StillRefused", left)
			return nil
		}
		if err := c.ask(ctx, page); err != nil {
			return err
		}
		left -= len(page)
	}
	if len(hosts) == maxRefused {
		c.Log.Warn("one run's bound is reached: the next run asks about more refused hosts, if there are any", "Looked", len(hosts))
	}
	return nil
}

func (c *RefusedHostChecker) ask(ctx context.Context, hosts []RefusedHost) error {
	ctx, stop := context.WithTimeout(ctx, askTime)
	defer stop()
	var hostIDs []string
	for _, h := range hosts {
		hostIDs = append(hostIDs, h.HostID)
	}
	checks, err := c.Reaper.Check(ctx, hostIDs)
	if err != nil {
		return fmt.Errorf("refused hosts: %w", err)
	}
	c.Log.Info("EC2 was asked about refused hosts", "Hosts", len(hosts))
	for _, h := range hosts {
		check := checks[h.HostID]
		if check.settled() {
			check.Err = c.RefusedHosts.ForgetRefused(ctx, h)
		}
		if check.Err != nil {
			c.Log.Warn("sessions of a refused host are not all processed: the next run asks about it again", "HostId", h.HostID, "Cause", check.Err)
		}
	}
	return nil
}
