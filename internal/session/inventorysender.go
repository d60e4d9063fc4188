package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// InventoryBroadcaster sends inventories to the fleet.
type InventoryBroadcaster interface {
	// Inventory asks all hosts of the fleet, by its tag, in one command.
	Inventory(ctx context.Context, id string, sentAt time.Time) error
	// InventoryInParts asks the same hosts by their IDs, and returns how many they are,
	// and whether all were asked. A host that Systems Manager refuses is no error, and
	// counts as asked.
	InventoryInParts(ctx context.Context, id string, sentAt time.Time) (hosts int, all bool, err error)
	// Undelivered returns the inventories sent since then of which a command ended
	// before any host had it: how it ended, by sending time; "" if no host has it yet.
	Undelivered(ctx context.Context, since time.Time) (map[time.Time]string, error)
}

// An InventorySender sends inventories, and decides which of the last ones count: if a
// command by tag ended as a whole, no host received it.
type InventorySender struct {
	HostTable   HostTable
	Broadcaster InventoryBroadcaster
	Now         func() time.Time
	// NewID makes the IDs of inventories: UUIDs.
	NewID func() string
	Log   *slog.Logger
}

const (
	// partsTime bounds the time for sending inventories in parts. lookUpTime bounds how
	// long looking up the last inventories may delay the next one.
	partsTime  = 15 * time.Second
	lookUpTime = 8 * time.Second
)

// Send sends an inventory: by tag, or in parts if the last one ended before any host
// had it. unanswered is when the inventory two before this one was sent, of those that
// count: a host that has not answered since then has left two unanswered. It is zero if
// that is not known, and may be set together with an error.
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

// lookUp returns when the last inventories that count were sent, the newest first, and
// how the last one ended if no host had it. It removes those that do not count.
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

// send sends one by tag or in parts, and by tag again if the hosts cannot be listed. An
// inventory that was not sent to all hosts is not recorded: it does not count.
func (is *InventorySender) send(ctx context.Context, now time.Time, ended string) error {
	if ended == "" {
		return is.sendByTag(ctx, now)
	}
	switch hosts, all, err := is.sendInParts(ctx, now, ended); {
	case err != nil && hosts == 0:
		return errors.Join(err, is.sendByTag(ctx, now))
	case err != nil || !all:
		return err
	}
	return is.recordSent(ctx, now)
}

func (is *InventorySender) sendByTag(ctx context.Context, now time.Time) error {
	if err := is.Broadcaster.Inventory(ctx, is.NewID(), now); err != nil {
		return err
	}
	return is.recordSent(ctx, now)
}

// recordSent records an inventory after it is sent. If no host received it, it does not
// count as unanswered.
func (is *InventorySender) recordSent(ctx context.Context, now time.Time) error {
	is.Log.Info("inventory sent: its hosts answer to host-events", "Metric", Count(InventoriesSent, 1))
	return is.HostTable.RecordInventorySent(ctx, now)
}

func (is *InventorySender) sendInParts(ctx context.Context, now time.Time, ended string) (hosts int, all bool, err error) {
	ctx, stop := context.WithTimeout(ctx, partsTime)
	defer stop()
	hosts, all, err = is.Broadcaster.InventoryInParts(ctx, is.NewID(), now)
	if hosts > 0 || err != nil || ended != "NoInstancesInTag" { // else there is nobody whom it should have reached
		is.Log.Warn("inventory ended before any host received it: it is ignored, and another is sent in parts",
			"Status", ended, "Hosts", hosts, "Metric", Count(InventoriesUndelivered, 1))
	}
	if !all && err == nil {
		is.Log.Warn("there are more hosts than an inventory is sent to in parts: it is ignored", "Hosts", hosts)
	}
	return hosts, all, err
}
