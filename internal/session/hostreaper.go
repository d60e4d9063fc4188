package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// A HostStatus is a host's status in EC2.
type HostStatus int

const (
	// Alive: it runs, or its sessions come back (hibernation), or EC2 cannot know it.
	Alive HostStatus = iota
	// Stopped without hibernation: its sessions are gone.
	Stopped
	// Terminated, or unknown to EC2.
	Terminated
	// Stopping: it is being stopped. EC2 says only afterwards whether it hibernates.
	// EC2's answers may be behind its events, so it may be stopped already.
	Stopping
)

// Instances returns whether hosts still exist.
type Instances interface {
	// Statuses asks about each of the hosts. owners has the value of the tag DcvOwner
	// of those that EC2 knows, "" without the tag.
	Statuses(ctx context.Context, hostIDs []string) (statuses map[string]HostStatus, owners map[string]string, err error)
}

// A HostReaper ends the sessions of hosts that are gone. Only EC2's answer to a call
// now decides that: an event may be late, and the host may run again.
type HostReaper struct {
	Table     Table
	Index     Index
	Instances Instances
	HostTable HostTable
	// EndStopped also ends the sessions of hosts that are stopped, not only
	// their open deletions.
	EndStopped bool
	Now        func() time.Time
	NewID      func() string
	Log        *slog.Logger
}

// gone tells whether the sessions on the host have ended.
func (s HostStatus) gone() bool { return s == Stopped || s == Terminated }

// A HostCheck is the result for one host.
type HostCheck struct {
	Status HostStatus
	// Err means that not all consequences of the status could be written: ask about the
	// host again.
	Err error
}

// settled tells whether the host's status is known, and its consequences are written.
func (c HostCheck) settled() bool { return c.Err == nil && c.Status != Stopping }

const (
	// askTime bounds a call of EC2.
	askTime = 8 * time.Second
	// hostTime bounds the time that the records of one host take from the other hosts.
	hostTime = 3 * time.Second
)

// Check asks EC2 about the hosts. If a host is gone, this ends every deletion that was
// requested, and every session that was seen, before the question. A host that is
// Stopping is not decided yet. Each host has its own time and its own error. An error
// of Check itself means that EC2 did not answer. Check may be called again at any time.
func (hr *HostReaper) Check(ctx context.Context, hostIDs []string) (map[string]HostCheck, error) {
	hostIDs = slices.Compact(slices.Sorted(slices.Values(hostIDs)))
	if len(hostIDs) == 0 {
		return nil, nil
	}
	asked := hr.Now()
	statuses, owners, err := hr.statuses(ctx, hostIDs)
	if err != nil {
		return nil, fmt.Errorf("ask EC2 about hosts: %w", err)
	}
	checks := make(map[string]HostCheck, len(hostIDs))
	var alive []string
	for _, hostID := range hostIDs {
		check := HostCheck{Status: statuses[hostID]}
		switch check.Status {
		case Alive:
			alive = append(alive, hostID)
		case Stopping:
		case Stopped, Terminated:
			check.Err = hr.endSessionsOf(ctx, hostID, check.Status, asked)
		}
		checks[hostID] = check
	}
	known, err := hr.HostTable.Silences(ctx, alive)
	for _, hostID := range alive {
		if _, ok := known[hostID]; !ok && err == nil {
			checks[hostID] = HostCheck{Alive, hr.addIfItHasSessions(ctx, hostID, asked)}
		} else if err != nil {
			checks[hostID] = HostCheck{Alive, fmt.Errorf("read which hosts are known: %w", err)}
		}
	}
	hr.keepOwnerTags(ctx, alive, owners, known, asked)
	return checks, nil
}

func (hr *HostReaper) statuses(ctx context.Context, hostIDs []string) (statuses map[string]HostStatus, owners map[string]string, err error) {
	ctx, stop := context.WithTimeout(ctx, askTime)
	defer stop()
	return hr.Instances.Statuses(ctx, hostIDs)
}

// addIfItHasSessions adds a host that is not known to the Hosts table: if it never
// answers an inventory, it is then found to be silent. EC2 sends events of all
// instances of the account; those without sessions do not matter.
func (hr *HostReaper) addIfItHasSessions(ctx context.Context, hostID string, now time.Time) error {
	ctx, stop := context.WithTimeout(ctx, hostTime)
	defer stop()
	records, _, err := hr.Index.OnHost(ctx, hostID, "", 1)
	if len(records) > 0 && err == nil {
		err = hr.HostTable.AddHost(ctx, hostID, now)
	}
	if err != nil {
		return fmt.Errorf("host %s: %w", hostID, err)
	}
	return nil
}

func (hr *HostReaper) endSessionsOf(ctx context.Context, hostID string, status HostStatus, asked time.Time) error {
	ctx, stop := context.WithTimeout(ctx, hostTime)
	defer stop()
	reason := reasonTerminated
	if status == Stopped {
		reason = reasonStopped
	}
	end := evidence{id: hr.NewID(), confirmation: HostGone, reason: reason, before: asked, now: hr.Now()}
	sessionsToo := status == Terminated || hr.EndStopped
	var errs []error
	for records, err := range onHost(ctx, hr.Index, hostID) {
		if err != nil {
			errs = append(errs, fmt.Errorf("host %s: read its sessions: %w", hostID, err))
			break
		}
		errs = append(errs, hr.endRecords(ctx, end, hostID, records, sessionsToo))
	}
	return errors.Join(errs...)
}

// endRecords ends all of a host's records that can end. A record that differs from the
// index, which may be behind, is processed once more as it is in the table. One that
// has changed again is an error.
func (hr *HostReaper) endRecords(ctx context.Context, end evidence, hostID string, records []Record, sessionsToo bool) error {
	var errs []error
	for range 2 {
		moved, err := end.writeOrRead(ctx, hr.Table, end.onGoneHost(records, hostID, sessionsToo), hr.Log)
		errs = append(errs, err)
		records = moved
	}
	if left := end.onGoneHost(records, hostID, sessionsToo); len(left) > 0 {
		errs = append(errs, fmt.Errorf("host %s: %d of its sessions, %s among them, changed while they were ended", hostID, len(left), left[0].SessionID))
	}
	return errors.Join(errs...)
}
