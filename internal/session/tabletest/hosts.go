package tabletest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// RunHosts runs the suite of session.HostTable, each of its tests on a new
// table.
func RunHosts(t *testing.T, newTable func(TB) HostsSubject) {
	for name, run := range map[string]func(*hostsTest){
		"NewestInventoryCounts":   newestInventoryCounts,
		"QuietOrderAndBounds":     quietOrderAndBounds,
		"SilentUntilItAnswers":    silentUntilItAnswers,
		"NotSilentIfItAnswered":   notSilentIfItAnswered,
		"SilencedBeforeEverHeard": silencedBeforeEverHeard,
		"ExpectedHosts":           expectedHosts,
		"LastThreeInventories":    lastThreeInventories,
		"ForgottenInventories":    forgottenInventories,
		"NewestOfAHost":           newestOfAHost,
		"NotesOfWhatRan":          notesOfWhatRan,
		"UnfitHosts":              unfitHosts,
		"PlaceOfAWalk":            placeOfAWalk,
		"SilenceOfHosts":          silenceOfHosts,
		"TagsOfHosts":             tagsOfHosts,
		"RefusedAndForgotten":     refusedAndForgotten,
	} {
		t.Run(name, func(t *testing.T) { run(&hostsTest{t, newTable(t)}) })
	}
}

type hostsTest struct {
	t     *testing.T
	hosts HostsSubject
}

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// answers is that a host answers an inventory sent and read then.
func (h *hostsTest) answers(hostID string, sent, read int, fresh bool) {
	h.t.Helper()
	got, _, err := h.hosts.RecordAnswer(h.t.Context(), session.HostAnswer{
		HostID: hostID, InventoryID: "inv", Platform: "", SentAt: after(sent), At: after(read),
	})
	if err != nil || got != fresh {
		h.t.Errorf("answer of %s, sent at %d, read at %d: fresh %v, %v", hostID, sent, read, got, err)
	}
}

func (h *hostsTest) quiet(before, limit int, want ...string) {
	h.t.Helper()
	got, err := h.hosts.AnsweredBefore(h.t.Context(), after(before), limit)
	if err != nil || !slices.Equal(got, want) {
		h.t.Errorf("quiet before %d: %q, want %q, %v", before, got, want, err)
	}
}

// silence is of the host i-1.
func (h *hostsTest) silence(before int, marked bool) {
	h.t.Helper()
	got, err := h.hosts.MarkSilent(h.t.Context(), "i-1", after(before))
	if err != nil || got != marked {
		h.t.Errorf("i-1 silent before %d: %v, %v", before, got, err)
	}
}

func newestInventoryCounts(h *hostsTest) {
	h.answers("i-1", 100, 110, true)
	h.answers("i-1", 99, 111, false)
	h.answers("i-1", 100, 112, true)
	h.answers("i-2", 50, 113, true) // each host has its own
	h.answers("i-1", 101, 114, true)
	h.answers("i-1", 100, 115, false)
	h.quiet(115, 10, "i-2", "i-1") // what is not fresh is not noted
	h.quiet(114, 10, "i-2")
}

func quietOrderAndBounds(h *hostsTest) {
	h.quiet(1000, 10)
	h.answers("i-b", 1, 20, true)
	h.answers("i-a", 1, 30, true)
	h.answers("i-c", 1, 10, true)
	h.answers("i-d", 1, 40, true)
	h.quiet(40, 10, "i-c", "i-b", "i-a")
	h.quiet(40, 2, "i-c", "i-b")
	h.quiet(10, 10)
	h.answers("i-c", 2, 50, true)
	h.quiet(60, 10, "i-b", "i-a", "i-d", "i-c")
}

func silentUntilItAnswers(h *hostsTest) {
	h.answers("i-1", 1, 10, true)
	h.silence(11, true)
	h.silence(11, true) // the answer was lost
	h.quiet(100, 10)
	h.answers("i-1", 0, 20, false)
	h.answers("i-1", 1, 20, false) // what it had said before
	h.quiet(100, 10)
	h.answers("i-1", 2, 20, true)
	h.quiet(100, 10, "i-1")
	h.answers("i-1", 2, 21, true)
}

func notSilentIfItAnswered(h *hostsTest) {
	h.answers("i-1", 1, 10, true)
	h.silence(10, false)
	h.silence(9, false)
	h.quiet(100, 10, "i-1")
}

func silencedBeforeEverHeard(h *hostsTest) {
	h.silence(10, false)
	h.quiet(100, 10)
	h.answers("i-1", 1, 10, true)
}

func expectedHosts(h *hostsTest) {
	h.answers("i-1", 1, 10, true)
	h.answers("i-2", 1, 30, true)
	for _, id := range []string{"i-1", "i-2", "i-3"} {
		if err := h.hosts.AddHost(h.t.Context(), id, after(20)); err != nil {
			h.t.Fatal(err)
		}
	}
	h.quiet(100, 10, "i-1", "i-3", "i-2") // an answer of a known host is not replaced
	h.newest(map[string]time.Time{"i-1": after(1), "i-2": after(1)})
	h.silence(21, true)
	if err := h.hosts.AddHost(h.t.Context(), "i-1", after(50)); err != nil {
		h.t.Fatal(err)
	}
	h.quiet(100, 10, "i-3", "i-2")
	h.answers("i-3", 0, 60, true)
	h.newest(map[string]time.Time{"i-1": after(1), "i-2": after(1), "i-3": after(0)})
}

func newestOfAHost(h *hostsTest) {
	h.newest(nil)
	h.answers("i-1", 100, 110, true)
	h.answers("i-1", 99, 111, false)
	h.answers("i-2", 200, 210, true)
	if err := h.hosts.RecordInventorySent(h.t.Context(), after(300)); err != nil { // is no answer
		h.t.Fatal(err)
	}
	h.newest(map[string]time.Time{"i-1": after(100), "i-2": after(200)})
}

func notesOfWhatRan(h *hostsTest) {
	zero := time.Time{}
	for _, step := range []struct {
		sent, sessions       int
		complete             bool
		occupied, emptySince time.Time
		completeAt           int
	}{
		{100, 0, true, zero, after(100), 100},
		{200, 0, true, zero, after(100), 200},
		{300, 0, false, zero, zero, 200}, // cut: nobody knows
		{400, 0, true, zero, after(400), 400},
		{500, 2, true, after(500), zero, 500},
		{600, 1, false, after(600), zero, 500},
		{700, 0, true, after(600), after(700), 700},
		{700, 0, true, after(600), after(700), 700}, // once more
		{690, 0, true, after(600), after(700), 700}, // late
		{650, 3, true, after(600), zero, 700},       // late, and may have been run last
		{800, 0, true, after(600), after(800), 800},
		{790, 0, false, after(600), zero, 800}, // late, and cut
		{900, 0, true, after(600), after(900), 900},
		{590, 3, true, after(600), zero, 900},
		{1000, 0, true, after(600), after(1000), 1000},
	} {
		_, _, err := h.hosts.RecordAnswer(h.t.Context(), session.HostAnswer{
			HostID: "i-1", SentAt: after(step.sent), At: after(step.sent + 1), Sessions: step.sessions, Complete: step.complete,
		})
		if err != nil {
			h.t.Fatal(err)
		}
		notes, err := h.hosts.Notes(h.t.Context(), []string{"i-0", "i-1"})
		got := notes["i-1"]
		if err != nil || len(notes) != 1 || !got.OccupiedAt.Equal(step.occupied) || !got.EmptySince.Equal(step.emptySince) ||
			!got.CompleteAt.Equal(after(step.completeAt)) || got.SentAt.Before(after(step.sent)) {
			h.t.Errorf("%+v: %+v, %v", step, notes, err)
		}
	}
	h.answers("i-2", 100, 110, true)
	h.answers("i-2", 100, 110, true)
}

// newest asks about 150 hosts: more than a call takes.
func (h *hostsTest) newest(want map[string]time.Time) {
	h.t.Helper()
	var ids []string
	for n := range 150 {
		ids = append(ids, fmt.Sprint("i-", n))
	}
	got, err := h.hosts.Newest(h.t.Context(), ids)
	if err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
		h.t.Errorf("newest: %v, want %v, %v", got, want, err)
	}
	if got, err := h.hosts.Newest(h.t.Context(), nil); err != nil || len(got) > 0 {
		h.t.Errorf("newest of none: %v, %v", got, err)
	}
}

// unfitHosts cannot be noted, and do not make a question about others fail. The table's
// other items are no hosts, and no host's answer changes them.
func unfitHosts(h *hostsTest) {
	ctx := h.t.Context()
	h.answers("i-1", 100, 110, true)
	if err := h.hosts.RecordInventorySent(ctx, after(200)); err != nil {
		h.t.Fatal(err)
	}
	for _, id := range unfitHostIDs {
		newest, err := h.hosts.Newest(ctx, []string{id, "i-1"})
		if err != nil || !maps.EqualFunc(newest, map[string]time.Time{"i-1": after(100)}, time.Time.Equal) {
			h.t.Errorf("newest of %.10q and another: %v, %v", id, newest, err)
		}
		notes, err := h.hosts.Notes(ctx, []string{id, "i-1"})
		if err != nil || len(notes) != 1 || !notes["i-1"].SentAt.Equal(after(100)) {
			h.t.Errorf("notes of %.10q and another: %v, %v", id, notes, err)
		}
	}
	if err := h.hosts.RecordRefused(ctx, append([]string{"i-1"}, unfitHostIDs...), after(1)); err != nil {
		h.t.Error(err)
	}
	h.refused(10, session.RefusedHost{HostID: "i-1", At: after(1)})
	for _, id := range unfitHostIDs {
		if fresh, _, err := h.hosts.RecordAnswer(ctx, session.HostAnswer{HostID: id, SentAt: after(1), At: after(2)}); err == nil {
			h.t.Errorf("an answer of host %.20q: fresh %v", id, fresh)
		}
		if err := h.hosts.AddHost(ctx, id, after(1)); err == nil {
			h.t.Errorf("host %.20q is expected", id)
		}
		if marked, err := h.hosts.MarkSilent(ctx, id, after(1)); err == nil {
			h.t.Errorf("host %.20q is silent: %v", id, marked)
		}
		if err := h.hosts.RecordAsked(ctx, id, after(1)); err == nil {
			h.t.Errorf("EC2 was asked about host %.20q", id)
		}
		if err := h.hosts.RecordOwnerTag(ctx, id, session.OwnerTag{ReadAt: after(1)}); err == nil {
			h.t.Errorf("the tag of host %.20q is kept", id)
		}
	}
	h.quiet(1000, 10, "i-1")
	h.refused(10, session.RefusedHost{HostID: "i-1", At: after(1)})
	h.sentAt("no host's answer", 200)
}

func placeOfAWalk(h *hostsTest) {
	if got, err := h.hosts.WalkedTo(h.t.Context()); got != "" || err != nil {
		h.t.Errorf("before the first walk: %q, %v", got, err)
	}
	for _, place := range []string{"i-1", "i-2", ""} {
		if err := h.hosts.RecordWalkedTo(h.t.Context(), place); err != nil {
			h.t.Error(err)
		}
		if got, err := h.hosts.WalkedTo(h.t.Context()); got != place || err != nil {
			h.t.Errorf("walked to %q, want %q, %v", got, place, err)
		}
	}
}

// tagsOfHosts outlast answers and silence, and the one that was read last counts.
func tagsOfHosts(h *hostsTest) {
	ctx := h.t.Context()
	tag := func(owner string, readAt int) session.OwnerTag {
		return session.OwnerTag{Owner: owner, ReadAt: after(readAt)}
	}
	record := func(hostID string, tag session.OwnerTag) {
		h.t.Helper()
		if err := h.hosts.RecordOwnerTag(ctx, hostID, tag); err != nil {
			h.t.Error(err)
		}
	}
	answers := func(sent int, want session.OwnerTag) {
		h.t.Helper()
		fresh, got, err := h.hosts.RecordAnswer(ctx, session.HostAnswer{HostID: "i-1", SentAt: after(sent), At: after(sent + 1)})
		if !fresh || got != want || err != nil {
			h.t.Errorf("with the answer sent at %d: %v, %v, %v, want %v", sent, fresh, got, err, want)
		}
		silences, err := h.hosts.Silences(ctx, []string{"i-1", "i-2"})
		if len(silences) != 1 || silences["i-1"].OwnerTag != want || err != nil {
			h.t.Errorf("after that: %v, %v", silences, err)
		}
	}
	record("i-1", tag("alice", 1)) // not known
	record("i-2", tag("alice", 1))
	answers(10, session.OwnerTag{})
	record("i-1", tag("alice", 20))
	record("i-1", tag("bob", 19)) // read before, kept after
	answers(30, tag("alice", 20))
	h.silence(40, true)
	answers(50, tag("alice", 20))
	record("i-1", tag("", 60))
	answers(70, tag("", 60))
}

func silenceOfHosts(h *hostsTest) {
	is := func(want map[string]session.Silence) {
		h.t.Helper()
		got, err := h.hosts.Silences(h.t.Context(), []string{"i-1", "i-2", "i-3"})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			h.t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	asked := func(hostID string, at int) {
		h.t.Helper()
		if err := h.hosts.RecordAsked(h.t.Context(), hostID, after(at)); err != nil {
			h.t.Error(err)
		}
	}
	is(map[string]session.Silence{})
	h.answers("i-1", 1, 10, true)
	h.answers("i-2", 1, 20, true)
	h.silence(11, true)
	asked("i-1", 30)
	asked("i-2", 30) // answers
	asked("i-3", 30) // not known
	is(map[string]session.Silence{
		"i-1": {Silent: true, AnsweredAt: after(10), AskedAt: after(30)},
		"i-2": {AnsweredAt: after(20)},
	})
	h.answers("i-1", 40, 50, true)
	is(map[string]session.Silence{
		"i-1": {AnsweredAt: after(50), AskedAt: after(30)},
		"i-2": {AnsweredAt: after(20)},
	})
}
