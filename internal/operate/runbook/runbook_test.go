package runbook_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/operate/runbook"
)

const example = `# Runbook

| metric | | alarm |
| --- | --- | --- |
| *a line of the log* | of another table | one |

| what it says | what to do |
| --- | --- |
| no reason at all | Wait. |
| *Given up after … (… attempts).* | Call ` + "`explain`" + `. |
| *is not connected*, *is not known* | Start [the agent](#agent) of *that* host. |
| *failed* | Look. |
| *broken: …* | Fix it. |
| *silent* | ` + "`dcvbroker doctor HOST`" + ` says why. |
| *… is slow* | Be patient. |
| *No answer (…).* | See the brackets. |
`

func TestAdvice(t *testing.T) {
	book, err := runbook.Parse(example)
	if err != nil {
		t.Fatal(err)
	}
	const startIt = "Start the agent of that host."
	for _, c := range []struct{ about, reason, want string }{
		{"a phrase within a reason", "The host is not connected.", startIt},
		{"another phrase of the row", "The host is not known.", startIt},
		{"what differs", "Given up after 1h (3 attempts).", "Call explain."},
		{"what differs may not be nothing", "Given up after  (3 attempts).", ""},
		{"two parts, in the order of the reason", "Given up after 1h (3 attempts). Last: The host is not connected.", "Call explain.\n" + startIt},
		{"the other order", "The host is not connected. Given up after 1h (3 attempts).", startIt + "\nCall explain."},
		{"one word is the whole reason", "failed", "Look."},
		{"one word within another reason", "dcv failed", ""},
		{"a colon at the beginning", "broken: it rains", "Fix it."},
		{"a colon elsewhere", "it is broken: it rains", ""},
		{"what differs at the beginning", "The host is not known. Its disk is slow", startIt + "\nBe patient."},
		{"one part within another", "No answer (The host is not known).", startIt},
		{"nothing known within it", "No answer (it rains).", "See the brackets."},
		{"one part after another", "No answer (it rains). The host is not known.", "See the brackets.\n" + startIt},
		{"the host has its name", "silent", "dcvbroker doctor i-1 says why."},
		{"no reason", "", "Wait."},
		{"another table", "a line of the log", ""},
		{"nothing of it", "It rains.", ""},
	} {
		if got, ok := book.Advice(c.reason, "i-1"); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q has the advice %q, %v, not %q", c.about, c.reason, got, ok, c.want)
		}
	}
}

func TestRunbookWithoutRowsIsRefused(t *testing.T) {
	for _, text := range []string{"", strings.Replace(example, "no reason at all", "nothing", 1)} {
		if _, err := runbook.Parse(text); err == nil {
			t.Errorf("this is read as a runbook: %s", text)
		}
	}
}
