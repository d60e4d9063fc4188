// Package deletesessions is the function behind POST /deleteSessions: it converts
// requests to requests of the domain, and the domain's answers to the bytes that
// Session Manager's clients expect.
package deletesessions

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct {
	SessionsTable, HostsTable               string
	CloseDocument, NotifyDocument, FleetTag string
	// MaxBatch is the most entries that one request may have.
	MaxBatch  int
	GiveUp    time.Duration
	ForceMode session.ForceMode
	Defaults  Defaults
}

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable:  env.Text("SESSIONS_TABLE"),
		HostsTable:     env.Text("HOSTS_TABLE"),
		CloseDocument:  env.Text("CLOSE_DOCUMENT"),
		NotifyDocument: env.Text("NOTIFY_DOCUMENT"),
		FleetTag:       env.Text("FLEET_TAG_VALUE"),
		MaxBatch:       env.Count("MAX_BATCH_SIZE", 1000),
		GiveUp:         env.Minutes("GIVE_UP_AFTER_MINUTES", 60, 1),
		ForceMode:      session.ForceMode(env.OneOf("FORCE_MODE", string(session.Purge), string(session.BestEffort))),
		Defaults: Defaults{
			GracePeriod: awsenv.Parsed(env, "GRACE_PERIOD_SECONDS", session.ParseGracePeriod),
			Message:     awsenv.Parsed(env, "GRACE_MESSAGE", session.ParseText),
		},
	}
}

// Parts are the function's dependencies.
type Parts struct {
	Table          session.Table
	Getter         session.Getter
	Notes          session.HostNotes
	RefusedHosts   session.RefusedHostNotes
	SystemsManager runcommand.SenderAPI
	Now            func() time.Time
	Log            *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	p.Now = session.Clock(p.Now)
	hosts := &runcommand.Sender{
		API: p.SystemsManager, CloseDocument: s.CloseDocument, NotifyDocument: s.NotifyDocument, FleetTag: s.FleetTag,
	}
	return &Handler{
		Deleter: &session.Deleter{
			Table:        p.Table,
			Closer:       hosts,
			Notifier:     hosts,
			GiveUp:       s.GiveUp,
			ForceMode:    s.ForceMode,
			RefusedHosts: p.RefusedHosts,
			Log:          p.Log,
		},
		DryRunner: &session.DryRunner{
			Getter:      p.Getter,
			Notes:       p.Notes,
			HostChecker: &runcommand.Checker{API: p.SystemsManager, FleetTag: s.FleetTag},
			Log:         p.Log,
		},
		MaxBatch: s.MaxBatch, Defaults: s.Defaults, Now: p.Now, Log: p.Log,
	}
}

// A Handler handles POST /deleteSessions.
type Handler struct {
	Deleter   *session.Deleter
	DryRunner *session.DryRunner
	// MaxBatch is the most entries that one request may have.
	MaxBatch int
	Defaults Defaults
	Now      func() time.Time
	Log      *slog.Logger
}

// deleteAnswer is the body of a 200.
type deleteAnswer = httpapi.BatchAnswer[successful, unsuccessful]

type successful struct {
	SessionID string        `json:"SessionId"`
	State     session.State `json:"State"`
	// CloseAt is only in answers to entries with a field that Session Manager does not have.
	CloseAt string `json:"CloseAt,omitempty"`
	Session *hit   `json:"Session,omitempty"`
}

type unsuccessful struct {
	SessionID     string `json:"SessionId"`
	FailureReason string `json:"FailureReason"`
	Session       *hit   `json:"Session,omitempty"`
}

// hit is the session that an entry of a dry run would delete.
type hit struct {
	State            session.State `json:"State"`
	HostID           string        `json:"HostId"`
	NumOfConnections int64         `json:"NumOfConnections"`
	LastSeenTime     string        `json:"LastSeenTime,omitempty"`
}

// Handle answers every request with a response and never with an error: an
// error's text would reach the caller.
func (h *Handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return httpapi.Answer(ctx, h.Log, req, func(id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse {
		return h.answer(ctx, req, id, log, body)
	}), nil
}

func (h *Handler) answer(ctx context.Context, req events.APIGatewayV2HTTPRequest, id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse {
	entries, faults := parseEntries(body, h.MaxBatch, h.Defaults)
	dryRun, wrong := httpapi.ParseDryRun(req)
	if faults = append(faults, wrong...); len(faults) > 0 {
		return httpapi.BadRequest(log, id, faults)
	}

	request := session.Request{ID: id, By: httpapi.Requester(req), At: h.Now(), Entries: entries}
	var (
		answers []session.DryAnswer
		err     error
	)
	if dryRun {
		answers, err = h.DryRunner.DryRun(ctx, request)
	} else {
		answers, err = h.delete(ctx, request)
	}
	if err != nil {
		return httpapi.Failed(log, id, dryRun, err)
	}
	out := deleteAnswer{RequestID: id, DryRun: dryRun}
	for _, a := range answers {
		if a.FailureReason == "" {
			out.SuccessfulList = append(out.SuccessfulList, successful{a.SessionID, session.Deleting, session.TimeText(a.CloseAt), hitOf(a)})
		} else {
			out.UnsuccessfulList = append(out.UnsuccessfulList, unsuccessful{a.SessionID, a.FailureReason, hitOf(a)})
		}
	}
	return out.Respond(log)
}

// delete carries out the request; its answers do not describe sessions.
func (h *Handler) delete(ctx context.Context, req session.Request) ([]session.DryAnswer, error) {
	answers, err := h.Deleter.Delete(ctx, req)
	all := make([]session.DryAnswer, len(answers))
	for i, a := range answers {
		all[i].Answer = a
	}
	return all, err
}

// hitOf returns nil for entries without a session of their owner, and outside of dry
// runs.
func hitOf(a session.DryAnswer) *hit {
	if a.Session == nil {
		return nil
	}
	h := &hit{State: a.Session.State, HostID: a.Session.HostID, NumOfConnections: a.Session.NumOfConnections}
	if !a.LastSeenAt.IsZero() {
		h.LastSeenTime = a.LastSeenAt.UTC().Format(time.RFC3339)
	}
	return h
}
