package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// InventoryBroadcaster is the fleet, as far as inventories go.
type InventoryBroadcaster interface {
	// Inventory asks all hosts of the fleet, by its tag, in one command.
	Inventory(ctx context.Context, id string, sentAt time.Time) error
	// InventoryOf asks those hosts by their IDs. Hosts that Systems Manager would
	// not command are no error: they count as asked.
	InventoryOf(ctx context.Context, id string, sentAt time.Time, hostIDs []string) error
	// Undelivered has the inventories that were sent since then, by their times, of
	// which a command ended before any host had it, and how it ended; "" while no
	// host has it yet.
	Undelivered(ctx context.Context, since time.Time) (map[time.Time]string, error)
}

// An InventorySender sends inventories, and tells which of the last ones count: a
// command by tag can end as a whole, and then no host was asked.
type InventorySender struct {
	HostTable   HostTable
	Broadcaster InventoryBroadcaster
	Now         func() time.Time
	// NewID makes the IDs of inventories: UUIDs.
	NewID func() string
	Log   *slog.Logger
}

const (
	// maxInParts is how many hosts an inventory is sent to that goes out in parts:
	// 20 commands, if none is refused.
	maxInParts = 1000
	// partsTime bounds the time for sending them; lookUpTime is how long hosts wait
	// for their inventory because the last ones are looked up.
	partsTime  = 15 * time.Second
	lookUpTime = 8 * time.Second
)

// Send sends an inventory: by tag, or, if the last one ended before any host had
// it, in parts, to each host that is not known to be silent. unanswered is when
// the inventory two before this one was sent, of those that count: a host that has
// not answered since then has left two unanswered. It is zero where that is not
// known, and may be there with an error.
func (is *InventorySender) Send(ctx context.Context) (unanswered time.Time, err error) {
	now := is.Now()
	counting, ended, err := is.lookUp(ctx)
	if len(counting) > 0 && now.Before(counting[0].Add(SentApart)) {
		counting = counting[1:] // another run has just sent it: it counts as the same
	}
	if len(counting) > 1 {
		unanswered = counting[1]
	}
	return unanswered, errors.Join(err, is.send(ctx, now, ended))
}

// lookUp has the sending times of the last inventories that count, the newest
// first, and how the last one ended, if no host had it. Those that do not count are
// forgotten.
func (is *InventorySender) lookUp(ctx context.Context) (counting []time.Time, ended string, err error) {
	ctx, stop := context.WithTimeout(ctx, lookUpTime)
	defer stop()
	sent, err := is.HostTable.LastInventories(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("read when inventories were sent: %w", err)
	}
	if len(sent) == 0 {
		return nil, "", nil
	}
	undelivered, err := is.Broadcaster.Undelivered(ctx, sent[len(sent)-1])
	if err != nil {
		return nil, "", fmt.Errorf("look up the last inventories: %w", err)
	}
	var errs []error
	for n, at := range sent {
		how, found := undelivered[at.UTC()]
		switch {
		case !found:
			counting = append(counting, at)
		case how != "":
			if n == 0 {
				ended = how
			}
			errs = append(errs, is.HostTable.ForgetInventory(ctx, at))
		}
	}
	return counting, ended, errors.Join(errs...)
}

// Hosts that cannot be read are asked by tag: an inventory goes out whatever fails.
func (is *InventorySender) send(ctx context.Context, now time.Time, ended string) error {
	var (
		hostIDs []string
		unread  error
	)
	if ended != "" {
		if hostIDs, unread = is.HostTable.AnsweredBefore(ctx, now.Add(time.Minute), maxInParts); unread != nil {
			hostIDs, unread = nil, fmt.Errorf("find who is to have an inventory: %w", unread)
		}
		if len(hostIDs) > 0 || unread != nil { // else there is nobody whom it should have reached
			is.Log.Warn("inventory ended before any host had it: it does not count, and another is sent in parts",
				"Status", ended, "Hosts", len(hostIDs), "Metric", Count(InventoriesUndelivered, 1))
		}
	}
	if err := is.broadcast(ctx, now, hostIDs); err != nil {
		return errors.Join(unread, err)
	}
	is.Log.Info("inventory sent: its hosts answer to host-events", "Metric", Count(InventoriesSent, 1))
	// It is noted when it is sent, not before: one that no host got leaves none unanswered.
	return errors.Join(unread, is.HostTable.RecordInventorySent(ctx, now))
}

func (is *InventorySender) broadcast(ctx context.Context, now time.Time, hostIDs []string) error {
	if len(hostIDs) == 0 {
		return is.Broadcaster.Inventory(ctx, is.NewID(), now)
	}
	if len(hostIDs) == maxInParts {
		is.Log.Warn("there may be more hosts than an inventory is sent to in parts: the others have answered last", "Hosts", maxInParts)
	}
	ctx, stop := context.WithTimeout(ctx, partsTime)
	defer stop()
	return is.Broadcaster.InventoryOf(ctx, is.NewID(), now, hostIDs)
}
