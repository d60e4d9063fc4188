package runbook_test

import (
	"testing"

	"dcv-session-broker/internal/operate/runbook"
)

// A reason that an earlier release wrote has the same advice as the present text.
func TestReasonOfAnEarlierReleaseHasItsAdvice(t *testing.T) {
	book, err := runbook.Parse(read(t, "../RUNBOOK.md"))
	if err != nil {
		t.Fatal(err)
	}
	for before, now := range map[string]string{
		"The deletion was cancelled since this request began. Nothing was changed.":                                       "The deletion was cancelled after this request began. Nothing was changed.",
		"Too late: its close was sent at T.":                                                                              "Too late: the close command was sent at T.",
		"Too late: its close was sent, and was given up at T. The session may end yet.":                                   "Too late: the close command was sent, and the broker gave up at T. The session may still end.",
		"The session's deletion is another request's (r1). Nothing was changed.":                                          "The session's deletion belongs to another request (r1). Nothing was changed.",
		"Removed by force. The command was void when the host ran it: is its clock ahead?":                                "Removed by force. The command had expired when the host ran it. Is the host's clock ahead?",
		"The host's answer to the close command says nothing of this session (Failed).":                                   "The host's answer to the close command does not mention this session (Failed).",
		"Its host has not said what runs on it since T or longer: is it there, and do its agent and its DCV server work?": "Its host has not reported its sessions since T or longer. Is the host running, and do its agent and its DCV server work?",
		"Its host has not said for long what runs on it.":                                                                 "Its host has not reported its sessions for a long time.",
		"Its host is held to another owner by its tag DcvOwner: what the host says of this session is not believed.":      "The tag DcvOwner of its host names another owner: what the host reports of this session is ignored.",
		"The host may not be commanded (it lacks the tag DcvFleet, or the broker the permission).":                        "The host may not be commanded (it lacks the tag DcvFleet, or the broker lacks the permission).",
	} {
		want, known := book.Advice(now, "i-1")
		if got, ok := book.Advice(before, "i-1"); !ok || !known || got != want {
			t.Errorf("%s\nhas the advice %q, want %q", before, got, want)
		}
	}
}
