package fleet_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// notifying returns a fleet with the real notify document.
func notifying(t *testing.T) *testFleet {
	t.Helper()
	documents := templatetest.Load(t, nil).Documents()
	i := slices.IndexFunc(documents, func(d template.Document) bool { return d.LogicalID == "NotifyDocument" })
	if i < 0 {
		t.Fatal("template.yaml has no NotifyDocument")
	}
	return newFleet(t, fleet.Options{}, documents[i])
}

// notice returns a command with a notice of that order for the host's session-1.
func notice(host, text string, order, closeAt int64) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{DocumentName: aws.String("NotifyDocument"), InstanceIds: []string{host}, Parameters: map[string][]string{
		"sessions": {host + "=session-1~zzzzzzzzzz:" + strconv.FormatInt(order, 36)}, "text": {base64.StdEncoding.EncodeToString([]byte(text))},
		"closeAt": {fmt.Sprint(closeAt)}, "voidAfter": {fmt.Sprint(time.Now().Add(time.Hour).Unix())},
	}}
}

// A message is shown on the host, and not on this machine.
func TestUsersOfAHostAreWarned(t *testing.T) {
	f := notifying(t)
	host, soon := f.host(1), time.Now().Add(time.Hour).Unix()
	tell := func(in *ssm.SendCommandInput) string {
		t.Helper()
		host, command := in.InstanceIds[0], f.sendInput(in)
		f.await(command, host, "Success")
		return strings.TrimSpace(*f.step(command, host, "linux").StandardOutputContent)
	}
	wantScreen := func(shown ...string) {
		t.Helper()
		var got []string
		for range 6000 { // five minutes
			notices, err := f.Notices()
			if err != nil {
				t.Fatal(err)
			}
			got = nil
			for _, n := range notices {
				if n.Shown {
					got = append(got, n.Text)
				}
			}
			if slices.Equal(got, shown) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("the screen shows %q, wanted %q", got, shown)
	}
	for _, step := range []struct {
		connected bool
		text      string
		order     int64
		closeAt   int64
		line      string
		screen    []string
	}{
		{false, "one", 1, soon, `{"id":"session-1","result":"nobody"}`, nil},
		{true, "two", 2, soon, `{"id":"session-1","result":"warned","reason":"zenity"}`, []string{"two"}},
		{true, "three", 3, soon, `{"id":"session-1","result":"warned","reason":"zenity"}`, []string{"three"}},
		{true, "cancelled", 4, 0, `{"id":"session-1","result":"told","reason":"zenity"}`, []string{"cancelled"}},
		{false, "four", 5, soon, `{"id":"session-1","result":"nobody"}`, nil},
		{true, "five", 6, soon, `{"id":"session-1","result":"warned","reason":"zenity"}`, []string{"five"}},
	} {
		users := 0
		if step.connected {
			users = 2
		}
		if err := f.Connect(host, "session-1", users, 0); err != nil {
			t.Fatal(err)
		}
		if line := tell(notice(host, step.text, step.order, step.closeAt)); line != step.line {
			t.Errorf("%s: %s, wanted %s", step.text, line, step.line)
		}
		wantScreen(step.screen...)
	}
	// Another host has its own notices.
	other := f.host(2)
	if _, err := f.StartSession(other, fleet.Session{ID: "session-1", Owner: "user"}); err != nil {
		t.Fatal(err)
	}
	if line := tell(notice(other, "one", 1, soon)); line != `{"id":"session-1","result":"nobody"}` {
		t.Error(line)
	}
	// A stop empties a host's memory: then an older notice is accepted.
	f.do(f.Stop, host)
	wantScreen()
	notices, err := f.Notices()
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, n := range notices {
		if n.HostID != host || n.SessionID != "session-1" || n.Owner != "user" || time.Since(n.At) > time.Hour || time.Until(n.At) > time.Second {
			t.Errorf("%+v", n)
		}
		shown = append(shown, n.Text)
	}
	if want := []string{"two", "three", "cancelled", "five"}; !slices.Equal(shown, want) {
		t.Errorf("%q, not %q", shown, want)
	}
	f.do(f.Start, host)
	if line := tell(notice(host, "six", 1, soon)); strings.Contains(line, "newer") {
		t.Error(line)
	}
}

func TestNoticesAreRefusedThatTheDocumentDoesNotTake(t *testing.T) {
	f := notifying(t)
	host := f.host(1)
	for name, value := range map[string]string{
		"sessions": host + "=$(reboot)@1:1", "text": "not in base64", "closeAt": "soon", "voidAfter": "", "other": "x",
	} {
		in := notice(host, "one", 1, 1)
		in.Parameters[name] = []string{value}
		if _, err := f.SendCommand(t.Context(), in); code(err) != "InvalidParameters" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, value := range map[string]string{"sessions": host + "=" + strings.Repeat("x", 13_000), "text": strings.Repeat("x", 2_401)} {
		in := notice(host, "one", 1, 1)
		in.Parameters[name] = []string{value}
		if _, err := f.SendCommand(t.Context(), in); code(err) != "InvalidParameters" {
			t.Errorf("%s that is too long: %v", name, err)
		}
	}
}
