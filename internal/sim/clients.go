package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/session"
)

// A request is a client's request, and what the model knows of it.
type request struct {
	inv     *invocation
	entries []entry
	dryRun  bool
	bad     bool // not a valid request
	at      time.Time

	groups map[group]bool            // the deletions asked for: forced or not
	before map[string]session.Record // its own mark, by session
	marked map[string]bool           // by session
	owned  map[group]bool            // while it was under way, the session was that owner's
	denied map[group]bool            // was answered that nothing was changed
	gone   map[group]bool            // while it was under way, that owner had no such session to delete

	ofGone bool // repeats one that was refused because of a host that is gone

	grace map[group]time.Duration // as it is asked for, or set
	asked map[group]entry         // one entry of each group: the new fields of its entries are equal

	// Of cancels, by session: what it has cancelled, and what users are to be told.
	cancelled map[string]*deletion
	toTell    map[string]*notice
}

type entry struct {
	SessionID    string `json:"SessionId"`
	Owner        string
	Force        bool   `json:",omitempty"`
	GracePeriod  *int   `json:"GracePeriodSeconds,omitempty"`
	Message      string `json:",omitempty"`
	Reason       string `json:",omitempty"`
	HostID       string `json:"HostId,omitempty"`
	CreationTime string `json:",omitempty"`
	RequestID    string `json:"RequestId,omitempty"` // of a cancel
}

// isNew tells whether the entry has a field that older brokers do not know.
func (e entry) isNew() bool {
	return e != entry{SessionID: e.SessionID, Owner: e.Owner, Force: e.Force}
}

type group struct{ sessionID, owner string }

// client sends a client's request.
func (w *world) client() {
	switch n := w.dice.below(100); {
	case n < 10:
		w.describe()
	case n < 16:
		w.ask(w.anyEntries(), true)
	case n < 18:
		w.askInvalid()
	case n < 18+w.setup.cancels:
		w.anyCancel()
	case n < 18+w.setup.cancels+22 && w.underWay() != nil: // another client requests the same
		w.ask(w.likewise(w.underWay().entries), false)
	default:
		w.ask(w.anyEntries(), false)
	}
}

// underWay returns the newest request without an answer.
func (w *world) underWay() *request {
	for _, inv := range slices.Backward(w.running) {
		if r := inv.request; r != nil && len(r.entries) > 0 {
			return r
		}
	}
	return nil
}

// likewise asks for the same sessions, some of them with another grace period.
func (w *world) likewise(entries []entry) []entry {
	if w.setup.graceEntries == 0 || w.other.chance(50*percent) {
		return entries
	}
	known := map[group]entry{}
	var again []entry
	for _, e := range entries {
		g := group{e.SessionID, e.Owner}
		if _, is := known[g]; !is && !e.Force {
			e = entry{SessionID: e.SessionID, Owner: e.Owner}
			w.addGrace(&e)
			known[g] = e
		}
		if _, is := known[g]; is {
			e = known[g]
		}
		again = append(again, e)
	}
	return again
}

func (w *world) anyEntries() (entries []entry) {
	known := w.records()
	forcedness := oneOf(w.dice, []int{0, 0, 30 * percent, 100 * percent})
	for range 1 + w.dice.below(5) {
		e := entry{SessionID: w.anyName(), Owner: oneOf(w.dice, owners), Force: w.dice.chance(forcedness)}
		if len(known) > 0 && !w.dice.chance(10*percent) {
			s := oneOf(w.dice, known).Session()
			e.SessionID, e.Owner = s.ID, s.Owner
			if w.dice.chance(10 * percent) {
				e.Owner = "mallory"
			}
		}
		if i := slices.IndexFunc(entries, func(o entry) bool { return o.SessionID == e.SessionID && o.Owner == e.Owner }); i >= 0 {
			e = entries[i] // their new fields must not differ
		} else {
			w.addGrace(&e)
		}
		entries = append(entries, e)
		if w.dice.chance(10 * percent) {
			again := e
			again.Force = !e.isNew() && (again.Force || w.dice.chance(30*percent))
			entries = append(entries, again)
		}
	}
	return entries
}

// ask sends deleteSessions in the form that API Gateway gives it.
func (w *world) ask(entries []entry, dryRun bool) *request {
	body, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	r := w.newRequest()
	r.dryRun = dryRun
	r.asks(w, entries)
	w.send(r, string(body))
	return r
}

// asks notes the deletions that a request asks for.
func (r *request) asks(w *world, entries []entry) {
	r.entries = entries
	for _, e := range entries {
		g := group{e.SessionID, e.Owner}
		r.groups[g] = r.groups[g] || e.Force
		r.asked[g] = e
		rec := w.table.Get(e.SessionID)
		r.owned[g] = rec != nil && rec[session.AttrOwner] == e.Owner
		r.gone[g] = !r.owned[g] || rec[session.AttrState] == string(session.Deleted)
	}
}

// event returns the request in the form that API Gateway gives it.
func (r *request) event(body string) events.APIGatewayV2HTTPRequest {
	req := events.APIGatewayV2HTTPRequest{Body: body}
	if r.dryRun {
		req.QueryStringParameters = map[string]string{"dryRun": "true"}
		req.RawQueryString = "dryRun=true"
	}
	return req
}

// askInvalid sends an invalid request, which may change nothing.
func (w *world) askInvalid() {
	body := oneOf(w.dice, []string{`{"SessionId":"s1"}`, `[{"SessionId":"s1"}]`, `[{"SessionId":"s1","Owner":"alice"},{"SessionId":7,"Owner":"alice"}]`, ``, `[`})
	r := w.newRequest()
	r.bad = true
	w.send(r, body)
}

func (w *world) newRequest() *request {
	return &request{
		at: w.now(), groups: map[group]bool{}, before: map[string]session.Record{},
		owned: map[group]bool{}, gone: map[group]bool{}, denied: map[group]bool{}, marked: map[string]bool{},
		grace: map[group]time.Duration{}, asked: map[group]entry{}, cancelled: map[string]*deletion{}, toTell: map[string]*notice{},
	}
}

func (w *world) send(r *request, body string) {
	var resp events.APIGatewayV2HTTPResponse
	w.start("delete-sessions", func(inv *invocation) {
		r.inv, inv.request = inv, r
		r.setGrace()
		if inv.older && len(r.entries) > 0 {
			body = asOlderBody(r.entries)
		}
		w.aside(inv, "deleteSessions (dry run: %t) %s", r.dryRun, body)
		w.model.requests[inv.id] = r
		var err error
		resp, err = w.deleteSessions(inv).Handle(lambdaContext(inv), r.event(body))
		if err != nil {
			panic(err)
		}
	}, func(inv *invocation) {
		w.say(inv, "answers %d %s", resp.StatusCode, resp.Body)
		w.answered(r, resp)
		if resp.StatusCode == 503 && w.dice.chance(50*percent) {
			w.ask(r.entries, r.dryRun)
		}
	}, func(*invocation) {
		if !w.calm && !r.bad && w.dice.chance(40*percent) { // the client asks again
			w.after(w.dice.between(0, 30*time.Second), func() { w.ask(r.entries, r.dryRun) })
		}
	})
}

func lambdaContext(inv *invocation) context.Context {
	return lambdacontext.NewContext(inv.ctx, &lambdacontext.LambdaContext{AwsRequestID: inv.id})
}

// goneHost is an instance that neither EC2 nor the Hosts table knows.
const goneHost = "i-0000000000000dead"

// oddRecords puts records into the table that no inventory made.
func (w *world) oddRecords() {
	if w.meets(tableRestored) {
		s := session.Session{ID: "old", Owner: oneOf(w.dice, owners), HostID: goneHost, Type: "virtual", FirstSeenAt: w.now().Add(-24 * time.Hour)}
		w.table.Put(session.Listed(s))
		w.look(nil)
	}
	for w.meets(recordOdd) {
		m := oneOf(w.dice, w.machines)
		s := session.Session{ID: fmt.Sprintf("odd%d", w.events), Owner: oneOf(w.dice, owners), HostID: m.id, Type: "virtual"}
		kind := w.dice.below(5)
		if w.setup.staleFor > time.Second {
			kind = 4
		}
		switch kind {
		case 0:
			s.HostID = ""
		case 1:
			s.HostID = "somewhere"
		case 2: // its incarnation is not recorded
			if len(m.sessions) > 0 {
				d := oneOf(w.dice, m.sessions)
				if d.kind != "console" {
					s.ID, s.Owner = d.name, d.owner
				}
			}
		}
		r := session.Listed(s)
		if kind == 4 {
			r = w.endedRecord(s)
		}
		if s.HostID == "" {
			delete(r, session.AttrLiveHostID)
		}
		if id := r[session.AttrSessionID].(string); w.table.Get(id) == nil {
			w.table.Put(r)
			w.say("somebody", "FAULT: %s: %v", recordOdd, r[session.AttrSessionID])
			if kind == 4 {
				w.newChanges(time.Time{}) // it has long been announced
			}
			w.look(nil)
		}
	}
}

// endedRecord returns the record of a session of that host that ended almost two days
// ago, under a name that other hosts use, too. It expires within the run, and the table
// removes it some time later.
func (w *world) endedRecord(s session.Session) session.Record {
	s.ID = w.anyName()
	if others := oneOf(w.dice, w.machines); others.id != s.HostID && len(others.sessions) > 0 {
		s.ID = others.sessions[len(others.sessions)-1].name
	}
	r := session.Listed(s)
	delete(r, session.AttrLiveHostID)
	left := w.dice.between(0, 90*time.Second)
	ended := w.now().Add(left - session.KeepDeleted)
	r[session.AttrState] = string(session.Deleted)
	r[session.AttrConfirmation] = string(session.Closed)
	r[session.AttrDeletedAt] = session.FormatTime(ended)
	r[session.AttrExpiresAt] = ended.Add(session.KeepDeleted).Unix()
	w.after(left+time.Second+w.dice.between(0, 20*time.Minute), func() {
		w.say("table", "removes what has expired")
		w.table.Sweep(w.now())
		w.look(nil)
	})
	return r
}
