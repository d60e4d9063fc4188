package sim

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// A cancelHandler is cancelDeletions as a caller sees it.
type cancelHandler struct{ *session.Canceller }

func (w *world) cancelDeletions(inv *invocation) cancelHandler {
	return cancelHandler{&session.Canceller{
		Table: tableOf{w, inv}, Getter: readerOf{w, inv},
		Notifier: &runcommand.Sender{API: systemsManagerOf{w, inv}, NotifyDocument: notifyDocument, FleetTag: fleetTag},
		Now:      w.now, Log: w.log(inv),
	}}
}

func (h cancelHandler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (resp events.APIGatewayV2HTTPResponse, err error) {
	lambda, _ := lambdacontext.FromContext(ctx)
	in := session.CancelRequest{ID: lambda.AwsRequestID}
	var entries []entry
	if err := json.Unmarshal([]byte(req.Body), &entries); err != nil {
		return resp, err
	}
	for _, e := range entries {
		in.Entries = append(in.Entries, session.CancelEntry{SessionID: e.SessionID, Owner: e.Owner, DeletionRequestID: e.RequestID})
	}
	carryOut := h.Cancel
	if req.QueryStringParameters["dryRun"] == "true" {
		carryOut = h.DryRun
	}
	answers, err := carryOut(ctx, in)
	if errors.Is(err, session.ErrTableDown) {
		return events.APIGatewayV2HTTPResponse{StatusCode: 503}, nil
	}
	var body deleteAnswer
	for _, a := range answers {
		if a.FailureReason == "" {
			text, _ := json.Marshal(map[string]any{"SessionId": a.SessionID, "State": a.State})
			body.SuccessfulList = append(body.SuccessfulList, text)
		} else {
			text, _ := json.Marshal(struct {
				SessionID     string `json:"SessionId"`
				FailureReason string
			}{a.SessionID, a.FailureReason})
			body.UnsuccessfulList = append(body.UnsuccessfulList, text)
		}
	}
	text, err := json.Marshal(body)
	return events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: string(text)}, err
}
