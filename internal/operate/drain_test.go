package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/deletion"
	"dcv-session-broker/internal/operate/drain"
	"dcv-session-broker/internal/operate/token"
	"dcv-session-broker/internal/session"
)

// noted is the same HostNote for every host.
type noted session.HostNote

func (n noted) Notes(_ context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	notes := map[string]session.HostNote{}
	for _, id := range hostIDs {
		notes[id] = session.HostNote(n)
	}
	return notes, nil
}

// A host may run sessions that the table does not list: only its own inventory ends a drain.
func TestOnlyAnEmptyInventoryEndsADrain(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	client := &api.Client{URL: url, HTTP: http.DefaultClient, Tokens: token.Given("any")}
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		note    session.HostNote
		drained bool
		says    string
	}{
		"it is empty":            {session.HostNote{SentAt: later, CompleteAt: later, EmptySince: later.Add(-time.Minute)}, true, ""},
		"it has other sessions":  {session.HostNote{SentAt: later, CompleteAt: later, OccupiedAt: later}, false, "has sessions that are not listed yet, or cannot be"},
		"it was not complete":    {session.HostNote{SentAt: later, CompleteAt: later.Add(-time.Minute)}, false, "was not complete"},
		"it was empty before":    {session.HostNote{SentAt: later.Add(-2 * time.Hour), EmptySince: later.Add(-3 * time.Hour)}, false, "waiting for a complete inventory sent after"},
		"it has never said what": {session.HostNote{}, false, "waiting for a complete inventory sent after"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			d := drain.Drain{
				Host: demoHost, Deleter: &deletion.Deleter{API: client, Batch: api.DefaultBatch}, Notes: noted(c.note),
				Progress: &deletion.Progress{Out: &out, Now: time.Now}, Timeout: 20 * time.Millisecond, Pause: time.Millisecond, Now: time.Now,
			}
			failed, timedOut, err := d.Run(t.Context(), nil)
			if failed != 0 || timedOut == c.drained || err != nil || !strings.Contains(out.String(), c.says) {
				t.Errorf("%d failed, timed out: %v, %v\n%s", failed, timedOut, err, &out)
			}
		})
	}
}

// Inventories have the time of the broker's clock. By a clock that is behind, an inventory from before the last end
// would count.
func TestDrainGoesByTheBrokersClock(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/s-0", `{"Owner": "user1", "Registered": false}`)
	call(t, http.MethodDelete, url+"/local/hosts/"+demoHost+"/sessions/s-0", "")
	call(t, http.MethodPost, url+"/local/clock", `{"Ahead": "1h"}`)
	awaitInventory(t, url, demoHost)
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/unlisted", `{"Owner": "user1", "Registered": false}`)
	said, status := dcvbroker(t, "", "drain", demoHost, "--yes", "--timeout", "100ms", "--url", url)
	if status != exitTimedOut || !strings.Contains(said, "waiting for a complete inventory sent after") {
		t.Errorf("%d\n%s", status, said)
	}
}

// A stack's inventories are sent by the clock of AWS, which the API's answers tell to the second.
func TestDrainGoesByTheClockOfTheAPI(t *testing.T) {
	ahead := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	for name, c := range map[string]struct {
		date    string
		sent    time.Time
		drained bool
		err     string
	}{
		"sent before the last end":     {ahead.UTC().Format(http.TimeFormat), ahead.Add(-time.Minute), false, ""},
		"sent within the same second":  {ahead.UTC().Format(http.TimeFormat), ahead.Add(999 * time.Millisecond), false, ""},
		"sent after the last end":      {ahead.UTC().Format(http.TimeFormat), ahead.Add(1001 * time.Millisecond), true, ""},
		"of which nothing can be told": {"", ahead, false, "no time in the header Date"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Date"] = []string{c.date}
				io.WriteString(w, `{"Sessions": []}`)
			}))
			defer server.Close()
			d := drain.Drain{
				Host: demoHost, Deleter: &deletion.Deleter{API: &api.Client{URL: server.URL, HTTP: http.DefaultClient, Tokens: token.Given("any")}},
				Notes: noted{SentAt: c.sent, CompleteAt: c.sent, EmptySince: c.sent}, Progress: &deletion.Progress{Out: io.Discard, Now: time.Now},
				Timeout: 5 * time.Millisecond, Pause: time.Millisecond, Now: time.Now,
			}
			_, timedOut, err := d.Run(t.Context(), nil)
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && timedOut == c.drained {
				t.Errorf("timed out: %v, %v", timedOut, err)
			}
		})
	}
}

// If a newer session replaces one before its deletion is requested, the old one is gone, and the newer one is deleted,
// too.
func TestDrainDeletesWhatReplacedASession(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	sessions := url + "/local/hosts/" + demoHost + "/sessions/"
	call(t, http.MethodPut, sessions+"a", `{"Owner": "user1", "CreationTime": "2026-11-23T08:30:00.262883Z"}`)
	replace := func() {
		call(t, http.MethodDelete, sessions+"a", "")
		call(t, http.MethodPut, sessions+"a", `{"Owner": "user2", "CreationTime": "2026-11-23T09:30:00.5Z"}`)
	}
	// The time-out passes as soon as the newer one is deleted.
	var out strings.Builder
	began := time.Now()
	p := program{in: &answerer{replace}, out: &out, err: &out, interactive: true, pause: 20 * time.Millisecond, getenv: func(string) string { return "" },
		now: func() time.Time {
			if strings.Contains(out.String(), "it is deleted, too\n") || time.Since(began) > 5*time.Minute {
				return began.Add(2 * time.Hour)
			}
			return began
		}}
	status := p.run(t.Context(), []string{"drain", demoHost, "--timeout", "1h", "--url", url})
	if said := out.String(); status != exitTimedOut || !strings.Contains(said, "1 of 1 ended\na started meanwhile: it is deleted, too\n") || strings.Contains(said, "unsuccessful") {
		t.Errorf("%d\n%s", status, said)
	}
}

// inProcess answers without a network.
type inProcess http.HandlerFunc

func (f inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f(w, r)
	return w.Result(), nil
}

// Sessions that start and end do not prolong a drain, which says what it waits for.
func TestDrainOfAHostThatIsNeverLeftAloneTimesOut(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		state, closeAt, says string
		until                time.Time
	}{
		"without grace periods": {"DELETED", "", "", start.Add(time.Hour)},
		"with grace periods":    {"DELETED", `, "CloseAt": "2026-11-23T12:10:00Z"`, "", start.Add(time.Hour + 10*time.Minute)},
		"all are open":          {"DELETING", "", "s-0: still DELETING: its host is busy\n", start.Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			now, looks := start, 0 // how often the host's sessions were read; every other time there is a new one
			answer := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", now.Format(http.TimeFormat))
				var asked any
				if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
					t.Error(err)
				}
				query, _ := asked.(map[string]any)
				ids, known := query["SessionIds"].([]any)
				list := func(state, more string) {
					var listed []string
					for _, id := range ids {
						listed = append(listed, fmt.Sprintf(`{"Id": %q, "Owner": "user1", "State": %q, "StateReason": "its host is busy"%s}`, id, state, more))
					}
					fmt.Fprintf(w, `{"Sessions": [%s]}`, strings.Join(listed, ", "))
				}
				switch {
				case r.URL.Path == "/deleteSessions":
					id := asked.([]any)[0].(map[string]any)["SessionId"]
					fmt.Fprintf(w, `{"SuccessfulList": [{"SessionId": %q%s}]}`, id, c.closeAt)
				case known && c.closeAt != "" && now.Before(start.Add(10*time.Minute)):
					list("READY", c.closeAt)
				case known:
					list(c.state, c.closeAt)
				default:
					now = now.Add(4 * time.Minute)
					if looks++; looks%2 == 0 {
						ids = append(ids, fmt.Sprintf("s-%d", looks))
					}
					list("READY", "")
				}
			}
			var out strings.Builder
			progress := &deletion.Progress{Out: &out, Now: func() time.Time { return now }}
			d := drain.Drain{
				Host: demoHost, Deleter: &deletion.Deleter{API: &api.Client{HTTP: &http.Client{Transport: inProcess(answer)}, Tokens: token.Given("any")}, Batch: 1},
				Notes: noted{}, Progress: progress, Timeout: time.Hour, Now: progress.Now,
			}
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
			defer stop()
			failed, timedOut, err := d.Run(ctx, []api.Session{{ID: "s-0", Owner: "user1"}})
			if late := now.Sub(c.until); failed != 0 || !timedOut || err != nil || late <= 0 || late > 5*time.Minute {
				t.Errorf("%d failed, timed out: %v at %v, %v", failed, timedOut, now, err)
			}
			if !strings.Contains(out.String(), c.says) {
				t.Error(out.String())
			}
		})
	}
}
