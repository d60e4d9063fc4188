package broker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

// control adds the control API: it makes hosts fail and shows what really runs
// on them. It answers to this machine only.
func (b *Broker) control(mux *http.ServeMux) {
	handle := func(pattern string, f func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !fromThisMachine(r) {
				writeMessage(w, http.StatusForbidden, "The control API answers to this machine only")
				return
			}
			answer, err := f(r)
			if err != nil {
				writeMessage(w, statusOf(err), err.Error())
				return
			}
			if answer == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			writeJSON(w, http.StatusOK, answer)
		})
	}
	handle("GET /local/hosts", func(*http.Request) (any, error) { return b.fleet.Hosts() })
	handle("GET /local/sessions", func(r *http.Request) (any, error) {
		all, err := b.store.all(r.Context())
		return append([]session.Record{}, all...), err
	})
	handle("DELETE /local/sessions/{session}", func(r *http.Request) (any, error) {
		id := r.PathValue("session")
		record, err := b.store.get(r.Context(), id)
		if err == nil && record == nil {
			err = errNoRecord
		}
		if err != nil {
			return nil, err
		}
		return nil, b.store.remove(r.Context(), id)
	})
	handle("GET /local/calls", func(*http.Request) (any, error) { return b.calls.all(), nil })
	handle("DELETE /local/calls", func(*http.Request) (any, error) {
		b.calls.reset()
		return nil, nil
	})
	handle("PUT /local/hosts/{host}/sessions/{session}", b.putSession)
	handle("PUT /local/hosts/{host}/sessions/{session}/connections", b.putConnection)
	handle("DELETE /local/hosts/{host}/sessions/{session}/connections", func(r *http.Request) (any, error) {
		return nil, b.fleet.Connect(r.PathValue("host"), r.PathValue("session"), -1)
	})
	handle("DELETE /local/hosts/{host}/sessions/{session}", func(r *http.Request) (any, error) {
		return nil, b.fleet.EndSession(r.PathValue("host"), r.PathValue("session"))
	})
	handle("POST /local/hosts/{host}/{action}", func(r *http.Request) (any, error) {
		act, ok := map[string]func(string) error{
			"stop": b.fleet.Stop, "start": b.fleet.Start,
			"disconnect": b.fleet.Disconnect, "reconnect": b.fleet.Reconnect,
			"untag": b.fleet.Untag, "tag": b.fleet.Tag,
			"stop-when-empty": b.fleet.StopWhenEmpty, "keep-when-empty": b.fleet.KeepWhenEmpty,
			"break": b.fleet.Break, "mend": b.fleet.Mend,
			"lose-events": b.fleet.LoseEvents, "deliver-events": b.fleet.DeliverEvents,
			"silence": b.fleet.Silence, "speak": b.fleet.Speak,
			"hibernate": b.fleet.Hibernate,
			"unmanage":  b.fleet.Unmanage, "manage": b.fleet.Manage,
			"take-profile": b.fleet.TakeProfile, "give-profile": b.fleet.GiveProfile,
			"downgrade": b.fleet.Downgrade, "upgrade": b.fleet.Upgrade,
		}[r.PathValue("action")]
		if !ok {
			return nil, errNoAction
		}
		return nil, act(r.PathValue("host"))
	})
	handle("POST /local/cleanup/{task}", func(r *http.Request) (any, error) {
		run, ok := b.tasks[r.PathValue("task")]
		if !ok {
			return nil, errNoTask
		}
		if err := run(r.Context()); err != nil {
			return nil, err
		}
		switch parameters := b.template.Parameters(); {
		case r.PathValue("task") == "idle" && parameters["CloseIdleAfterMinutes"] == "0":
			return map[string]string{"message": "Idle sessions are not closed: start with CLOSE_IDLE_AFTER=1m, for example"}, nil
		case r.PathValue("task") == "stop" && parameters["StopEmptyHosts"] == "false":
			return map[string]string{"message": "Empty hosts are not stopped: start with STOP_EMPTY_AFTER=5m, for example"}, nil
		}
		return nil, nil
	})
	handle("/local/cleanup/{task}", func(*http.Request) (any, error) { return nil, errNotPost })
	handle("/local/hosts/{host}/{action}", func(*http.Request) (any, error) { return nil, errNotPost })
	mux.HandleFunc("/local/", func(w http.ResponseWriter, r *http.Request) {
		writeMessage(w, http.StatusNotFound, "No such control; see README.md, \"The control API\"")
	})
}

var (
	errNoAction = errors.New("no such action: stop, start, hibernate, disconnect, reconnect, untag, tag, stop-when-empty, keep-when-empty, " +
		"break, mend, lose-events, deliver-events, silence, speak, unmanage, manage, take-profile, give-profile, downgrade or upgrade")
	errNoRecord = errors.New("the table has no such session")
	errNoTask   = errors.New("no such task: deletions, inventory, idle or stop")
	errNotPost  = errors.New("only POST does that")
	errBadAway  = errors.New(`the body must be {"Away": "10m"}, or nothing for no time`)
	errBadBody  = errors.New(`the body must be {"Owner": string, "Type": "console" or "virtual", "Registered": boolean}`)
)

func statusOf(err error) int {
	switch {
	case errors.Is(err, fleet.ErrUnknownHost), errors.Is(err, fleet.ErrUnknownSession), errors.Is(err, errNoAction), errors.Is(err, errNoTask), errors.Is(err, errNoRecord):
		return http.StatusNotFound
	case errors.Is(err, errNotPost):
		return http.StatusMethodNotAllowed
	case errors.Is(err, fleet.ErrStopped):
		return http.StatusConflict
	case errors.Is(err, fleet.ErrInvalid), errors.Is(err, errBadBody), errors.Is(err, errBadAway):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

func fromThisMachine(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// putConnection has a user be connected, who does nothing from then on.
func (b *Broker) putConnection(r *http.Request) (any, error) {
	want := struct{ Away string }{"0s"}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&want); err != nil && err != io.EOF {
		return nil, errBadAway
	}
	away, err := time.ParseDuration(want.Away)
	if err != nil || away < 0 {
		return nil, errBadAway
	}
	return nil, b.fleet.Connect(r.PathValue("host"), r.PathValue("session"), away)
}

// putSession starts a session on a host, and the host if it is new, and lists
// it in the table unless the body says otherwise.
func (b *Broker) putSession(r *http.Request) (any, error) {
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
	started, err := b.fleet.StartSession(hostID, fleet.Session{
		ID: r.PathValue("session"), Owner: want.Owner, Type: want.Type, CreationTime: want.CreationTime,
	})
	if err != nil {
		return nil, err
	}
	if want.Registered {
		if err := b.list(r.Context(), hostID, started); err != nil {
			return nil, err
		}
	}
	return started, nil
}

// list puts a session into the table. The automatic console is called "console"
// on every host, and two hosts can use one ID for sessions of their own: in the
// table the host's ID behind it tells them apart.
func (b *Broker) list(ctx context.Context, hostID string, s fleet.Session) error {
	listed := session.Session{
		ID:           s.ID,
		Owner:        s.Owner,
		HostID:       hostID,
		Type:         s.Type,
		CreationTime: s.CreationTime,
		FirstSeenAt:  b.now(),
	}
	taken, err := b.store.get(ctx, s.ID)
	if err != nil {
		return err
	}
	holder := taken.Session()
	if s.ID == "console" || taken != nil && holder.State != session.Deleted && holder.HostID != hostID {
		listed.ID, listed.DCVID = s.ID+"-"+hostID, s.ID
	}
	return b.store.put(ctx, session.Listed(listed))
}
