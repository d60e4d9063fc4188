package system

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/page"
	"dcv-session-broker/internal/session"
)

// control adds the control API, which makes hosts fail and shows what really runs on
// them. It answers only this machine.
func (sys *System) control(mux *http.ServeMux) {
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.Handle(pattern, toThisMachine(func(w http.ResponseWriter, r *http.Request) {
			at := time.Now()
			answer, err := f(r)
			if r.Method != http.MethodGet {
				sys.feed.Poke()
				sys.endMillisecond()
			}
			if err != nil {
				writeMessage(w, statusOf(err), err.Error())
				return
			}
			sys.tellAction(at, r)
			if answer == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			writeJSON(w, http.StatusOK, answer)
		}))
	}
	sys.look(handle)
	handle("GET /local/hosts", func(*http.Request) (any, error) { return sys.fleet.Hosts() })
	handle("GET /local/notices", func(*http.Request) (any, error) { return sys.fleet.Notices() })
	handle("GET /local/sessions", func(r *http.Request) (any, error) {
		all, err := sys.store.all(r.Context())
		return append([]session.Record{}, all...), err
	})
	handle("DELETE /local/sessions/{session}", func(r *http.Request) (any, error) {
		id := r.PathValue("session")
		record, err := sys.store.get(r.Context(), id)
		if err == nil && record == nil {
			err = errNoRecord
		}
		if err != nil {
			return nil, err
		}
		return nil, sys.store.remove(r.Context(), id)
	})
	mux.Handle("GET /local/events", toThisMachine(sys.feed.Stream))
	handle("GET /local/stories/{session}", func(r *http.Request) (any, error) { return sys.stories.Of(r.PathValue("session")), nil })
	handle("POST /local/clock", sys.setClock)
	handle("GET /local/calls", func(*http.Request) (any, error) { return sys.calls.all(), nil })
	handle("DELETE /local/calls", func(*http.Request) (any, error) {
		sys.calls.reset()
		return nil, nil
	})
	handle("PUT /local/hosts/{host}/sessions/{session}", sys.putSession)
	handle("PUT /local/hosts/{host}/sessions/{session}/connections", sys.putConnections)
	handle("DELETE /local/hosts/{host}/sessions/{session}/connections", func(r *http.Request) (any, error) {
		return nil, sys.fleet.Connect(r.PathValue("host"), r.PathValue("session"), 0, 0)
	})
	handle("DELETE /local/hosts/{host}/sessions/{session}", func(r *http.Request) (any, error) {
		return nil, sys.fleet.EndSession(r.PathValue("host"), r.PathValue("session"))
	})
	handle("POST /local/hosts/{host}/owner-tag", sys.setOwnerTag)
	handle("POST /local/hosts/{host}/{action}", func(r *http.Request) (any, error) {
		act, ok := hostActions[r.PathValue("action")]
		if !ok {
			return nil, errNoAction
		}
		return nil, act(sys.fleet, r.PathValue("host"))
	})
	handle("POST /local/cleanup/{task}", func(r *http.Request) (any, error) {
		run, ok := sys.tasks[r.PathValue("task")]
		if !ok {
			return nil, errNoTask
		}
		if r.PathValue("task") == "close" {
			return sys.closeByRule(run, r)
		}
		if _, err := run(r.Context(), nil); err != nil {
			return nil, err
		}
		switch parameters := sys.template.Parameters(); {
		case r.PathValue("task") == "idle" && parameters["CloseIdleAfterMinutes"] == "0":
			return map[string]string{"message": "Idle sessions are not closed: start with CLOSE_IDLE_AFTER=1m, for example"}, nil
		case r.PathValue("task") == "stop" && parameters["StopEmptyHosts"] == "false":
			return map[string]string{"message": "Empty hosts are not stopped: start with STOP_EMPTY_AFTER=5m, for example"}, nil
		}
		return nil, nil
	})
	handle("POST /local/broadcasts/{action}", func(r *http.Request) (any, error) {
		how, ok := map[string]string{"end": "RateExceeded", "deliver": ""}[r.PathValue("action")]
		if !ok {
			return nil, errNoBroadcasts
		}
		sys.fleet.EndBroadcasts(how)
		return nil, nil
	})
	handle("/local/broadcasts/{action}", func(*http.Request) (any, error) { return nil, errNotPost })
	handle("/local/cleanup/{task}", func(*http.Request) (any, error) { return nil, errNotPost })
	handle("/local/hosts/{host}/{action}", func(*http.Request) (any, error) { return nil, errNotPost })
	for _, end := range []string{"", "/"} { // SDKs differ; the protocols do not use the path
		mux.Handle("/local/ssm"+end, toThisMachine(sys.SystemsManager().ServeHTTP))
		mux.Handle("/local/ec2"+end, toThisMachine(sys.EC2().ServeHTTP))
	}
	mux.HandleFunc("/local/", func(w http.ResponseWriter, r *http.Request) {
		writeMessage(w, http.StatusNotFound, "No such control; see internal/local/README.md, \"The control API\"")
	})
}

var (
	errNoAction     = errors.New("no such action: " + strings.Join(slices.Sorted(maps.Keys(hostActions)), ", "))
	errNoRecord     = errors.New("the table has no such session")
	errNoTask       = errors.New("no such task: deletions, inventory, idle, stop or close")
	errNoBroadcasts = errors.New("no such action: end or deliver")
	errNotPost      = errors.New("only POST does that")
	errBadUsers     = errors.New(`the body must be {"Connections": 0 to 100, "Away": "10m"}, or nothing for one that is not away`)
	errBadOwner     = errors.New(`the body must be {"Owner": string}, or nothing for ` + defaultOwnerTag)
	errBadClock     = errors.New(`the body must be {"Ahead": "2m"}, 24h at most`)
	errNoRule       = errors.New(`the body must be a rule, like those of events/cleanup-close*.json`)
	errBadBody      = errors.New(`the body must be {"Owner": string, "Type": "console" or "virtual", "Registered": boolean}`)
)

func statusOf(err error) int {
	switch {
	case errors.Is(err, fleet.ErrUnknownHost), errors.Is(err, fleet.ErrUnknownSession), errors.Is(err, errNoAction), errors.Is(err, errNoTask), errors.Is(err, errNoBroadcasts), errors.Is(err, errNoRecord):
		return http.StatusNotFound
	case errors.Is(err, errNotPost):
		return http.StatusMethodNotAllowed
	case errors.Is(err, fleet.ErrStopped):
		return http.StatusConflict
	case errors.Is(err, fleet.ErrInvalid), errors.Is(err, errBadBody), errors.Is(err, errBadUsers), errors.Is(err, errBadClock), errors.Is(err, errBadOwner), errors.Is(err, errNoRule):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// toThisMachine answers only requests that page.Guard accepts.
func toThisMachine(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := page.Guard(r); err != nil {
			writeMessage(w, http.StatusForbidden, err.Error())
			return
		}
		answer(w, r)
	})
}

// closeByRule runs the rule in the body, or, without a body, the rule of MaxSessionHours.
func (sys *System) closeByRule(run task, r *http.Request) (any, error) {
	event, err := io.ReadAll(r.Body)
	var rule struct{ Task string }
	switch {
	case err != nil,
		len(event) == 0 && sys.template.Parameters()["MaxSessionHours"] == "0",
		len(event) > 0 && (json.Unmarshal(event, &rule) != nil || rule.Task != "close"): // the function would run another task
		return nil, errNoRule
	}
	answer, err := run(r.Context(), event)
	return json.RawMessage(answer), err
}

// setClock sets the clock forward, and then runs due deletions, if they have a schedule: it would have run meanwhile.
func (sys *System) setClock(r *http.Request) (any, error) {
	var want struct{ Ahead string }
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil {
		return nil, errBadClock
	}
	d, err := time.ParseDuration(want.Ahead)
	if err != nil || d < 0 || d > 24*time.Hour {
		return nil, errBadClock
	}
	sys.Advance(d)
	sys.awaitHostEvents(r.Context())
	if sys.scheduled["deletions"] {
		if _, err := sys.tasks["deletions"](r.Context(), nil); err != nil {
			return nil, err
		}
	}
	return map[string]time.Time{"Now": sys.now()}, nil
}

// awaitHostEvents waits until the functions have received the events of the moment, two seconds at most: a message that
// failed stays in its queue. A due deletion would be claimed before the event that says why its attempt failed.
func (sys *System) awaitHostEvents(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for _, q := range sys.queues {
		for len(q.Bodies()) > 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// setOwnerTag gives a host the tag DcvOwner.
func (sys *System) setOwnerTag(r *http.Request) (any, error) {
	want := struct{ Owner string }{defaultOwnerTag}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil && err != io.EOF || want.Owner == "" {
		return nil, errBadOwner
	}
	return nil, sys.fleet.SetOwnerTag(r.PathValue("host"), want.Owner)
}

// putConnections connects users to a session. From then on they do nothing.
func (sys *System) putConnections(r *http.Request) (any, error) {
	want := struct {
		Connections int
		Away        string
	}{1, "0s"}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil && err != io.EOF {
		return nil, errBadUsers
	}
	away, err := time.ParseDuration(want.Away)
	if err != nil || away < 0 || want.Connections < 0 || want.Connections > 100 {
		return nil, errBadUsers
	}
	return nil, sys.fleet.Connect(r.PathValue("host"), r.PathValue("session"), want.Connections, away)
}

// putSession starts a session on a host, and a new host first. It lists the session in
// the table, unless the body says otherwise.
func (sys *System) putSession(r *http.Request) (any, error) {
	want := struct {
		Owner, Type, CreationTime string
		Registered                bool
	}{Type: "virtual", Registered: true}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil && err != io.EOF || want.Owner == "" {
		return nil, errBadBody
	}
	hostID := r.PathValue("host")
	started, err := sys.fleet.StartSession(hostID, fleet.Session{
		ID: r.PathValue("session"), Owner: want.Owner, Type: want.Type, CreationTime: want.CreationTime,
	})
	if err != nil {
		return nil, err
	}
	if want.Registered {
		if err := sys.list(r.Context(), hostID, started); err != nil {
			return nil, err
		}
	}
	return started, nil
}

// list puts a session into the table, under the ID that an inventory would give it. It
// does not replace a record that is being deleted, since that would lose an accepted
// deletion. An inventory lists the new session after the deletion has ended.
func (sys *System) list(ctx context.Context, hostID string, s fleet.Session) error {
	there, err := sys.store.get(ctx, s.ID)
	if err != nil {
		return err
	}
	now := sys.now()
	id := session.ListedID(s.ID, hostID, there.Session(), now)
	if id != s.ID {
		if there, err = sys.store.get(ctx, id); err != nil {
			return err
		}
	}
	if there.Session().State == session.Deleting {
		return nil
	}
	record := session.Listed(session.Session{
		ID:           id,
		DCVID:        s.ID,
		Owner:        s.Owner,
		HostID:       hostID,
		Type:         s.Type,
		CreationTime: s.CreationTime,
		FirstSeenAt:  now,
	})
	sys.writers.wrote(ControlAPI, session.Write{SessionID: id, New: true, Set: record})
	return sys.store.put(ctx, record)
}
