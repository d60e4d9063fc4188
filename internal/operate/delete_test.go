package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
)

const demoHost = "i-0a1b2c3d4e5f60001"

// typed runs dcvbroker on a terminal. Its input comes from a reader, which may also do something else.
func typed(t *testing.T, in io.Reader, args ...string) (said string, status int) {
	t.Helper()
	var out strings.Builder
	p := program{
		in: in, out: &out, err: &out, interactive: true, now: time.Now, pause: 20 * time.Millisecond,
		getenv: func(string) string { return "" },
	}
	status = p.run(t.Context(), args)
	return out.String(), status
}

// An answerer calls before, then answers yes.
type answerer struct{ before func() }

func (a *answerer) Read(into []byte) (int, error) {
	if a.before != nil {
		a.before()
		a.before = nil
	}
	return copy(into, "y\n"), nil
}

// A question ends when it is interrupted, and nothing is deleted.
func TestInterruptedQuestion(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/a", `{"Owner": "user1"}`)
	in, typing := io.Pipe() // nothing is typed
	defer typing.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &waitingWriter{question: "[y/N]", then: interrupt}
	p := program{in: in, out: out, err: out, interactive: true, now: time.Now, pause: 20 * time.Millisecond, errWidth: 80, getenv: func(string) string { return "" }}
	if status := p.run(ctx, []string{"drain", demoHost, "--url", url}); status != exitNotRun || !strings.HasSuffix(out.String(), "\ndcvbroker: not confirmed: nothing was changed\n") {
		t.Errorf("%d\n%s", status, out)
	}
	if record := get(t, url+"/local/sessions/a"); !strings.Contains(record, `"READY"`) {
		t.Error(record)
	}
}

// A waitingWriter calls then when a text is written.
type waitingWriter struct {
	strings.Builder
	question string
	then     func()
}

func (w *waitingWriter) Write(text []byte) (int, error) {
	if strings.Contains(string(text), w.question) {
		w.then()
	}
	return w.Builder.Write(text)
}

func TestSessionThatTookTheIDMeanwhileIsNotDeleted(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	sessions := url + "/local/hosts/" + demoHost + "/sessions/"
	for _, id := range []string{"a", "other", "b"} {
		call(t, http.MethodPut, sessions+id, `{"Owner": "user1", "CreationTime": "2026-11-23T08:30:00.262883Z"}`)
	}
	replace := func() {
		for id, owner := range map[string]string{"a": "user1", "other": "user2"} {
			call(t, http.MethodDelete, sessions+id, "")
			call(t, http.MethodPut, sessions+id, `{"Owner": "`+owner+`", "CreationTime": "2026-11-23T09:30:00.5Z"}`)
		}
	}
	said, status := typed(t, &answerer{replace}, "delete", "--owner", "user1", "--url", url, "--wait")
	if status != exitUnsuccessful ||
		!strings.Contains(said, "a: unsuccessful: another session has its ID now, of user1, created at 2026-11-23T09:30:00.5Z; that one was not deleted\n") ||
		!strings.Contains(said, "\nother: unsuccessful: another session has its ID now, of user2, created at 2026-11-23T09:30:00.5Z; that one was not deleted\n") ||
		!strings.Contains(said, "1 of 3 ended, 2 unsuccessful") {
		t.Errorf("%d\n%s", status, said)
	}
	if hosts := get(t, url+"/local/hosts"); !strings.Contains(hosts, `"Id":"a"`) || !strings.Contains(hosts, `"Id":"other"`) || strings.Contains(hosts, `"Id":"b"`) {
		t.Errorf("running: %s", hosts)
	}
}

// before is a proxy in front of a system. handle decides about each call: it may pass the call on, and pass on or lose
// the answer.
func before(t *testing.T, address string, handle func(w http.ResponseWriter, r *http.Request, pass http.Handler)) string {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, pass) }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestLostAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		lose    int    // how many calls of deleteSessions have no answer
		arrives bool   // whether those calls reach the system
		until   string // the call without an answer is carried out before the next; DELETING: its host is silent meanwhile
		args    []string
		status  int
		says    string
	}{
		"of a deletion that is open":  {1, true, "DELETING", nil, exitDone, "s-1 DELETING\n"},
		"of one that has ended since": {1, true, "DELETED", []string{"--force"}, exitDone, "s-1 DELETED\n"},
		"and it is waited for":        {1, true, "DELETED", []string{"--wait"}, exitDone, "1 of 1 ended\n"},
		"the request was lost, too":   {1, false, "", []string{"--wait"}, exitDone, "1 of 1 ended\n"},
		"all of them":                 {99, true, "DELETED", nil, exitDone, "s-1 DELETED\n"},
		"all, and the requests":       {99, false, "", nil, exitNotRun, "s-1: unanswered: no answer from "},
		"and it was to be waited for": {99, false, "", []string{"--wait"}, exitNotRun, "had no answer, so nobody knows whether they were recorded: repeat the command"},
	} {
		t.Run(name, func(t *testing.T) {
			_, address := startSystem(t, system.Options{})
			call(t, http.MethodPut, address+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
			if c.until == "DELETING" {
				call(t, http.MethodPost, address+"/local/hosts/"+demoHost+"/silence", "")
			}
			var lost atomic.Int32
			front := before(t, address, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if r.URL.Path != "/deleteSessions" || int(lost.Add(1)) > c.lose {
					pass.ServeHTTP(w, r)
					return
				}
				if c.arrives {
					pass.ServeHTTP(httptest.NewRecorder(), r)
				}
				for c.until != "" && !strings.Contains(get(t, address+"/local/sessions"), `"`+c.until+`"`) {
					time.Sleep(10 * time.Millisecond)
				}
				panic(http.ErrAbortHandler)
			})
			said, status := typed(t, strings.NewReader(""), append([]string{"delete", "s-1", "--url", front}, c.args...)...)
			if status != c.status || !strings.Contains(said, c.says) {
				t.Errorf("%d\n%s", status, said)
			}
			if c.status != exitDone && strings.Contains(said, "DELETED") {
				t.Errorf("it is said to have ended\n%s", said)
			}
		})
	}
}

func TestRequestsHaveNoMoreEntriesThanAllowed(t *testing.T) {
	_, address := startSystem(t, system.Options{Parameters: map[string]string{"MaxBatchSize": "3"}})
	for i := range 7 {
		call(t, http.MethodPut, fmt.Sprintf("%s/local/hosts/%s/sessions/s-%d", address, demoHost, i), `{"Owner": "user1"}`)
	}
	said, status := typed(t, strings.NewReader("yes\n"), "delete", "--owner", "user1", "--url", address, "--wait", "--grace", "0")
	if status != exitDone || !strings.Contains(said, "7 of 7 ended") {
		t.Errorf("%d\n%s", status, said)
	}
}

func TestRefusedEntryIsReported(t *testing.T) {
	_, address := startSystem(t, system.Options{})
	call(t, http.MethodPut, address+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
	said, status := typed(t, strings.NewReader(""), "delete", "s-1", "--url", address, "--message", "Goodbye")
	if status != exitNotRun || !strings.Contains(said, "entry 0: Message would be shown to nobody, since there is no grace period") {
		t.Errorf("%d\n%s", status, said)
	}
}

// If a proxy drops the query, a dry run deletes. The program finds out only from the answer, and must say so.
func TestLostDryRunFlagIsReported(t *testing.T) {
	_, address := startSystem(t, system.Options{})
	call(t, http.MethodPut, address+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
	front := before(t, address, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		r.URL.RawQuery = ""
		pass.ServeHTTP(w, r)
	})
	said, status := typed(t, strings.NewReader(""), "delete", "s-1", "--dry-run", "--url", front)
	if status != exitNotRun || !strings.Contains(said, "THIS WAS NOT A DRY RUN") || !strings.Contains(said, "1 deletions were accepted: s-1") || strings.Contains(said, "nothing was changed") {
		t.Errorf("%d\n%s", status, said)
	}
}
