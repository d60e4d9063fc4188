package session_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// The records of one deletion, stage by stage.
var (
	listedRecord = ready("s1", alice, hostA)

	markedRecord = with(listedRecord,
		"State", "DELETING",
		"DeletionRequestedAt", "2026-11-23T19:01:02.123Z",
		"DeletionRequestId", "r1",
		"DeletionRequestedBy", "arn:aws:iam::123456789012:user/r1",
		"Force", false,
		"AttemptId", "r1",
		"Attempts", int64(1),
		"AttemptedAt", "2026-11-23T19:01:02.123Z",
		"NextAttemptAt", "2026-11-23T19:03:02.123Z",
		"TryUntil", "2026-11-23T20:01:02.123Z",
		"DueLane", "1")

	failedRecord = with(markedRecord,
		"AttemptFailedAt", "2026-11-23T19:01:12.123Z",
		"StateReason", "dcv is broken")

	confirmedRecord = with(markedRecord,
		"Confirmation", "closed",
		"ConfirmedAt", "2026-11-23T19:01:12.123Z")

	deletedRecord = with(confirmedRecord,
		"State", "DELETED",
		"DeletedAt", "2026-11-23T19:01:22.123Z",
		"ExpiresAt", t0.Unix()+20+48*3600,
		"NextAttemptAt", nil, "DueLane", nil, "LiveHostId", nil)

	givenUpRecord = with(markedRecord,
		"State", "UNKNOWN",
		"StateReason", "given up",
		"NextAttemptAt", nil, "DueLane", nil)

	forcedRecord = with(markedRecord, "TryUntil", nil, "Force", true, "Confirmation", "forced", "ConfirmedAt", "2026-11-23T19:01:02.123Z")
)

// Each rule is applied to a record that meets its condition, with the result that is
// given, and then to records that differ from it in one attribute, which must not change.
func TestRules(t *testing.T) {
	r1, r2 := request("r1", t0), request("r2", at(30))
	open := markedRecord.Session()
	openAndFailed := failedRecord.Session()

	rules := []struct {
		name  string
		write session.Write
		from  session.Record
		to    session.Record
		not   map[string][]any // what must not differ, as for with
	}{
		{"mark", session.Mark(entry("s1", alice), r1), listedRecord, markedRecord, map[string][]any{
			"somebody else's":  {"Owner", mallory},
			"nobody's":         {"Owner", nil},
			"being deleted":    {"State", "DELETING"},
			"deleted":          {"State", "DELETED"},
			"without a state":  {"State", nil},
			"in another state": {"State", "ready"},
		}},
		{"mark of one that is being created", session.Mark(entry("s1", alice), r1),
			with(listedRecord, "State", "CREATING"), markedRecord, nil},
		{"mark of one whose host does not answer", session.Mark(entry("s1", alice), r1),
			with(listedRecord, "State", "UNKNOWN"), markedRecord, nil},
		{"mark after an earlier deletion was given up", session.Mark(entry("s1", alice), r1),
			with(givenUpRecord, "DeletionRequestId", "r0", "AttemptId", "r0", "Attempts", int64(9), "AttemptFailedAt", "x",
				"RepeatedAt", "x"), markedRecord, map[string][]any{
				"confirmed late, and ending": {"Confirmation", "closed"},
			}},

		{"forced mark", session.MarkForced(forced("s1", alice), r1), listedRecord, forcedRecord, map[string][]any{
			"somebody else's": {"Owner", mallory},
			"deleted":         {"State", "DELETED"},
			"without a state": {"State", nil},
		}},
		{"forced mark of an open deletion", session.MarkForced(forced("s1", alice), r1),
			with(failedRecord, "DeletionRequestId", "r0", "AttemptId", "r0", "Attempts", int64(3), "RepeatedAt", "x"), forcedRecord, nil},
		{"forced mark of a confirmed deletion", session.MarkForced(forced("s1", alice), r1),
			with(confirmedRecord, "DeletionRequestId", "r0", "AttemptId", "r0"), forcedRecord, nil},

		{"put-back", session.PutBack(listedRecord, r1), markedRecord, listedRecord, map[string][]any{
			"another's deletion now": {"AttemptId", "r2"},
			"no attempt":             {"AttemptId", nil},
			"confirmed":              {"Confirmation", "closed"},
			"relied upon":            {"RepeatedAt", "2026-11-23T19:01:03.000Z"},
			"ended":                  {"State", "DELETED"},
			"given up":               {"State", "UNKNOWN"},
			"listed again":           {"State", "READY"},
		}},

		{"repeat", session.Repeat(open, r2), markedRecord, with(markedRecord, "RepeatedAt", "2026-11-23T19:01:32.123Z"),
			map[string][]any{
				"somebody else's": {"Owner", mallory},
				"put back":        {"State", "READY", "DeletionRequestId", nil},
				"ended":           {"State", "DELETED"},
				"a newer one":     {"DeletionRequestId", "r3"},
			}},

		{"claim", session.ClaimFailed(openAndFailed, r2), failedRecord, with(failedRecord,
			"RepeatedAt", "2026-11-23T19:01:32.123Z",
			"AttemptId", "r2", "Attempts", int64(2), "AttemptedAt", "2026-11-23T19:01:32.123Z",
			"NextAttemptAt", "2026-11-23T19:03:32.123Z",
			"AttemptFailedAt", nil,
		), map[string][]any{
			"somebody else's":     {"Owner", mallory},
			"ended":               {"State", "DELETED"},
			"given up":            {"State", "UNKNOWN"},
			"a newer one":         {"DeletionRequestId", "r3"},
			"claimed by others":   {"AttemptId", "r3"},
			"not failed (yet)":    {"AttemptFailedAt", nil},
			"confirmed meanwhile": {"Confirmation", "absent"},
		}},

		{"confirm", session.Confirm(closed(hostA, "r1", "s1"), session.Closed, at(10)), markedRecord, confirmedRecord,
			map[string][]any{
				"another host's session": {"HostId", hostB},
				"no host's":              {"HostId", nil},
				"an earlier attempt":     {"AttemptId", "r2"},
				"never asked for":        {"AttemptId", nil},
				"put back":               {"State", "READY"},
				"ended":                  {"State", "DELETED"},
				"confirmed already":      {"Confirmation", "absent"},
				"given up":               {"DueLane", nil},
				"in a shard that waits":  {"DueLane", "wait-1"},
			}},
		{"confirm after a failure", session.Confirm(closed(hostA, "r1", "s1"), session.Closed, at(10)),
			failedRecord, confirmedRecord, nil},
		{"confirm of a deletion that was given up", session.ConfirmWithLease(closed(hostA, "r1", "s1"), session.Closed, at(10)),
			givenUpRecord, with(confirmedRecord, "State", "UNKNOWN", "NextAttemptAt", session.FormatTime(at(130))), nil},

		{"fail", session.FailAttempt(failed(hostA, "r1", "s1", "dcv is broken"), at(10)), markedRecord, failedRecord,
			map[string][]any{
				"another host's session": {"HostId", hostB},
				"an earlier attempt":     {"AttemptId", "r2"},
				"ended":                  {"State", "DELETED"},
				"given up":               {"State", "UNKNOWN"},
				"confirmed already":      {"Confirmation", "absent"},
				"failed already":         {"AttemptFailedAt", "2026-11-23T19:01:10.000Z"},
			}},

		{"finish", session.Finish(confirmedRecord, at(20)), confirmedRecord, deletedRecord, map[string][]any{
			"ended":                    {"State", "DELETED"},
			"listed again":             {"State", "READY"},
			"a newer deletion":         {"DeletionRequestId", "r2"},
			"a newer attempt":          {"AttemptId", "r2"},
			"not confirmed (any more)": {"Confirmation", nil},
			"confirmed otherwise":      {"Confirmation", "absent"},
			"confirmed later":          {"ConfirmedAt", "2026-11-23T20:01:12.123Z"},
		}},
		{"finish of a deletion that was given up", session.Finish(with(confirmedRecord, "State", "UNKNOWN"), at(20)),
			with(confirmedRecord, "State", "UNKNOWN"), deletedRecord, nil},
		{"finish of a forced one", session.Finish(forcedRecord, at(20)), forcedRecord,
			with(deletedRecord, "TryUntil", nil, "Force", true, "Confirmation", "forced", "ConfirmedAt", "2026-11-23T19:01:02.123Z"), nil},

		{"forced mark, best effort", session.MarkForcedBestEffort(forced("s1", alice), r1, at(3600)), listedRecord, toCloseRecord,
			map[string][]any{
				"somebody else's": {"Owner", mallory},
				"deleted":         {"State", "DELETED"},
			}},
		{"forced mark of what was to be closed", session.MarkForced(forced("s1", alice), r1),
			with(toCloseRecord, "DeletionRequestId", "r0", "AttemptId", "r0"), forcedRecord, nil},
		{"finish of a forced one that is to be closed", session.Finish(toCloseRecord, at(20)), toCloseRecord, closingRecord,
			map[string][]any{
				"closed meanwhile":      {"CloseUntil", nil},
				"tried again meanwhile": {"AttemptId", "a1"},
			}},
		{"finished", session.FinishClosing(closingRecord, "Its host says: closed.", at(30)), closingRecord, closedRecord, map[string][]any{
			"finished already":      {"CloseUntil", nil},
			"tried again meanwhile": {"AttemptId", "a1"},
			"deleted again":         {"DeletionRequestId", "r2"},
			"listed again":          {"State", "READY"},
			"of another state":      {"State", "DELETING"},
		}},
		{"close failed", session.CloseFailed(closingRecord, failed(hostA, "r1", "s1", "x"), at(30)), closingRecord,
			with(closingRecord, "StateReason", "Removed by force. x", "AttemptFailedAt", session.FormatTime(at(30))), map[string][]any{
				"finished":              {"CloseUntil", nil},
				"tried again meanwhile": {"AttemptId", "a1"},
				"failed already":        {"AttemptFailedAt", "x"},
				"listed again":          {"State", "READY"},
			}},
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			if got, err := apply(rule.from, rule.write); err != nil {
				t.Errorf("refused: %v", err)
			} else if diff := cmp.Diff(rule.to, got); diff != "" {
				t.Errorf("effect (-want +got):\n%s", diff)
			}
			for why, changes := range rule.not {
				r := with(rule.from, changes...)
				got, err := apply(r, rule.write)
				if !errors.Is(err, session.ErrCondition) {
					t.Errorf("%s: %v, want a failed condition", why, err)
				}
				if diff := cmp.Diff(r, got); diff != "" {
					t.Errorf("%s: changed (-want +got):\n%s", why, diff)
				}
			}
		})
	}
}

func apply(r session.Record, w session.Write) (session.Record, error) {
	table := memtable.New()
	table.Put(r)
	res := table.Write(context.Background(), []session.Write{w})[0]
	return table.Get("s1"), res.Err
}

func TestRulesMakeNoRecord(t *testing.T) {
	r := request("r1", t0)
	for name, w := range map[string]session.Write{
		"mark":        session.Mark(entry("s1", alice), r),
		"forced mark": session.MarkForced(forced("s1", alice), r),
		"put-back":    session.PutBack(listedRecord, r),
		"repeat":      session.Repeat(markedRecord.Session(), r),
		"claim":       session.ClaimFailed(failedRecord.Session(), r),
		"confirm":     session.Confirm(closed(hostA, "r1", "s1"), session.Closed, t0),
		"fail":        session.FailAttempt(failed(hostA, "r1", "s1", "x"), t0),
		"finish":      session.Finish(confirmedRecord, t0),
	} {
		table := memtable.New()
		if err := table.Write(context.Background(), []session.Write{w})[0].Err; !errors.Is(err, session.ErrCondition) {
			t.Errorf("%s of a record that is not there: %v, want a failed condition", name, err)
		}
		if all := table.All(); len(all) > 0 {
			t.Errorf("%s made a record: %v", name, all)
		}
	}
}

func TestRepeatedAttemptsKeepTheirPause(t *testing.T) {
	attempted := failedRecord.Session() // attempted at t0
	for _, tc := range []struct {
		name string
		s    session.Session
		when float64
		want bool
	}{
		{"immediately", attempted, 0, false},
		{"a moment before ten seconds", attempted, 9.999, false},
		{"after ten seconds", attempted, 10, true},
		{"later", attempted, 1000, true},
		{"with its lease's time left", attempted, 3600 - 120, true},
		{"with less than that", attempted, 3600 - 119.999, false},
		{"after the give-up time", attempted, 3601, false},
		{"not failed", markedRecord.Session(), 1000, false},
		{"confirmed", with(failedRecord, "Confirmation", "closed").Session(), 1000, false},
	} {
		if got := session.Claimable(tc.s, at(tc.when), giveUp); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
