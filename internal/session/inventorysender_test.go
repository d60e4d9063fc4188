package session_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// broadcasts is the fleet that gets inventories.
type broadcasts struct {
	sent        []string // "tag", or the hosts
	undelivered map[time.Time]string
	since       time.Time
	lookUp      error
	sending     error
	hosts       int   // how many get it in parts
	some        bool  // not all hosts get it
	parts       error // why they do not
}

func (b *broadcasts) Inventory(context.Context, string, time.Time) error {
	b.sent = append(b.sent, "tag")
	return b.sending
}

func (b *broadcasts) InventoryInParts(context.Context, string, time.Time) (hosts int, all bool, err error) {
	b.sent = append(b.sent, "parts")
	return b.hosts, !b.some, b.parts
}

func (b *broadcasts) Undelivered(_ context.Context, since time.Time) (map[time.Time]string, error) {
	b.since = since
	return b.undelivered, b.lookUp
}

// sendInventory sends one at that time, and returns the time, in seconds, since which a
// silent host has left two unanswered; 0: not known.
func (u *upkeep) sendInventory(b *broadcasts, seconds float64) (unanswered float64, err error) {
	u.now = at(seconds)
	is := session.InventorySender{HostTable: u.hostTable, Broadcaster: b, Now: u.clock, NewID: u.newID, Log: u.logger()}
	since, err := is.Send(u.t.Context())
	if since.IsZero() {
		return 0, err
	}
	return since.Sub(t0).Seconds(), err
}

// An inventory that reached no host does not count as unanswered; it is sent again in
// parts, and logged once.
func TestInventoryThatEndedAsAWholeDoesNotCount(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.take(inventory(hostB, t0, found("s2", alice)))
	b := &broadcasts{undelivered: map[time.Time]string{}, hosts: 2}
	for _, step := range []struct {
		seconds    float64
		ended      string // of the one before
		sent       string
		unanswered float64
	}{
		{100, "", "tag", 0},
		{400, "", "tag", 0},
		{700, "", "tag", 100},
		{1000, "RateExceeded", "parts", 100}, // that of 700: so 400 and 100 are the last two
		{1300, "", "tag", 400},
		{1600, "", "tag", 1000},
		{1605, "", "tag", 1000}, // a run that overlaps
		{1900, "Cancelled", "parts", 1000},
	} {
		sent, _ := u.hostTable.LastInventories(t.Context())
		if step.ended != "" {
			b.undelivered[sent[0].UTC()] = step.ended
		}
		got, err := u.sendInventory(b, step.seconds)
		if last := b.sent[len(b.sent)-1]; got != step.unanswered || last != step.sent || err != nil {
			t.Errorf("at %v: sent to %s, unanswered since %v, want %+v, %v", step.seconds, last, got, step, err)
		}
		if len(sent) > 0 && !b.since.Equal(sent[len(sent)-1]) {
			t.Errorf("at %v: looked up since %v", step.seconds, b.since)
		}
	}
	if n := strings.Count(u.log.String(), "InventoriesUndelivered"); n != 2 {
		t.Errorf("told of %d times:\n%s", n, &u.log)
	}
}

// An inventory that has not reached a host yet, or whose commands cannot be looked up,
// makes no host silent; another one is sent nevertheless.
func TestInventoryThatMayBeUndeliveredMakesNoHostSilent(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.send(at(-900), at(-600), at(-300))
	b := &broadcasts{undelivered: map[time.Time]string{at(-300).UTC(): ""}}
	if got, err := u.sendInventory(b, 0); got != -900 || err != nil {
		t.Errorf("unanswered since %v, %v", got, err)
	}
	b.lookUp = errors.New("throttled")
	if got, err := u.sendInventory(b, 300); got != 0 || !errors.Is(err, b.lookUp) {
		t.Errorf("unanswered since %v, %v", got, err)
	}
	if !slices.Equal(b.sent, []string{"tag", "tag"}) {
		t.Errorf("sent to %q", b.sent)
	}
	sent, _ := u.hostTable.LastInventories(t.Context())
	if want := []time.Time{at(300), at(0), at(-300)}; !slices.EqualFunc(sent, want, time.Time.Equal) {
		t.Errorf("sent at %v", sent)
	}
}

// A fleet without hosts is not logged.
func TestInventoryOfAnEmptyFleetIsNotLogged(t *testing.T) {
	u := newUpkeep(t)
	u.send(at(-300))
	b := &broadcasts{undelivered: map[time.Time]string{at(-300).UTC(): "NoInstancesInTag"}}
	if _, err := u.sendInventory(b, 0); err != nil || !slices.Equal(b.sent, []string{"parts"}) || strings.Contains(u.log.String(), "WARN") {
		t.Errorf("%v, sent to %q\n%s", err, b.sent, &u.log)
	}
}

// If the hosts cannot be listed, the inventory is sent by tag in place of parts. It is
// logged, although no host is known to miss it.
func TestInventoryIsSentByTagIfHostsCannotBeListed(t *testing.T) {
	for name, b := range map[string]*broadcasts{
		"not listed": {parts: errors.New("throttled")},
		"nobody":     {},
	} {
		u := newUpkeep(t)
		u.send(at(-900), at(-600), at(-300))
		b.undelivered = map[time.Time]string{at(-300).UTC(): "RateExceeded"}
		unanswered, err := u.sendInventory(b, 0)
		sent, _ := u.hostTable.LastInventories(t.Context())
		if unanswered != -900 || !errors.Is(err, b.parts) || !sent[0].Equal(t0) || !strings.Contains(u.log.String(), "InventoriesUndelivered") {
			t.Errorf("%s: unanswered since %v, %v, sent %q, recorded %v\n%s", name, unanswered, err, b.sent, sent, &u.log)
		}
		if want := []string{"parts", "tag"}; b.parts != nil && !slices.Equal(b.sent, want) {
			t.Errorf("%s: sent to %q", name, b.sent)
		}
	}
}

// An inventory that did not reach all hosts makes no host silent.
func TestInventoryThatDoesNotReachAllHostsDoesNotCount(t *testing.T) {
	for name, b := range map[string]*broadcasts{
		"too many": {hosts: 1000, some: true},
		"an error": {hosts: 100, some: true, parts: errors.New("throttled")},
	} {
		u := newUpkeep(t)
		u.send(at(-900), at(-600), at(-300))
		b.undelivered = map[time.Time]string{at(-300).UTC(): "RateExceeded"}
		_, err := u.sendInventory(b, 0)
		sent, _ := u.hostTable.LastInventories(t.Context())
		if want := []time.Time{at(-600), at(-900)}; !errors.Is(err, b.parts) || !slices.EqualFunc(sent, want, time.Time.Equal) || !slices.Equal(b.sent, []string{"parts"}) {
			t.Errorf("%s: %v, sent %q, recorded %v", name, err, b.sent, sent)
		}
	}
}

// An inventory that could not be sent is not noted.
func TestInventoryThatIsNotSentIsNotNoted(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.send(at(-900), at(-600), at(-300))
	b := &broadcasts{undelivered: map[time.Time]string{at(-300).UTC(): "RateExceeded"}, sending: errors.New("throttled"), parts: errors.New("not listed")}
	if got, err := u.sendInventory(b, 0); got != -900 || !errors.Is(err, b.sending) {
		t.Errorf("unanswered since %v, %v", got, err)
	}
	sent, _ := u.hostTable.LastInventories(t.Context())
	if want := []time.Time{at(-600), at(-900)}; !slices.EqualFunc(sent, want, time.Time.Equal) {
		t.Errorf("sent at %v", sent)
	}
}
