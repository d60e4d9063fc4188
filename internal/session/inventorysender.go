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
	// InventoryInParts asks the same hosts by their IDs, and tells how many they are,
	// and whether all were asked. Hosts that Systems Manager would not command are no
	// error: they count as asked.
	InventoryInParts(ctx context.Context, id string, sentAt time.Time) (hosts int, all bool, err error)
	// Undelivered has the inventories that were sent since then, by their times, of
	// which a command ended before any host had it, and how it ended; "" while no
	// host has it yet.
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
	// partsTime bounds the time for sending them; lookUpTime is how long hosts wait
	// for their inventory because the last ones are looked up.
	partsTime  = 15 * time.Second
	lookUpTime = 8 * time.Second
)

// Send sends an inventory: by tag, or, if the last one ended before any host had
// it, in parts. unanswered is when the inventory two before this one was sent, of
// those that count: a host that has not answered since then has left two
// unanswered. It is zero where that is not known, and may be there with an error.
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

// send sends one by tag, or in parts; where nobody can list the hosts, by tag again. An
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

// recordSent records an inventory after it is sent: if no host received it, it is
// unanswered by none.
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
