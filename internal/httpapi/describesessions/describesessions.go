// Package describesessions is the function behind POST /describeSessions: it parses the
// query, and answers a page of sessions in Session Manager's shape, and where the next
// page begins.
package describesessions

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct{ SessionsTable, HostsTable, FleetTag, IndexStep string }

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable: env.Text("SESSIONS_TABLE"), HostsTable: env.Text("HOSTS_TABLE"), FleetTag: env.Text("FLEET_TAG_VALUE"),
		IndexStep: env.IndexStep(),
	}
}

// Parts are the function's dependencies.
type Parts struct {
	Reader session.Reader
	Notes  session.HostNotes
	Now    func() time.Time
	Log    *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	p.Now = session.Clock(p.Now)
	return &Handler{
		Describer: &session.Describer{Reader: p.Reader, Notes: p.Notes, Now: p.Now}, FleetTag: s.FleetTag, Log: p.Log,
	}
}

// A Handler handles POST /describeSessions.
type Handler struct {
	Describer *session.Describer
	// FleetTag is the value that the tag DcvFleet has on every host.
	FleetTag string
	Log      *slog.Logger
}

// describeAnswer is the body of a 200, in the shape of Session Manager's
// DescribeSessions.
type describeAnswer struct {
	RequestID string            `json:"RequestId"`
	Sessions  []json.RawMessage `json:"Sessions"` // of described
	NextToken string            `json:"NextToken,omitempty"`
}

type described struct {
	ID                    string        `json:"Id"`
	Name                  string        `json:"Name,omitempty"`
	Owner                 string        `json:"Owner"`
	Server                *server       `json:"Server,omitempty"`
	Type                  string        `json:"Type,omitempty"`
	State                 session.State `json:"State"`
	StateReason           string        `json:"StateReason,omitempty"`
	CreationTime          string        `json:"CreationTime,omitempty"`
	LastDisconnectionTime string        `json:"LastDisconnectionTime,omitempty"`
	NumOfConnections      int64         `json:"NumOfConnections"`

	// Only if the query asks for them: clients of Session Manager do not know them.
	DeletionRequestedAt string               `json:"DeletionRequestedAt,omitempty"`
	DeletionRequestedBy string               `json:"DeletionRequestedBy,omitempty"`
	DeletionRequestID   string               `json:"DeletionRequestId,omitempty"`
	DeletionReason      string               `json:"DeletionReason,omitempty"`
	CloseAt             string               `json:"CloseAt,omitempty"`
	Warning             string               `json:"Warning,omitempty"`
	Attempts            int64                `json:"Attempts,omitempty"`
	AttemptedAt         string               `json:"AttemptedAt,omitempty"`
	NextAttemptAt       string               `json:"NextAttemptAt,omitempty"`
	Confirmation        session.Confirmation `json:"Confirmation,omitempty"`
	LastSeenTime        string               `json:"LastSeenTime,omitempty"`
}

type server struct {
	ID   string      `json:"Id"`
	Host *serverHost `json:"Host,omitempty"`
	Tags []tag       `json:"Tags"`
}

type tag struct{ Key, Value string }

type serverHost struct {
	AWS serverAWS `json:"Aws"`
}

type serverAWS struct {
	EC2InstanceID string `json:"EC2InstanceId"`
}

// maxAnswerBytes of sessions stay within Lambda's limit for an answer: 6 MB, with the
// body as a JSON string.
const maxAnswerBytes = 5 << 20

// Handle answers every request with a response and never with an error: an
// error's text would reach the caller.
func (h *Handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return httpapi.Answer(ctx, h.Log, req, func(id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse {
		return h.answer(ctx, id, log, body)
	}), nil
}

func (h *Handler) answer(ctx context.Context, id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse {
	q, faults := parseQuery(body, h.FleetTag)
	if len(faults) > 0 {
		return httpapi.BadRequest(log, id, faults)
	}

	var page session.Page
	if !q.nothing {
		var err error
		if page, err = h.Describer.Describe(ctx, q.Query); err != nil {
			log.Error("request answered 503: the sessions table, or for details the hosts table, cannot be read", "Cause", err)
			return httpapi.Unavailable(id, "Sessions cannot be read right now. Repeat the call.")
		}
	}
	out := describeAnswer{RequestID: id}
	out.Sessions, page.Next = h.describe(page, q.Details)
	if page.Next != "" {
		out.NextToken = q.token(page.Next)
	}
	log.Info("request answered", "Sessions", len(out.Sessions), "More", out.NextToken != "")
	return httpapi.Respond(http.StatusOK, out)
}

// describe returns the sessions of a page that fit in one answer, one at least, and
// where the next page begins.
func (h *Handler) describe(page session.Page, details bool) (sessions []json.RawMessage, next string) {
	sessions = []json.RawMessage{}
	size := 0
	for i, s := range page.Sessions {
		d := h.describeOne(s)
		if details {
			d.addDetails(s, page.LastSeenAt[s.ID])
		}
		text := json.RawMessage(httpapi.JSON(d))
		// Its length in Lambda's answer, where quotes and "<" are escaped once more.
		inside, err := json.Marshal(string(text))
		if err != nil {
			panic(err) // texts always have a JSON form
		}
		if size += len(inside); size > maxAnswerBytes && i > 0 {
			return sessions, page.Sessions[i-1].ID
		}
		sessions = append(sessions, text)
	}
	return sessions, page.Next
}

func (h *Handler) describeOne(s session.Session) described {
	d := described{
		ID:    s.ID,
		Name:  s.Name,
		Owner: s.Owner,
		// dcv says "virtual", Session Manager "VIRTUAL".
		Type:                  strings.ToUpper(s.Type),
		State:                 s.State,
		StateReason:           s.StateReason,
		CreationTime:          dateTime(s.CreationTime),
		LastDisconnectionTime: dateTime(s.LastDisconnectionTime),
		NumOfConnections:      s.NumOfConnections,
	}
	if s.State == session.Deleted {
		// Clients do not delete a session with connected users, so they would never learn
		// that it is gone.
		d.NumOfConnections = 0
	}
	if s.HostID != "" {
		d.Server = &server{ID: s.HostID, Tags: []tag{{Key: session.FleetTagKey, Value: h.FleetTag}}}
	}
	if strings.HasPrefix(s.HostID, "i-") {
		d.Server.Host = &serverHost{AWS: serverAWS{EC2InstanceID: s.HostID}}
	}
	return d
}

// addDetails adds the session's deletion, and when the session was last seen.
func (d *described) addDetails(s session.Session, lastSeen time.Time) {
	d.DeletionRequestedAt = written(s.DeletionRequestedAt)
	d.DeletionRequestedBy = s.DeletionRequestedBy
	d.DeletionRequestID = s.DeletionRequestID
	d.DeletionReason = s.DeletionReason
	d.CloseAt = written(s.CloseAt)
	d.Warning = s.Warning
	d.Attempts = s.Attempts
	d.AttemptedAt = written(s.AttemptedAt)
	d.NextAttemptAt = written(s.NextAttemptAt)
	d.Confirmation = s.Confirmation
	d.LastSeenTime = written(lastSeen)
}

// written formats a time of the broker as in the table and the announcements, or
// returns "".
func written(t time.Time) string { return dateTime(session.TimeText(t)) }

// dateTime returns a time as its host reported it, in UTC, or "": a session that no
// user has left has the time "", and a time that a client cannot parse would fail the
// whole page.
func dateTime(reported string) string {
	// Go also accepts an hour of one digit, and a comma before the decimals.
	t, err := time.Parse(time.RFC3339, reported)
	if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 {
		return ""
	}
	seconds, isUTC := strings.CutSuffix(reported, "Z")
	if utc := t.Format("2006-01-02T15:04:05"); isUTC && (seconds == utc || strings.HasPrefix(seconds, utc+".")) {
		return reported // unchanged, since it names the incarnation
	}
	return t.Format(time.RFC3339Nano)
}
