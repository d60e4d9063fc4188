package sim

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// A listQuery is a question to describeSessions.
type listQuery struct {
	SessionIds []string   `json:",omitempty"`
	Filters    []keyValue `json:",omitempty"`
	MaxResults int        `json:",omitempty"`
	Details    bool       `json:",omitempty"`

	owner, host string // of the filters
}

type keyValue struct{ Key, Value string }

func (w *world) anyListQuery() (q listQuery) {
	switch w.dice.below(5) {
	case 1:
		q.SessionIds = []string{"s1", "s2", "s9"}
	case 2:
		q.owner = "alice"
	case 3:
		q.MaxResults = 2
	case 4:
		q.host = oneOf(w.dice, w.machines).id
		if w.dice.chance(30 * percent) {
			q.owner = "alice"
		}
		if w.dice.chance(30 * percent) {
			q.SessionIds = []string{"s1", "s2", "s3", "s9"}
		}
	}
	q.Details = w.dice.chance(50 * percent)
	for _, f := range []keyValue{{"owner", q.owner}, {"host", q.host}} {
		if f.Value != "" {
			q.Filters = append(q.Filters, f)
		}
	}
	return q
}

func (w *world) describe() {
	q := w.anyListQuery()
	text, err := json.Marshal(q)
	if err != nil {
		panic(err)
	}
	body := string(text)
	if body == "{}" {
		body = ""
	}
	var resp events.APIGatewayV2HTTPResponse
	w.start("describe-sessions", func(inv *invocation) {
		w.aside(inv, "describeSessions %s", body)
		var err error
		resp, err = w.describeSessions(inv).Handle(lambdaContext(inv), events.APIGatewayV2HTTPRequest{Body: body})
		if err != nil {
			panic(err)
		}
	}, func(inv *invocation) {
		w.say(inv, "answers %d %s", resp.StatusCode, resp.Body)
		w.described(inv, q, resp)
	}, func(*invocation) {})
}

// A shownSession is one in an answer of describeSessions.
type shownSession struct {
	ID     string `json:"Id"`
	Owner  string
	State  session.State
	Server struct {
		ID string `json:"Id"`
	}
	details
}

type details struct {
	DeletionRequestedAt, DeletionRequestedBy string
	DeletionRequestID                        string `json:"DeletionRequestId"`
	DeletionReason, CloseAt, Warning         string
	Attempts                                 int64
	AttemptedAt, NextAttemptAt, Confirmation string
	LastSeenTime                             time.Time
}

// described compares an answer of describeSessions with the table: the sessions shown are
// there and match the filters, and all sessions of a host that the filter names are
// shown.
func (w *world) described(inv *invocation, q listQuery, resp events.APIGatewayV2HTTPResponse) {
	if resp.StatusCode == 503 && inv.faulty {
		return
	}
	var shown struct {
		Sessions  []shownSession
		NextToken string
	}
	if err := json.Unmarshal([]byte(resp.Body), &shown); err != nil || resp.StatusCode != 200 {
		w.breaks(7, "%s answers %d: %s", inv, resp.StatusCode, resp.Body)
	}
	for _, s := range shown.Sessions {
		r := w.table.Get(s.ID)
		if r == nil {
			w.breaks(7, "%s shows %s, which is not in the table", inv, s.ID)
		}
		if q.owner != "" && s.Owner != q.owner {
			w.breaks(4, "%s shows a session of %s to those who ask for %s's", inv, s.Owner, q.owner)
		}
		if q.host != "" && s.Server.ID != q.host {
			w.breaks(7, "%s shows %s, which is on %s, to those who ask for %s", inv, s.ID, s.Server.ID, q.host)
		}
		if w.asBefore(inv, s.ID) && q.host != "" && liveHostOf(r) != q.host {
			w.breaks(7, "%s shows %s, which does not live, as on %s", inv, s.ID, q.host)
		}
		if !q.Details && s.details != (details{}) {
			w.breaks(7, "%s shows details of %s, and nobody asked", inv, s.ID)
		}
		if w.asBefore(inv, s.ID) {
			w.showsState(inv, s, r.Session())
		}
		if q.Details && w.asBefore(inv, s.ID) {
			w.detailed(inv, s, r)
		}
	}
	if q.host != "" && shown.NextToken == "" {
		w.allOfHost(inv, q, shown.Sessions)
	}
}

// showsState checks the state shown: until its close time a session has the state from
// before its deletion, since it can be used; from then on DELETING.
func (w *world) showsState(inv *invocation, shown shownSession, s session.Session) {
	switch {
	case waits(s) && w.now().Before(s.CloseAt):
		if shown.State != s.StateBefore {
			w.breaks(12, "%s shows %s as %s, which can be used until %s", inv, s.ID, shown.State, s.CloseAt)
		}
	case waits(s) && inv.started.Before(s.CloseAt):
	case shown.State != s.State:
		w.breaks(7, "%s shows %s as %s, which is %s", inv, s.ID, shown.State, s.State)
	}
}

// allOfHost checks that every session that lives on the host of the filter is shown.
func (w *world) allOfHost(inv *invocation, q listQuery, shown []shownSession) {
	for r := range w.livingOn(q.host) {
		s := r.Session()
		is := func(of shownSession) bool { return of.ID == s.ID }
		meets := (len(q.SessionIds) == 0 || slices.Contains(q.SessionIds, s.ID)) && (q.owner == "" || s.Owner == q.owner)
		expired := s.ExpiresAt != 0 && s.ExpiresAt <= w.now().Unix()
		if meets && s.State != "" && !expired && w.asBefore(inv, s.ID) && !slices.ContainsFunc(shown, is) {
			w.breaks(7, "%s does not show %s, which lives on %s", inv, s.ID, q.host)
		}
	}
}

// asBefore tells whether every read of the record by the invocation gave its current
// value.
func (w *world) asBefore(inv *invocation, id string) bool {
	return w.shownSince(id, inv.started)
}

// detailed compares the details of a session with its record and with the hosts' answers.
func (w *world) detailed(inv *invocation, s shownSession, r session.Record) {
	text := func(attr string) string { t, _ := r[attr].(string); return t }
	attempts, _ := r[session.AttrAttempts].(int64)
	want := details{
		DeletionRequestedAt: text(session.AttrDeletionRequestedAt), DeletionRequestedBy: text(session.AttrDeletionRequestedBy),
		DeletionReason: text(session.AttrDeletionReason), CloseAt: text(session.AttrCloseAt), Warning: text(session.AttrWarning),
		DeletionRequestID: text(session.AttrDeletionRequestID), Attempts: attempts, AttemptedAt: text(session.AttrAttemptedAt),
		NextAttemptAt: text(session.AttrNextAttemptAt), Confirmation: text(session.AttrConfirmation), LastSeenTime: s.LastSeenTime,
	}
	if s.details != want {
		w.breaks(7, "%s shows details of %s: %+v, and they are %+v", inv, s.ID, s.details, want)
	}
	of := r.Session()
	itsOwn := s.LastSeenTime.Equal(of.FirstSeenAt) && !of.ObservedAt.After(of.FirstSeenAt) ||
		s.LastSeenTime.Equal(of.ObservedAt) && !of.FirstSeenAt.After(of.ObservedAt)
	since := func(n noted) bool {
		return n.sentAt.Equal(s.LastSeenTime) && n.sentAt.After(of.FirstSeenAt) && n.sentAt.After(of.ObservedAt)
	}
	if !itsOwn && (of.State != session.Ready && !waits(of) || !slices.ContainsFunc(w.model.noted[of.HostID], since)) {
		w.breaks(7, "%s shows that %s was last seen at %v, and no inventory was sent then that it was in", inv, s.ID, s.LastSeenTime)
	}
}
