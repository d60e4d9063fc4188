package runcommand

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

var sentAt = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

func TestCommentsComeBackAsTheyWereSent(t *testing.T) {
	const id = "11111111-2222-3333-4444-555555555555"
	for text, c := range map[string]comment{
		"close " + id: {kind: closeKind, id: id},
		"inventory " + id + " 2026-11-23T19:01:02.123Z":              {kind: inventoryKind, id: id, at: sentAt},
		"idle " + id + " 2026-11-23T19:01:02.123Z":                   {kind: idleKind, id: id, at: sentAt},
		"notify notice-" + id + " 2026-11-23T19:01:02.123Z mwtmsv1n": {kind: notifyKind, id: "notice-" + id, at: sentAt, noticeAt: sentAt},
		"cancelled " + id: {kind: cancelledKind, id: id},
	} {
		if c.String() != text || len(text) > 100 { // all that Systems Manager keeps
			t.Errorf("%q, want %q", c, text)
		}
		if got, err := parseComment(text); err != nil || !got.at.Equal(c.at) || !got.noticeAt.Equal(c.noticeAt) || got.kind != c.kind || got.id != c.id {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	// Never as of a later moment than it was sent.
	c := comment{kind: inventoryKind, id: id, at: sentAt.Add(999 * time.Microsecond)}
	if got, err := parseComment(c.String()); err != nil || got.at.After(c.at) {
		t.Errorf("%v, %v", got.at, err)
	}
}

func TestCommentsOfOthersAreNotOurs(t *testing.T) {
	for _, text := range []string{
		"", "close", "by hand", "close a b", "inventory a", "inventory a yesterday", "idle a", "idle a 1", "Close a",
		"notify a", "notify a 2026-11-23T19:01:02.123Z", "notify a soon mwtmsv1n", "notify a 2026-11-23T19:01:02.123Z -1", "notify a 2026-11-23T19:01:02.123Z é", "cancelled", "cancelled a 2026-11-23T19:01:02.123Z", " a", "noted a",
		"inventory a 2026-11-23T19:01:02.123Z x", "inventory a 2026-11-23T19:01:02+01:00",
	} {
		if c, err := parseComment(text); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%q is read as %+v, %v", text, c, err)
		}
	}
}

var asked = comment{kind: inventoryKind, id: "inv1", at: sentAt}

const (
	lineA = `{"id":"a","owner":"alice","name":"n","type":"virtual","created":"c","connections":2,"left":"l"}` + "\n"
	lineB = `{"id":"b \"\u00e9","owner":"bob","type":"console","created":"d","connections":0}` + "\n"
	end2  = `{"end":2}` + "\n"
)

func TestInventoryIsRead(t *testing.T) {
	want := session.Inventory{
		ID: "inv1", HostID: "i-1", Platform: "linux", SentAt: sentAt, Complete: true,
		Sessions: []session.Found{
			{NameOnHost: "a", Owner: "alice", Name: "n", Type: "virtual", CreationTime: "c", NumOfConnections: 2, LastDisconnectionTime: "l"},
			{NameOnHost: `b "é`, Owner: "bob", Type: "console", CreationTime: "d"},
		},
	}
	for name, output := range map[string]string{
		"Linux": lineA + lineB + end2, "Windows": strings.ReplaceAll(lineA+lineB+end2, "\n", "\r\n"), "blank lines": "\n" + lineA + "\n" + lineB + " \n" + end2 + "\n",
	} {
		got, _, failed, unreadable := inventory(asked, "i-1", "linux", output)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(session.Inventory{})); diff != "" || failed != "" || unreadable != 0 {
			t.Errorf("%s: %q, %d unreadable (-want +got):\n%s", name, failed, unreadable, diff)
		}
	}
}

// Only what is whole ends sessions.
func TestIncompleteInventories(t *testing.T) {
	for name, tc := range map[string]struct {
		output string
		found  int
	}{
		"nothing":                   {"", 0},
		"garbage":                   {"Segmentation fault\n", 0},
		"no end":                    {lineA + lineB, 2},
		"lines left out":            {lineA + end2, 1},
		"more than there are":       {lineA + lineB + `{"end":1}`, 2},
		"cut in mid-line":           {lineA + lineB[:20], 1},
		"cut at the end line":       {lineA + lineB + `{"end":2`, 2},
		"cut in the middle":         {lineA + "--output truncated--" + end2, 1},
		"garbage among it":          {lineA + "garbage\n" + lineB + end2, 2},
		"a line after the end":      {lineA + end2 + lineB, 1},
		"two ends":                  {lineA + end2 + end2, 1},
		"an end of less than none":  {`{"end":-1}`, 0},
		"an end of text":            {lineA + lineB + `{"end":"2"}`, 2},
		"an end of null":            {lineA + lineB + `{"end":null}`, 2},
		"a session of another type": {lineA + `{"id":"b","connections":"2"}` + "\n" + end2, 1},
		"a session without an ID":   {lineA + `{"owner":"bob"}` + "\n" + end2, 1},
		"failed":                    {`{"failed":"dcv took too long"}`, 0},
		"failed, but":               {`{"failed":"dcv took too long"}` + "\n" + `{"end":0}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, failed, _ := inventory(asked, "i-1", "linux", tc.output)
			if got.Complete || len(got.Sessions) != tc.found {
				t.Errorf("complete %v, %d sessions", got.Complete, len(got.Sessions))
			}
			if want := strings.HasPrefix(name, "failed"); (failed != "") != want {
				t.Errorf("failed %q", failed)
			}
		})
	}
	// Something runs there, of which nothing can be read.
	if got, answered, _, _ := inventory(asked, "i-1", "linux", `{"end":1}`); !answered || got.Complete {
		t.Errorf("a session that cannot be read: answered %v, complete %v", answered, got.Complete)
	}
	for output, want := range map[string]bool{"": false, "garbage": false, `{"failed":"x"}` + "\n" + `{"end":0}`: false, `{"end":0}`: true, lineA: true} {
		if _, answered, _, _ := inventory(asked, "i-1", "linux", output); answered != want {
			t.Errorf("%q: answered %v", output, answered)
		}
	}
	if got, _, _, _ := inventory(asked, "i-1", "linux", `{"end":0}`); !got.Complete {
		t.Error("a host without sessions says so, and is not believed")
	}
}

// Wherever an answer is cut, it ends nothing, and says nothing wrong.
func TestCutInventoryEndsNothing(t *testing.T) {
	whole := lineA + lineB + strings.TrimSpace(end2)
	for cut := range len(whole) {
		got, _, failed, _ := inventory(asked, "i-1", "linux", whole[:cut])
		if got.Complete || failed != "" {
			t.Errorf("complete after %d characters", cut)
		}
		for i, s := range got.Sessions {
			if s.Owner != []string{"alice", "bob"}[i] {
				t.Errorf("cut after %d: %+v", cut, got.Sessions)
			}
		}
	}
}

func TestAnySurveyCanBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		output := strings.Join(rapid.SliceOf(rapid.OneOf(
			rapid.String(), rapid.Just(strings.TrimSpace(lineA)), rapid.Just(`{"end":1}`), rapid.Just(`{"failed":"x"}`),
			rapid.StringMatching(`\{"(id|end|failed)":("x"|-?[0-9]{1,3}|null|\{\})(,"result":"closed")?\}`),
		)).Draw(t, "lines"), "\n")
		inv, _, failed, unreadable := inventory(asked, "i-1", "linux", output)
		lines := strings.Count(output, "\n") + 1
		if len(inv.Sessions)+unreadable > lines || inv.HostID != "i-1" || inv.Complete && (failed != "" || unreadable > 0) {
			t.Fatalf("%d lines: %+v, %q, %d unreadable", lines, inv, failed, unreadable)
		}
		report, _, _, _ := idle(comment{kind: idleKind, id: "idle1", at: sentAt}, "i-1", output)
		if report.HostID != "i-1" || report.ID != "idle1" {
			t.Fatalf("%+v", report)
		}
	})
}

func TestIdleReportIsRead(t *testing.T) {
	c := comment{kind: idleKind, id: "idle1", at: sentAt}
	output := `{"id":"a","created":"c","result":"closed","minutes":61,"connections":0}
{"id":"b","created":"d","result":"in-use","minutes":40,"connections":2}
{"id":"c","created":"e","result":"failed","minutes":90,"connections":0,"reason":"dcv` + `\u0007` + ` is broken"}
{"end":9}
`
	want := session.IdleReport{ID: "idle1", HostID: "i-1", Sessions: []session.IdleSession{
		{NameOnHost: "a", CreationTime: "c", Outcome: session.OutcomeClosed, IdleMinutes: 61},
		{NameOnHost: "b", CreationTime: "d", Outcome: session.OutcomeInUse, IdleMinutes: 40, NumOfConnections: 2},
		{NameOnHost: "c", CreationTime: "e", Outcome: session.OutcomeFailed, IdleMinutes: 90, Reason: "dcv  is broken"},
	}}
	got, answered, failed, unreadable := idle(c, "i-1", output)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(session.Inventory{})); diff != "" || !answered || failed != "" || unreadable != 0 {
		t.Errorf("answered %v, failed %q, %d unreadable (-want +got):\n%s", answered, failed, unreadable, diff)
	}
	for output, want := range map[string]bool{"": false, "garbage": false, `{"failed":"x"}`: false, `{"end":0}`: true, lineA: true} {
		if _, answered, _, _ := idle(c, "i-1", output); answered != want {
			t.Errorf("%q: answered %v", output, answered)
		}
	}
}
