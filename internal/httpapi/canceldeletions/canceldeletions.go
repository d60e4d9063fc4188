// Package canceldeletions is the function behind POST /cancelDeletions: it converts
// requests to requests of the domain, and the domain's answers to bodies like those of
// deleteSessions.
package canceldeletions

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
	SessionsTable, NotifyDocument, FleetTag string
	// MaxBatch is the most entries that one request may have.
	MaxBatch int
}

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable:  env.Text("SESSIONS_TABLE"),
		NotifyDocument: env.Text("NOTIFY_DOCUMENT"),
		FleetTag:       env.Text("FLEET_TAG_VALUE"),
		MaxBatch:       env.Count("MAX_BATCH_SIZE", 1000),
	}
}

// Parts are the function's dependencies.
type Parts struct {
	Table          session.Table
	Getter         session.Getter
	SystemsManager runcommand.SenderAPI
	Now            func() time.Time
	Log            *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	p.Now = session.Clock(p.Now)
	return &Handler{
		Canceller: &session.Canceller{
			Table:    p.Table,
			Getter:   p.Getter,
			Notifier: &runcommand.Sender{API: p.SystemsManager, NotifyDocument: s.NotifyDocument, FleetTag: s.FleetTag},
			Now:      p.Now,
			Log:      p.Log,
		},
		MaxBatch: s.MaxBatch, Log: p.Log,
	}
}

// A Handler handles POST /cancelDeletions.
type Handler struct {
	Canceller *session.Canceller
	// MaxBatch is the most entries that one request may have.
	MaxBatch int
	Log      *slog.Logger
}

// cancelAnswer is the body of a 200.
type cancelAnswer = httpapi.BatchAnswer[successful, unsuccessful]

type successful struct {
	SessionID string        `json:"SessionId"`
	State     session.State `json:"State"`
}

type unsuccessful struct {
	SessionID     string `json:"SessionId"`
	FailureReason string `json:"FailureReason"`
}

// Handle answers every request with a response and never with an error: an
// error's text would reach the caller.
func (h *Handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return httpapi.Answer(ctx, h.Log, req, func(id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse {
		return h.answer(ctx, req, id, log, body)
	}), nil
}

func (h *Handler) answer(ctx context.Context, req events.APIGatewayV2HTTPRequest, id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse {
	entries, faults := parseEntries(body, h.MaxBatch)
	dryRun, wrong := httpapi.ParseDryRun(req)
	if faults = append(faults, wrong...); len(faults) > 0 {
		return httpapi.BadRequest(log, id, faults)
	}

	carryOut := h.Canceller.Cancel
	if dryRun {
		carryOut = h.Canceller.DryRun
	}
	answers, err := carryOut(ctx, session.CancelRequest{ID: id, By: httpapi.Requester(req), Entries: entries})
	if err != nil {
		return httpapi.Failed(log, id, dryRun, err)
	}
	out := cancelAnswer{RequestID: id, DryRun: dryRun}
	for _, a := range answers {
		if a.FailureReason == "" {
			out.SuccessfulList = append(out.SuccessfulList, successful{a.SessionID, a.State})
		} else {
			out.UnsuccessfulList = append(out.UnsuccessfulList, unsuccessful{a.SessionID, a.FailureReason})
		}
	}
	return out.Respond(log)
}
