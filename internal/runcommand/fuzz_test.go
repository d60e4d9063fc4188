package runcommand

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/session"
)

// printed is Systems Manager with what a host printed, and another host's
// invocation next to it.
type printed struct{ comment, output string }

const (
	fuzzedHost = "i-0123456789abcdef0"
	otherHost  = "i-0fedcba9876543210"
)

func (p printed) ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	invocation := func(hostID string) types.CommandInvocation {
		return types.CommandInvocation{
			CommandId: aws.String("c1"), InstanceId: aws.String(hostID), Comment: aws.String(p.comment),
			Status: types.CommandInvocationStatusSuccess,
			CommandPlugins: []types.CommandPlugin{
				{Name: aws.String("windows"), Output: aws.String("Step execution skipped")},
				{Name: aws.String("linux"), Output: aws.String(p.output[:min(len(p.output), 2_500)])},
			},
		}
	}
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{invocation(otherHost), invocation(fuzzedHost)}}, nil
}

func (p printed) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return &ssm.GetCommandInvocationOutput{StandardOutputContent: aws.String(p.output[:min(len(p.output), 24_000)])}, nil
}

// read is what the host is heard to say. Whatever that is, it is about itself.
func (p printed) read(t *testing.T) (Invocation, error) {
	t.Helper()
	invocations, errs := (&Reader{API: p}).Read(t.Context(), "c1", []string{fuzzedHost})
	if len(invocations)+len(errs) != 1 {
		t.Fatalf("%v, %v", invocations, errs)
	}
	if err := errs[fuzzedHost]; err != nil {
		return Invocation{}, err
	}
	inv, ok := invocations[fuzzedHost]
	if !ok || inv.HostID != fuzzedHost {
		t.Fatalf("%+v", invocations)
	}
	return inv, nil
}

func harmless(reason string) bool {
	return len(reason) <= 200 && !strings.ContainsFunc(reason, func(r rune) bool { return r < ' ' || r > '~' })
}

var outcomes = []session.Outcome{
	session.OutcomeClosed, session.OutcomeAbsent, session.OutcomeReplaced, session.OutcomeExpired, session.OutcomeFailed,
}

// A host reports in its own name, for the attempt that it was asked by, and a
// session once.
func FuzzCloseOutput(f *testing.F) {
	for _, output := range []string{
		"", `{"id":"s1","result":"closed"}` + "\n" + `{"id":"%24%28reboot%29","result":"failed","reason":"dcv took too long"}` + "\r\n",
		`{"id":"s1","result":"closed"}{"id":"s2","result":"absent"}`, `{"id":"s1","result":"clo--output truncated--`, "{ welcome }\n[]\nnull\n{}",
		`{"id":"%FF","result":"expired"}`, `{"id":"s1","result":"in-use"}` + "\n" + `{"id":"s1","result":"replaced","reason":"\u0007\ud800"}`,
		strings.Repeat(`{"id":"s1","result":"closed"}`+"\n", 100),
		`{"hostId":"` + otherHost + `","attemptId":"a2","HostID":"x","id":"s1","result":"closed"}`,
	} {
		f.Add("a1", output)
	}
	f.Add("a1 2026-11-23T19:01:02.123Z", "{}")
	f.Fuzz(func(t *testing.T, attemptID, output string) {
		inv, err := printed{"close " + attemptID, output}.read(t)
		if err != nil {
			if _, bad := parseComment("close " + attemptID); bad == nil {
				t.Fatal(err)
			}
			return
		}
		if inv.AttemptID != strings.TrimSpace(attemptID) || inv.Inventory != nil || inv.Idle != nil || inv.NoticeID != "" || inv.Answered != (len(inv.Reports) > 0) {
			t.Errorf("%+v", inv)
		}
		if lines := strings.Count(output, "\n") + 1; len(inv.Reports)+inv.Unreadable > lines {
			t.Errorf("%d reports and %d unreadable lines of %d", len(inv.Reports), inv.Unreadable, lines)
		}
		reported := map[string]bool{}
		for _, r := range inv.Reports {
			if r.HostID != fuzzedHost || r.AttemptID != inv.AttemptID || !slices.Contains(outcomes, r.Outcome) || !harmless(r.Reason) ||
				reported[r.SessionID] || r.SessionID == "" || len(r.SessionID) > session.MaxIDBytes || !utf8.ValidString(r.SessionID) {
				t.Errorf("%+v", r)
			}
			reported[r.SessionID] = true
			if !strings.Contains(output, encodeID(r.SessionID)) && !strings.Contains(output, `\`) {
				t.Errorf("%q was never said", r.SessionID)
			}
		}
	})
}

// A host answers a notice in its own name, for the notice and the close time that
// the command names, and a session once. The notice of a cancel has no answer.
func FuzzNoticeOutput(f *testing.F) {
	for _, output := range []string{
		"", `{"id":"s1","result":"warned","reason":"zenity"}` + "\n" + `{"id":"%24%28reboot%29","result":"nobody"}` + "\r\n",
		`{"id":"s1","result":"failed","reason":"no display\u0007\ud800"}`, `{"id":"s1","result":"warned"}{"id":"s2","result":"nobody"}`,
		`{"id":"s1","result":"war--output truncated--`, "{ welcome }\n[]\nnull\n{}", `{"id":"%FF","result":"nobody"}`,
		`{"id":"s1","result":"told"}` + "\n" + `{"id":"s2","result":"nothing"}` + "\n" + `{"id":"s3","result":"closed"}`,
		strings.Repeat(`{"id":"s1","result":"warned"}`+"\n", 100),
		`{"hostId":"` + otherHost + `","noticeId":"n2","closeAt":"x","id":"s1","result":"warned"}`,
	} {
		f.Add(output, false)
		f.Add(output, true)
	}
	f.Fuzz(func(t *testing.T, output string, cancelled bool) {
		c := comment{kind: notifyKind, id: "n1", at: sentAt, noticeAt: sentAt}
		if cancelled {
			c.kind = cancelledKind
		}
		inv, err := printed{c.String(), output}.read(t)
		if err != nil {
			t.Fatal(err)
		}
		if inv.NoticeID != "n1" || inv.AttemptID != "" || inv.Reports != nil || inv.Inventory != nil || inv.Idle != nil || !harmless(inv.Said) ||
			cancelled && inv.Warnings != nil || !cancelled && inv.Answered != (len(inv.Warnings) > 0) {
			t.Errorf("%+v", inv)
		}
		if lines := strings.Count(output, "\n") + 1; len(inv.Warnings)+inv.Unreadable > lines {
			t.Errorf("%d warnings and %d unreadable lines of %d", len(inv.Warnings), inv.Unreadable, lines)
		}
		answered := map[string]bool{}
		for _, w := range inv.Warnings {
			known := w.Outcome == session.Warned || w.Outcome == session.Nobody || w.Outcome == session.NotWarned
			if w.HostID != fuzzedHost || w.NoticeID != "n1" || !w.CloseAt.Equal(sentAt) || !w.At.Equal(sentAt) || !known || !harmless(w.Reason) ||
				answered[w.SessionID] || w.SessionID == "" || len(w.SessionID) > session.MaxIDBytes || !utf8.ValidString(w.SessionID) {
				t.Errorf("%+v", w)
			}
			answered[w.SessionID] = true
			if !strings.Contains(output, encodeID(w.SessionID)) && !strings.Contains(output, `\`) {
				t.Errorf("%q was never said", w.SessionID)
			}
		}
	})
}

// Only an inventory of which every line can be read, and that counts them
// right, is complete.
func FuzzInventory(f *testing.F) {
	for _, output := range []string{
		"", lineA + lineB + end2, lineA + end2, lineA + lineA + end2, lineA + lineB + `{"end":1}`, `{"end":0}`, `{"end":-1}`, `{"failed":"dcv\u0007"}` + "\n" + `{"end":0}`,
		`{"id":"a","end":0}`, `{"id":"a"}` + "\n" + `{"id":"b","end":1}`, `{"end":1,"end":0}`, `{"END":0}`, `{"failed":"","end":0}`, `{"id":null,"end":0}`,
		`{"id":"","owner":"o"}` + "\n" + `{"end":1}`, lineA + "--output truncated--" + end2, "garbage\n" + end2,
		strings.Repeat(lineA, 300) + `{"end":300}`, "\v" + `{"END":0}`, "\u00a0\n" + `{"end":0}`, " \t\r\n" + `{"end":0}`,
	} {
		f.Add(output)
	}
	f.Fuzz(func(t *testing.T, output string) {
		inv, err := printed{asked.String(), output}.read(t)
		if err != nil {
			t.Fatal(err)
		}
		if inv.AttemptID != "" || inv.Reports != nil || inv.Idle != nil || !harmless(inv.Failed) {
			t.Errorf("%+v", inv)
		}
		found := inv.Inventory
		if found == nil {
			return
		}
		if found.HostID != fuzzedHost || found.ID != asked.id || !found.SentAt.Equal(sentAt) || found.Platform != "linux" {
			t.Errorf("%+v", found)
		}
		if !found.Complete {
			return
		}
		said := map[string]bool{}
		for _, s := range found.Sessions {
			said[s.NameOnHost] = true
		}
		lines := strings.FieldsFunc(output, func(r rune) bool { return r == '\n' })
		for i := len(lines) - 1; i >= 0; i-- {
			if strings.Trim(lines[i], " \t\r") == "" {
				lines = append(lines[:i], lines[i+1:]...)
			}
		}
		if len(output) > 24_000 || len(lines) != len(said)+1 || inv.Failed != "" || inv.Unreadable > 0 {
			t.Fatalf("complete, with %d sessions in %d lines", len(said), len(lines))
		}
		for i, line := range lines {
			var one struct {
				ID, Failed *string
				End        *int
			}
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("complete, with the line %q: %v", line, err)
			}
			if isEnd := i == len(lines)-1; (one.End != nil) != isEnd || (one.ID != nil) == isEnd || one.End != nil && *one.End != i {
				t.Errorf("complete, with %q in line %d of %d", line, i+1, len(lines))
			}
		}
	})
}

// Whatever is cut out of an honest inventory, what is left is not one that
// lacks sessions.
func FuzzCutInventory(f *testing.F) {
	f.Add("alice", "desk", uint8(2), uint16(10), uint16(20), false)
	f.Add(`{"end":1}`, `"`, uint8(12), uint16(100), uint16(900), false)
	f.Add("{\"id\":\"\n", "\\", uint8(100), uint16(2_000), uint16(60_000), true)
	f.Fuzz(func(t *testing.T, owner, name string, sessions uint8, from, length uint16, marked bool) {
		var whole strings.Builder
		quoted := func(text string) []byte { q, _ := json.Marshal(text); return q }
		for n := range sessions {
			fmt.Fprintf(&whole, `{"id":"s%d","owner":%s,"name":%s,"type":"virtual","created":"2026-11-23T08:30:00Z","connections":%d}`+"\n", n, quoted(owner), quoted(name), n)
		}
		fmt.Fprintf(&whole, `{"end":%d}`+"\n", sessions)
		text := whole.String()
		start := min(int(from), len(text))
		mark := ""
		if marked {
			mark = "---Output truncated---"
		}
		inv, err := printed{asked.String(), text[:start] + mark + text[min(start+int(length), len(text)):]}.read(t)
		if err != nil {
			t.Fatal(err)
		}
		if found := inv.Inventory; found != nil && found.Complete && len(found.Sessions) != int(sessions) {
			t.Errorf("complete with %d sessions of %d", len(found.Sessions), sessions)
		}
	})
}

// What a host did with its idle sessions is its own, too.
func FuzzIdleOutput(f *testing.F) {
	for _, output := range []string{
		"", `{"id":"a","created":"c","result":"closed","minutes":61,"connections":0}` + "\n" + `{"id":"b","result":"in-use","minutes":40,"connections":2}` + "\n" + `{"end":9}`,
		`{"id":"c","result":"failed","reason":"dcv\u0007 is broken"}`, `{"failed":"x"}`, `{"id":"a","result":"clo`, `{"id":"a","minutes":1e99}`, `{"id":"a","result":"closed","end":1}`,
	} {
		f.Add(output)
	}
	c := comment{kind: idleKind, id: "idle1", at: sentAt}
	f.Fuzz(func(t *testing.T, output string) {
		inv, err := printed{c.String(), output}.read(t)
		if err != nil {
			t.Fatal(err)
		}
		if inv.AttemptID != "" || inv.Reports != nil || inv.Inventory != nil || !harmless(inv.Failed) ||
			inv.Idle == nil || inv.Idle.HostID != fuzzedHost || inv.Idle.ID != "idle1" {
			t.Fatalf("%+v", inv)
		}
		for _, s := range inv.Idle.Sessions {
			if !harmless(s.Reason) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// Comments are ours, but anybody may send commands: what is taken for ours says
// the same when it is written again.
func FuzzComment(f *testing.F) {
	for _, text := range []string{"", "by hand", "close a1", asked.String(), "idle x 2026-11-23T19:01:02.123Z", "inventory x 0000-01-01T00:00:00.000Z", "notify n1 2026-11-23T19:11:02.123Z mwtmsv1n", "cancelled n1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseComment(text)
		if err != nil {
			return
		}
		if again, err := parseComment(c.String()); err != nil || again != c || c.id == "" {
			t.Errorf("%q is read as %+v, then as %+v, %v", text, c, again, err)
		}
	})
}
