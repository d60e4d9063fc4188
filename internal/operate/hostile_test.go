package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/deletion"
	"dcv-session-broker/internal/operate/sessions"
	"dcv-session-broker/internal/operate/token"
)

// The output has no characters that control a terminal or change the direction of text.
func TestTerminalIsNotMoved(t *testing.T) {
	const hostile = "x\u202ey\x1b[2J\u009b1m"
	_, url := startSystem(t, system.Options{})
	for _, args := range [][]string{
		{"get", hostile}, {"delete", hostile}, {"cancel", hostile}, {"explain", hostile}, {"drain", hostile}, {"doctor", hostile}, {hostile},
		{"get", "--state", hostile}, {"get", "--" + hostile},
	} {
		said, _ := dcvbroker(t, "", append(args, "--url", url)...)
		if strings.ContainsAny(said, "\u202e\x1b\u009b") || said == "" {
			t.Errorf("%q: %q", args, said)
		}
	}
	t.Run("csv", func(t *testing.T) {
		for terminal, want := range map[bool]string{true: "x\uFFFDy\uFFFD[2J\uFFFD1m", false: hostile} {
			var out strings.Builder
			if err := sessions.CSV(&out, []api.Session{{ID: "s-1", StateReason: hostile}}, terminal); err != nil || !strings.Contains(out.String(), ","+want+",") {
				t.Errorf("%v: %q, %v", terminal, out.String(), err)
			}
		}
	})
	t.Run("progress", func(t *testing.T) {
		var out strings.Builder
		p := deletion.Progress{Out: &out, Now: time.Now}
		p.Say(hostile)
		p.Line(hostile)
		if strings.ContainsAny(out.String(), "\u202e\x1b\u009b") {
			t.Errorf("%q", out.String())
		}
	})
}

// In a command to copy, a session's ID, which a host chooses, is one word.
func TestCommandsToCopyQuoteIDs(t *testing.T) {
	for id, want := range map[string]string{
		"$(reboot)":  `dcvbroker cancel '$(reboot)'`,
		"a';reboot;": `dcvbroker cancel 'a'\'';reboot;'`,
		"--all":      `dcvbroker cancel -- --all`,
		"=ls":        `dcvbroker cancel '=ls'`,
		"s-1":        `dcvbroker cancel s-1`,
	} {
		_, address := startSystem(t, system.Options{})
		call(t, http.MethodPut, address+"/local/hosts/"+demoHost+"/sessions/"+strings.ReplaceAll(id, ";", "%3B"), `{"Owner": "user1"}`)
		if said, status := dcvbroker(t, "", "delete", "--grace", "1h", "--url", address, "--", id); status != exitDone {
			t.Fatalf("%s: %d\n%s", id, status, said)
		}
		if said, _ := dcvbroker(t, "", "explain", "--url", address, "--", id); !strings.Contains(flat(said), want) {
			t.Errorf("%s:\n%s", want, said)
		}
	}
}

// After a lost answer, a refusal of the repeat does not mean that nothing was done.
func TestRefusalAfterALostAnswerLeavesItOpen(t *testing.T) {
	for name, arrives := range map[string]bool{"it was recorded": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			_, address := startSystem(t, system.Options{})
			call(t, http.MethodPut, address+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
			var calls atomic.Int32
			front := before(t, address, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				switch {
				case r.URL.Path != "/deleteSessions":
					pass.ServeHTTP(w, r)
				case calls.Add(1) > 1:
					w.WriteHeader(http.StatusUnauthorized)
				default:
					if arrives {
						pass.ServeHTTP(httptest.NewRecorder(), r)
					}
					panic(http.ErrAbortHandler)
				}
			})
			said, status := typed(t, strings.NewReader(""), "delete", "s-1", "--url", front)
			switch {
			case arrives && (status != exitDone || !strings.Contains(said, "s-1 DELETING\n")):
				t.Errorf("%d\n%s", status, said)
			case !arrives && (status != exitNotRun || !strings.Contains(said, "s-1: unanswered: ")):
				t.Errorf("%d\n%s", status, said)
			}
		})
	}
}

func TestErrorIsNotInTheLineOfTheProgressBar(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	client := &api.Client{URL: away.URL, HTTP: http.DefaultClient, Tokens: token.Given("any")}
	var out strings.Builder
	progress := &deletion.Progress{Out: &out, Width: 80, Now: time.Now}
	progress.Line("0 of 1 ended")
	w := deletion.Waiter{Deleter: &deletion.Deleter{API: client, Batch: 1}, Progress: progress, Now: time.Now}
	if _, err := w.Wait(t.Context(), []*deletion.Item{{Status: deletion.Open}}); err == nil || !strings.HasSuffix(out.String(), "\n") {
		t.Errorf("%v %q", err, out.String())
	}
}
