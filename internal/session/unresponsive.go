package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// quietPage is how many quiet hosts are looked at together.
const quietPage = 100

// maxQuiet is how many quiet hosts one run looks at.
const maxQuiet = 1000

// An UnresponsiveMarker looks at the hosts that have left inventories unanswered.
type UnresponsiveMarker struct {
	Table     Table
	Index     Index
	HostTable HostTable
	Reaper    *HostReaper
	Now       func() time.Time
	Log       *slog.Logger
}

// Mark makes READY sessions UNKNOWN on silent hosts. A host is silent if it has not
// answered for that long, nor since unanswered: the sending time of the older of the
// last two inventories that count, without the newest, which was just sent. Zero means
// that the time is not known. It is then not known whether these sessions run. Time in
// which no inventory was sent does not count. The next inventory of the host makes them
// READY again. If the host never answers again, its records expire after KeepUnknown.
// Open deletions do not change: they end by themselves.
//
// Sessions of hosts that EC2 says are gone end instead. Mark looks at the longest
// silent hosts first, until it has looked at all of them or at maxQuiet, or its time is
// nearly up.
func (um *UnresponsiveMarker) Mark(ctx context.Context, after time.Duration, unanswered time.Time) error {
	now := um.Now()
	before := unanswered
	if limit := now.Add(-after); limit.Before(before) {
		before = limit
	}
	var (
		looked  = map[string]bool{} // some stay quiet hosts, and keep their place before the others
		checks  map[string]HostCheck
		unasked error
		errs    []error
	)
	for {
		hostIDs, err := um.HostTable.AnsweredBefore(ctx, before, quietPage+len(looked))
		if err != nil {
			errs = append(errs, fmt.Errorf("find quiet hosts: %w", err))
			break
		}
		hostIDs = slices.DeleteFunc(hostIDs, func(id string) bool { return looked[id] })
		if len(hostIDs) == 0 {
			break
		}
		if len(looked) >= maxQuiet {
			um.Log.Warn("one run's bound is reached: the next run looks at more quiet hosts", "Looked", len(looked), "StillQuiet", len(hostIDs))
			break
		}
		if !timeFor(ctx, roundTime) {
			um.Log.Warn("time is up: the next run looks at more quiet hosts", "Looked", len(looked), "StillQuiet", len(hostIDs))
			break
		}
		// If some hosts are no longer quiet, the list has more than a page of others.
		hostIDs = hostIDs[:min(len(hostIDs), quietPage)]
		if unasked == nil { // else the next run asks EC2 again
			checks, unasked = um.Reaper.Check(ctx, hostIDs)
			errs = append(errs, unasked)
		}
		for _, hostID := range hostIDs {
			if !timeFor(ctx, 2*hostTime) {
				break // the next run goes on
			}
			looked[hostID] = true
			check := checks[hostID]
			errs = append(errs, check.Err)
			asked := unasked == nil && check.settled()
			if err := um.markHost(ctx, hostID, before, now, asked); err != nil {
				errs = append(errs, fmt.Errorf("host %s: %w", hostID, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (um *UnresponsiveMarker) markHost(ctx context.Context, hostID string, before, now time.Time, asked bool) error {
	ctx, stop := context.WithTimeout(ctx, hostTime)
	defer stop()
	if quiet, err := um.quietBefore(ctx, hostID, before); !quiet || err != nil {
		return err
	}
	var errs []error
	settled := asked // else the next run looks at the host again
	marked := 0
	for records, err := range onHost(ctx, um.Index, hostID) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		n, over, err := um.markRecords(ctx, records, before, now)
		marked += n
		settled = settled && over
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || !settled {
		return err
	}
	silent, err := um.HostTable.MarkSilent(ctx, hostID, before)
	if err != nil {
		return err
	}
	if silent {
		um.Log.Warn("host is silent: its sessions are UNKNOWN until it answers again", "HostId", hostID, "Sessions", marked, "Metric", Count(HostsFellSilent, 1))
	}
	return nil
}

// quietBefore tells whether the host has not answered since then, by its current item:
// the index that lists quiet hosts may be behind, and asking EC2 took time.
func (um *UnresponsiveMarker) quietBefore(ctx context.Context, hostID string, then time.Time) (bool, error) {
	silences, err := um.HostTable.Silences(ctx, []string{hostID})
	silence, known := silences[hostID]
	return known && silence.AnsweredAt.Before(then), err
}

// markAgain makes READY sessions UNKNOWN on a host that is marked silent already and
// has not answered in the meantime. settled is false if one may become READY again.
func (um *UnresponsiveMarker) markAgain(ctx context.Context, hostID string, now time.Time) (settled bool, err error) {
	ctx, stop := context.WithTimeout(ctx, hostTime)
	defer stop()
	silences, err := um.HostTable.Silences(ctx, []string{hostID})
	if silence := silences[hostID]; !silence.Silent || err != nil {
		return true, err
	}
	settled = true
	for records, err := range onHost(ctx, um.Index, hostID) {
		if err != nil {
			return false, err
		}
		_, over, err := um.markRecords(ctx, records, silences[hostID].AnsweredAt, now)
		if err != nil {
			return false, err
		}
		settled = settled && over
	}
	return settled, nil
}

// markRecords marks the records of a host that are READY, or that become READY when
// their deletion is cancelled. It returns how many it marked, and whether all of them
// are settled.
func (um *UnresponsiveMarker) markRecords(ctx context.Context, records []Record, before, now time.Time) (marked int, settled bool, err error) {
	var writes []Write
	settled = true
	for _, r := range records {
		switch s := r.Session(); {
		case s.State == Ready, s.Waits() && s.StateBefore == Ready && !s.mayBePutBack(now):
			writes = append(writes, markUnresponsive(r, before, now))
		case s.Waits() && !s.mayBePutBack(now):
		case s.State == Deleting && s.Confirmation == "":
			settled = false // it may be put back yet
		}
	}
	var errs []error
	for i, res := range um.Table.Write(ctx, writes) {
		switch {
		case res.Err == nil:
			marked++
			um.Log.Info("session is UNKNOWN until its host answers again", "SessionId", writes[i].SessionID, "HostId", records[0].text(AttrLiveHostID))
		case errors.Is(res.Err, ErrCondition):
			settled = false // it has moved on, perhaps not for long
		default:
			errs = append(errs, res.Err)
		}
	}
	return marked, settled, errors.Join(errs...)
}
