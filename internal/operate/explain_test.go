package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/operate/story"
)

// hostOf returns the ID of a host of the local system.
func hostOf(n int) string { return fmt.Sprintf("i-%017d", n) }

// awaitRecord waits until a session's record contains the text.
func awaitRecord(t *testing.T, url, sessionID, text string) {
	t.Helper()
	record := ""
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if record = get(t, url+"/local/sessions/"+sessionID); strings.Contains(record, text) {
			return
		}
	}
	t.Fatalf("%q is not in %s", text, record)
}

// awaitInventory sends an inventory, and waits until the host has answered it or an earlier one.
func awaitInventory(t *testing.T, url, host string) {
	t.Helper()
	call(t, http.MethodPost, url+"/local/cleanup/inventory", "")
	inventories := ""
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if inventories = get(t, url+"/local/inventories"); strings.Contains(inventories, `"`+host+`":{"SentAt":"2`) {
			return
		}
	}
	t.Fatalf("%s has answered none: %s", host, inventories)
}

// explained returns the story as JSON, after checking that the one for people has the same texts.
func explained(t *testing.T, sessionID string, args ...string) (told story.Story, text string, status int) {
	t.Helper()
	said, status := dcvbroker(t, "", append([]string{"explain", sessionID, "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(said), &told); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	text, _ = dcvbroker(t, "", append([]string{"explain", sessionID}, args...)...)
	for line := range strings.Lines(text) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("more than 80 columns: %s", line)
		}
	}
	plain := func(text string) string {
		return agoPattern.ReplaceAllString(strings.Join(strings.Fields(text), " "), "then")
	}
	for _, want := range slices.Concat([]string{told.Summary}, told.Why, told.Do, told.NotLookedAt) {
		if !strings.Contains(plain(text), plain(want)) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	return told, text, status
}

// agoPattern matches a distance in time, which two runs of the program may write differently.
var agoPattern = regexp.MustCompile(`((in|for) \d+ \w+|\d+ \w+ ago|\d+ seconds?|now)\b`)

// wantIn checks that the text contains the wanted texts in their order.
func wantIn(t *testing.T, text string, wants ...string) {
	t.Helper()
	rest := strings.Join(strings.Fields(text), " ")
	for _, want := range wants {
		_, behind, found := strings.Cut(rest, want)
		if !found {
			t.Errorf("%q is not in, or not behind what was before it:\n%s", want, text)
			return
		}
		rest = behind
	}
}

// Sessions that are not stuck have stories, too: one waits, was put back, has ended, was given up, or does not exist.
func TestExplainWhatIsNotStuck(t *testing.T) {
	sys, url := startSystem(t, system.Options{GiveUpAfter: 4 * time.Minute})
	start := func(host int, id string) {
		t.Helper()
		call(t, http.MethodPut, url+"/local/hosts/"+hostOf(host)+"/sessions/"+id, `{"Owner": "user1"}`)
	}
	remove := func(id, more string) {
		t.Helper()
		call(t, http.MethodPost, url+"/deleteSessions", `[{"SessionId": "`+id+`", "Owner": "user1"`+more+`}]`)
	}
	want := func(id string, status int, texts ...string) {
		t.Helper()
		_, text, got := explained(t, id, "--url", url)
		if got != status {
			t.Errorf("%s: %d\n%s", id, got, text)
		}
		wantIn(t, text, texts...)
	}
	start(1, "idle")
	want("idle", exitDone, "idle of user1 on "+hostOf(1)+": READY. No deletion is open.", "An inventory listed it.")

	start(1, "waiting")
	remove("waiting", `, "GracePeriodSeconds": 600, "Reason": "maintenance", "Message": "Save your work."`)
	awaitRecord(t, url, "waiting", `"Warning"`)
	want("waiting", exitDone, "DELETING, and waits for its close time,", `Reason: "maintenance". Closing begins at`, `"Save your work."`,
		"Result: nobody: no user was connected", "What happens next", "asked again to tell its users", "Closing begins", "dcvbroker cancel waiting")
	call(t, http.MethodPost, url+"/cancelDeletions", `[{"SessionId": "waiting", "Owner": "user1"}]`)
	want("waiting", exitDone, "READY. No deletion is open", "Its deletion was cancelled, by request ", "cancel-deletions: deletion cancelled")

	start(2, "put-back")
	call(t, http.MethodPost, url+"/local/hosts/"+hostOf(2)+"/disconnect", "")
	remove("put-back", "")
	want("put-back", exitDone, "READY. No deletion is open", "entry refused", "Why", "A deletion was asked for", "nothing was changed", "is not connected",
		"What to do", "is its agent, does it reach Systems Manager? dcvbroker doctor "+hostOf(2)+" says")

	start(1, "forced")
	remove("forced", `, "Force": true`)
	awaitRecord(t, url, "forced", `"DELETED"`)
	want("forced", exitDone, "DELETED ", "by force", "Confirmed (forced)", "DELETED.", "The record expires.")

	start(3, "given-up")
	call(t, http.MethodPost, url+"/local/hosts/"+hostOf(3)+"/lose-events", "")
	call(t, http.MethodPost, url+"/local/hosts/"+hostOf(3)+"/break", "")
	remove("given-up", "")
	for range 2 {
		sys.Advance(4 * time.Minute)
		call(t, http.MethodPost, url+"/local/cleanup/deletions", "")
	}
	want("given-up", exitDone, "UNKNOWN: its deletion was given up", "The session may still run.", "cleanup: It was given up: The host did not confirm within 4m0s",
		"What happens next", "The record expires, unless the host answers", "Why", "What to do", "delete it again: dcvbroker delete given-up")

	call(t, http.MethodDelete, url+"/local/sessions/given-up", "")
	want("given-up", exitUnsuccessful, "There is no record of given-up.", "cleanup: ERROR: deletion given up", "Its record is gone")
	start(3, "console")
	want("console", exitUnsuccessful, "There is no record of console.", "console-"+hostOf(3)+" of user1 on "+hostOf(3)+": READY", "console-<HostId>")
	want("idle-"+hostOf(2), exitUnsuccessful, "There is no record of idle-"+hostOf(2), "idle of user1 on "+hostOf(1)+": READY")

	if said, status := dcvbroker(t, "", "explain", "idle", "--url", "http://127.0.0.1:1"); status != exitNotRun || !strings.Contains(said, "make run starts it") {
		t.Errorf("%d\n%s", status, said)
	}
}
