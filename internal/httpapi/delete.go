// Package httpapi is the HTTP API: it turns requests as API Gateway's HTTP API
// hands them over (payload format 2.0) into requests of the domain, and the
// domain's answers into the bytes that Session Manager's clients expect.
package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/session"
)

// DeleteSessions handles POST /deleteSessions.
type DeleteSessions struct {
	Deleter   *session.Deleter
	DryRunner *session.DryRunner
	// MaxBatch is the most entries that one request may have.
	MaxBatch int
	Now      func() time.Time
	Log      *slog.Logger
}

// deleteAnswer is the body of a 200. Its shape and the order of its fields are
// those of Session Manager's DeleteSessions.
type deleteAnswer struct {
	RequestID        string         `json:"RequestId"`
	SuccessfulList   []successful   `json:"SuccessfulList"`
	UnsuccessfulList []unsuccessful `json:"UnsuccessfulList"`
	// DryRun is there only in the answer to one.
	DryRun bool `json:"DryRun,omitempty"`
}

type successful struct {
	SessionID string        `json:"SessionId"`
	State     session.State `json:"State"`
	Session   *hit          `json:"Session,omitempty"`
}

type unsuccessful struct {
	SessionID     string `json:"SessionId"`
	FailureReason string `json:"FailureReason"`
	Session       *hit   `json:"Session,omitempty"`
}

// hit is what an entry of a dry run would hit.
type hit struct {
	State            session.State `json:"State"`
	HostID           string        `json:"HostId"`
	NumOfConnections int64         `json:"NumOfConnections"`
	LastSeenTime     string        `json:"LastSeenTime,omitempty"`
}

// fault is the body of every other answer.
type fault struct {
	Message   string  `json:"message"`
	RequestID string  `json:"RequestId,omitempty"`
	Errors    []Fault `json:"errors,omitempty"`
}

// Handle answers every request with a response and never with an error: an
// error's text would reach the caller.
func (h *DeleteSessions) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (resp events.APIGatewayV2HTTPResponse, _ error) {
	id := requestID(ctx)
	log := h.Log.With("RequestId", id)
	defer answerPanic(log, id, &resp)

	body, err := body(req)
	if err != nil {
		return badRequest(log, id, []Fault{{Field: "body", Reason: "is not valid base64"}}), nil
	}
	entries, faults := parseEntries(body, h.MaxBatch)
	dryRun, wrong := parseDryRun(req)
	if wrong != nil {
		faults = append(faults, *wrong)
	}
	if len(faults) > 0 {
		return badRequest(log, id, faults), nil
	}

	request := session.Request{ID: id, By: requester(req), At: h.Now(), Entries: entries}
	var answers []session.DryAnswer
	if dryRun {
		answers, err = h.DryRunner.DryRun(ctx, request)
	} else {
		answers, err = h.delete(ctx, request)
	}
	if errors.Is(err, session.ErrTableDown) || dryRun && err != nil {
		log.Error("request answered 503: the sessions table, or for a dry run the host directory, does not answer", "Cause", err)
		resp := respond(http.StatusServiceUnavailable, fault{Message: "Sessions cannot be changed right now. Repeat the call.", RequestID: id})
		resp.Headers["Retry-After"] = "5"
		return resp, nil
	}
	if err != nil {
		log.Error("request failed", "Cause", err)
		return respond(http.StatusInternalServerError, fault{Message: "Internal error. Repeat the call; if it fails again, quote the RequestId.", RequestID: id}), nil
	}

	out := deleteAnswer{RequestID: id, SuccessfulList: []successful{}, UnsuccessfulList: []unsuccessful{}, DryRun: dryRun}
	for _, a := range answers {
		if a.FailureReason == "" {
			out.SuccessfulList = append(out.SuccessfulList, successful{a.SessionID, session.Deleting, hitOf(a)})
		} else {
			out.UnsuccessfulList = append(out.UnsuccessfulList, unsuccessful{a.SessionID, a.FailureReason, hitOf(a)})
		}
	}
	log.Info("request answered", "DryRun", dryRun, "Successful", len(out.SuccessfulList), "Unsuccessful", len(out.UnsuccessfulList))
	return respond(http.StatusOK, out), nil
}

// delete carries the request out; its answers name no sessions.
func (h *DeleteSessions) delete(ctx context.Context, req session.Request) ([]session.DryAnswer, error) {
	answers, err := h.Deleter.Delete(ctx, req)
	all := make([]session.DryAnswer, len(answers))
	for i, a := range answers {
		all[i].Answer = a
	}
	return all, err
}

// hitOf is nil for entries without a session of their owner, and outside of dry
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

func badRequest(log *slog.Logger, id string, faults []Fault) events.APIGatewayV2HTTPResponse {
	log.Info("request answered 400: nothing was done", "Faults", len(faults))
	return respond(http.StatusBadRequest, fault{
		Message:   "The request is malformed, and nothing was done; errors has every fault.",
		RequestID: id,
		Errors:    faults,
	})
}

func respond(status int, body any) events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers:    map[string]string{"Content-Type": "application/json"},
		Body:       jsonText(body),
	}
}

// jsonText is one of this package's types as JSON.
func jsonText(v any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // an ID with "&" comes back as it was sent
	if err := encoder.Encode(v); err != nil {
		panic(err) // they always have a JSON form
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// requestID is Lambda's ID of the request, a UUID, which is on Lambda's own log
// lines too.
func requestID(ctx context.Context) string {
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok || lc.AwsRequestID == "" {
		panic("the context is not one that Lambda made")
	}
	return lc.AwsRequestID
}

// requester is who asks, for the record: whom the token that the gateway has
// checked speaks for. By client credentials that is the client; a user is named
// by Cognito's username, or by sub, which other issuers' clients have as well.
func requester(req events.APIGatewayV2HTTPRequest) string {
	if auth := req.RequestContext.Authorizer; auth != nil && auth.JWT != nil {
		for _, claim := range []string{"username", "sub", "client_id"} {
			if who := auth.JWT.Claims[claim]; who != "" {
				return who
			}
		}
	}
	return "unknown"
}
