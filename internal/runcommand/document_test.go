package runcommand_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// realDocument is the close document of template.yaml.
func realDocument(t *testing.T) []template.Document {
	t.Helper()
	return templatetest.Load(t, nil).Documents()
}

// The two ends of this package's language, with the real script between them:
// whatever the ID is, the host closes that session and says so, and no other.
func TestHostsUnderstandWhatIsAsked(t *testing.T) {
	hostile := []string{
		"s1", "a b", "a/b@1~2,c;d=e%41", `$(touch /tmp/x)`, "`id`", `"; reboot; "`, `'; reboot; '`, "{{ ssm:secret }}", "é€𝄞", "back\\slash", "tab\there", "*", "~",
	}
	for _, oldAgent := range []bool{false, true} {
		sm := systemsManagerWith(t, fleet.Options{Documents: realDocument(t), OldAgent: oldAgent}, 0)
		a := session.Attempt{ID: attemptID, At: time.Now()}
		for n, id := range hostile {
			created := []string{"2026-05-13T13:21:19.262883Z", "2026-03-02T16:08:50Z", ""}[n%3]
			s := sm.start(hostID(0), fleet.Session{ID: id, Owner: "alice", CreationTime: created})
			if n%3 == 2 {
				s.CreationTime = "" // as if it had not been recorded
			}
			a.Closings = append(a.Closings, session.Closing{
				Incarnation: session.Incarnation{SessionID: id, NameOnHost: id, HostID: hostID(0), CreationTime: s.CreationTime, CreatedUntil: time.Now().Add(time.Minute)},
				VoidAfter:   a.At.Add(time.Hour),
			})
		}
		sm.start(hostID(0), fleet.Session{ID: "stays", Owner: "alice"})
		sm.start(hostID(1), fleet.Session{ID: "s1", Owner: "alice"})

		for _, err := range sm.sender().Close(t.Context(), a) {
			if err != nil {
				t.Fatal(err)
			}
		}
		inv := sm.read(sm.await(1)[0].commandID, 1)[hostID(0)]
		closedIDs := ids(inv.Reports)
		slices.Sort(closedIDs)
		slices.Sort(hostile)
		if !slices.Equal(closedIDs, hostile) || inv.Unreadable > 0 {
			t.Errorf("reports of %q, %d unreadable lines", closedIDs, inv.Unreadable)
		}
		for _, r := range inv.Reports {
			if r.Outcome != session.OutcomeClosed || r.AttemptID != attemptID || r.HostID != hostID(0) {
				t.Errorf("report %+v", r)
			}
		}
		if left := sm.running(hostID(0)); !slices.Equal(left, []string{"stays"}) {
			t.Errorf("host 0 still runs %q", left)
		}
		if left := sm.running(hostID(1)); !slices.Equal(left, []string{"s1"}) {
			t.Errorf("host 1 runs %q", left)
		}
	}
}

// Promise 5: host 1 says that it closed the session of host 0.
func TestHostConfirmsOnlyItsOwnSessions(t *testing.T) {
	sm := newSystemsManager(t, `if [ $AWS_SSM_INSTANCE_ID = `+hostID(1)+` ]; then echo '{"id":"s0","result":"closed"}'; echo '{"id":"s1","result":"closed"}'; fi`+"\n", 2)
	table := memtable.New()
	for n := range 2 {
		table.Put(session.Listed(session.Session{ID: sessionID(n), Owner: "alice", HostID: hostID(n)}))
	}
	log := slog.New(slog.DiscardHandler)
	d := session.Deleter{Table: table, Closer: sm.sender(), GiveUp: time.Hour, Log: log}
	_, err := d.Delete(t.Context(), session.Request{ID: attemptID, By: "alice", At: time.Now(), Entries: []session.Entry{
		{SessionID: "s0", Owner: "alice"}, {SessionID: "s1", Owner: "alice"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c := session.Confirmer{Table: table, Now: time.Now, Log: log}
	for _, inv := range sm.read(sm.await(2)[0].commandID, 2) {
		for _, err := range c.Apply(context.Background(), inv.Reports) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if table.Get("s0")["Confirmation"] != nil || table.Get("s1")["Confirmation"] != "closed" {
		t.Errorf("s0: %v\ns1: %v", table.Get("s0"), table.Get("s1"))
	}
}
