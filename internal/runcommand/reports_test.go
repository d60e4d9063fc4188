package runcommand

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

var attempt = comment{kind: closeKind, id: "attempt"}

func said(id string, outcome session.Outcome, reason string) session.Report {
	return session.Report{HostID: "i-0123abcd", AttemptID: "attempt", SessionID: id, Outcome: outcome, Reason: reason}
}

func TestEachLineOfAHostIsAReport(t *testing.T) {
	output := `{"id":"s1","result":"closed"}
{"id":"s2","result":"absent"}
{"id":"%24%28reboot%29","result":"replaced"}
{"id":"s4","result":"expired"}
{"id":"s5","result":"failed","reason":"dcv took too long"}
`
	want := []session.Report{
		said("s1", session.OutcomeClosed, ""),
		said("s2", session.OutcomeAbsent, ""),
		said("$(reboot)", session.OutcomeReplaced, ""),
		said("s4", session.OutcomeExpired, ""),
		said("s5", session.OutcomeFailed, "dcv took too long"),
	}
	for name, text := range map[string]string{
		"Linux": output, "Windows": strings.ReplaceAll(output, "\n", "\r\n"),
		"with blank lines": "\n \n" + strings.ReplaceAll(output, "\n", "\n\n"), "without an end": strings.TrimSpace(output),
	} {
		got, unreadable := reports(attempt, "i-0123abcd", text)
		if diff := cmp.Diff(want, got); diff != "" || unreadable != 0 {
			t.Errorf("%s: %d unreadable lines (-want +got):\n%s", name, unreadable, diff)
		}
	}
}

func TestOtherLinesAreOnlyCounted(t *testing.T) {
	good := `{"id":"s1","result":"closed"}`
	for name, line := range map[string]string{
		"text":                    "Last login: Mon Nov 23",
		"a cut line":              `{"id":"s2","result":"clo`,
		"a cut line with a mark":  `{"id":"s2","result":"clo--output truncated--`,
		"two in a line":           good + good,
		"JSON of another shape":   `["s2","closed"]`,
		"a number":                `2`,
		"null":                    `null`,
		"without an ID":           `{"result":"closed"}`,
		"with an empty ID":        `{"id":"","result":"closed"}`,
		"with an ID of a number":  `{"id":2,"result":"closed"}`,
		"without a result":        `{"id":"s2"}`,
		"with an unknown result":  `{"id":"s2","result":"gone"}`,
		"with another case":       `{"id":"s2","result":"Closed"}`,
		"with an ID as it is":     `{"id":"a b","result":"closed"}`,
		"with an ID encoded more": `{"id":"%73%32","result":"closed"}`,
		"with an ID of no text":   `{"id":"%FF","result":"closed"}`,
		// A key that the table cannot have fails the whole write it stands in.
		"with an endless ID":       `{"id":"` + strings.Repeat("x", session.MaxIDBytes+1) + `","result":"closed"}`,
		"with a reason of a shape": `{"id":"s2","result":"failed","reason":{"a":1}}`,
		// A host that says a thing a thousand times must not cost a thousand writes.
		"said already": `{"id":"s1","result":"failed"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got, unreadable := reports(attempt, "i-0123abcd", good+"\n"+line+"\n")
			if diff := cmp.Diff([]session.Report{said("s1", session.OutcomeClosed, "")}, got); diff != "" || unreadable != 1 {
				t.Errorf("%d unreadable lines (-want +got):\n%s", unreadable, diff)
			}
		})
	}
}

func TestReasonsAreOneHarmlessLine(t *testing.T) {
	got, _ := reports(attempt, "i-0123abcd", `{"id":"s1","result":"failed","reason":"a\u0007b\nc\u001b[31mé`+strings.Repeat("x", 300)+`"}`)
	if len(got) != 1 || got[0].Reason != "a b c [31m "+strings.Repeat("x", 189) {
		t.Errorf("reports: %q", got)
	}
}

// Whatever a host prints is read without harm, and is about itself.
func TestAnyOutputCanBeRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		output := strings.Join(rapid.SliceOf(rapid.OneOf(
			rapid.String(),
			rapid.StringMatching(`\{"id":"[a-z%0-9A-F]{0,6}","result":"(closed|absent|failed|x)"(,"reason":"[ -~]*")?\}`),
		)).Draw(t, "lines"), "\n")
		got, unreadable := reports(attempt, "i-0123abcd", output)
		for _, r := range got {
			if r.HostID != "i-0123abcd" || r.AttemptID != "attempt" || r.SessionID == "" || r.Outcome == "x" {
				t.Fatalf("report: %+v", r)
			}
		}
		if lines := strings.Count(output, "\n") + 1; len(got)+unreadable > lines {
			t.Fatalf("%d reports and %d unreadable lines in %d", len(got), unreadable, lines)
		}
	})
}

func TestAnyCutOfTheOutputLosesOnlyWhatIsCut(t *testing.T) {
	var output strings.Builder
	var ends []int
	for n := range 20 {
		fmt.Fprintf(&output, "{\"id\":\"s%d\",\"result\":\"failed\",\"reason\":\"no time left\"}\n", n)
		ends = append(ends, output.Len()-1)
	}
	whole := 0
	for cut := range output.Len() {
		if whole < len(ends) && cut >= ends[whole] {
			whole++
		}
		if got, _ := reports(attempt, "i-0123abcd", output.String()[:cut]); len(got) != whole {
			t.Fatalf("cut after %d: %d reports, want %d", cut, len(got), whole)
		}
	}
}
