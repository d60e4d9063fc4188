package events_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/session"
)

func TestUnknownTaskIsAnError(t *testing.T) {
	for _, task := range []string{"", "deletion", "Inventory"} {
		f := newFleetWorld(t)
		if err := f.cleanup(task, time.Hour); err == nil || len(f.sent) > 0 {
			t.Errorf("%q: %v, sent %q", task, err, f.documents())
		}
	}
}

// Lambda ends a function at its deadline: the run fails earlier, and logs that.
func TestTaskThatHangsEndsInTime(t *testing.T) {
	for _, task := range []string{"deletions", "inventory", "idle"} {
		f := newFleetWorld(t)
		f.hangs = true
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
			defer cancel()
			if err := f.cleanupFor(ctx, task, time.Hour); err == nil || ctx.Err() != nil || !strings.Contains(f.log.String(), "task failed") {
				t.Errorf("%s: %v, its time is over: %t, log: %s", task, err, ctx.Err() != nil, &f.log)
			}
		})
	}
}

func TestIdleSessionsAreNotClosedUnlessAsked(t *testing.T) {
	f := newFleetWorld(t)
	if err := f.cleanup("idle", 0); err != nil || len(f.sent) > 0 {
		t.Errorf("%v, sent %q", err, f.documents())
	}
	if err := f.cleanup("idle", time.Hour); err != nil || !slices.Equal(f.documents(), []string{"Idle"}) {
		t.Errorf("%v, sent %q", err, f.documents())
	}
}

// Idle closing uses the grace period and the message of the stack's parameters.
func TestIdleUsersAreWarnedAsTheStackIsSet(t *testing.T) {
	f := newFleetWorld(t)
	f.ruleDefaults = cleanup.RuleDefaults{GracePeriod: 15 * time.Minute, Message: "Save"}
	if err := f.cleanup("idle", time.Hour); err != nil || len(f.sent) != 1 {
		t.Fatalf("%v, sent %q", err, f.documents())
	}
	want := map[string][]string{"idleMinutes": {"60"}, "warnSeconds": {"900"}, "message": {"U2F2ZQ=="}}
	if diff := cmp.Diff(want, f.sent[0].Parameters); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
}

// Promise 11: all hosts are sent the inventory before silent ones are processed,
// however long that takes.
func TestInventoryIsSentBeforeSilentHostsAreLookedAt(t *testing.T) {
	f := newFleetWorld(t)
	if _, _, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: t0.Add(-time.Hour), At: t0.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, ago := range []time.Duration{30 * time.Minute, 15 * time.Minute} {
		if err := f.hosts.RecordInventorySent(t.Context(), t0.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	f.put("s0", hostID(0), "READY", "")
	var sent []string
	f.asking = func() { sent = f.documents() }
	if err := f.cleanup("inventory", 0); err != nil || len(f.asked) == 0 {
		t.Errorf("asked about %q, %v", f.asked, err)
	}
	if !slices.Equal(sent, []string{"Inventory"}) {
		t.Errorf("sent before EC2 was asked: %q", sent)
	}
}

// Each inventory has a new ID and time, and is sent also if the silent hosts cannot be
// processed.
func TestInventoryIsAskedForWhateverFails(t *testing.T) {
	f := newFleetWorld(t)
	_, _, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: t0.Add(-time.Hour), At: t0.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, ago := range []time.Duration{30 * time.Minute, 15 * time.Minute} {
		if err := f.hosts.RecordInventorySent(t.Context(), t0.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	f.put("s0", hostID(0), "READY", "")
	f.index = errors.New("no index")
	if err := f.cleanup("inventory", 0); !errors.Is(err, f.index) {
		t.Errorf("error %v", err)
	}
	f.index = nil
	f.sending = errors.New("throttled")
	if err := f.cleanup("inventory", 0); !errors.Is(err, f.sending) {
		t.Errorf("error %v", err)
	}
	f.has("s0", "State", "UNKNOWN")
	f.sending, f.listing = nil, errors.New("throttled")
	if err := f.cleanup("inventory", 0); !errors.Is(err, f.listing) {
		t.Errorf("error %v", err)
	}
	if !slices.Equal(f.documents(), []string{"Inventory", "Inventory", "Inventory"}) {
		t.Fatalf("sent %q", f.documents())
	}
	first, second := *f.sent[0].Comment, *f.sent[1].Comment
	if first == second || !strings.HasSuffix(first, " "+session.FormatTime(f.now())) {
		t.Errorf("sent as %q and %q", first, second)
	}
}

// An inventory that no host received is unanswered by none.
func TestOnlyInventoriesThatWereSentCount(t *testing.T) {
	f := newFleetWorld(t)
	now := f.now()
	f.now = func() time.Time { return now }
	for _, sending := range []error{nil, nil, nil, errors.New("throttled")} {
		f.sending = sending
		if err := f.cleanup("inventory", 0); !errors.Is(err, sending) {
			t.Errorf("error %v", err)
		}
		now = now.Add(5 * time.Minute)
	}
	// Sent at 0, 5 and 10 minutes; now it is 20.
	sent, err := f.hosts.LastInventories(t.Context())
	if want := []time.Time{now.Add(-10 * time.Minute), now.Add(-15 * time.Minute), now.Add(-20 * time.Minute)}; err != nil || !slices.EqualFunc(sent, want, time.Time.Equal) {
		t.Errorf("sent at %v, now %v, %v", sent, now, err)
	}
}

// The inventory that the run itself sends does not count as unanswered.
func TestOneUnansweredInventoryMakesNobodySilent(t *testing.T) {
	f := newFleetWorld(t)
	now := f.now()
	f.now = func() time.Time { return now }
	f.put("s0", hostID(0), "READY", "")
	for n, want := range []string{"READY", "READY", "READY", "UNKNOWN"} { // only the first is answered
		if err := f.cleanup("inventory", 0); err != nil {
			t.Fatal(err)
		}
		f.has("s0", "State", want)
		if n == 0 {
			if _, _, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: now, At: now.Add(time.Second)}); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(5 * time.Minute)
	}
}

func TestDeletionsFailIfTheIndexDoes(t *testing.T) {
	f := newFleetWorld(t)
	f.index = errors.New("no index")
	if err := f.cleanup("deletions", 0); !errors.Is(err, f.index) {
		t.Errorf("error %v", err)
	}
}
