package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// HostEvents handles the queue that EventBridge fills with the news of hosts:
// "EC2 Command Invocation Status-change Notification" of aws.ssm.
type HostEvents struct {
	Reader    *runcommand.Reader
	Confirmer *session.Confirmer
	Log       *slog.Logger
}

// commandStatus is the detail of the notification, as far as it is used; its
// fields are listed in the Systems Manager user guide, "Monitoring Systems
// Manager events with Amazon EventBridge".
type commandStatus struct {
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Detail     struct {
		CommandID  string `json:"command-id"`
		InstanceID string `json:"instance-id"`
		Status     string `json:"status"`
	} `json:"detail"`
}

const commandStatusType = "EC2 Command Invocation Status-change Notification"

// An invocation is one host's part in a command.
type invocation struct{ commandID, hostID string }

// Handle reads the answers that the messages announce and has them recorded. A
// message whose answer could not be read or recorded goes back to the queue; in
// the end the dead-letter queue keeps it.
func (h *HostEvents) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	messages := map[invocation][]string{} // IDs; an event may be delivered twice
	hostsOf := map[string][]string{}      // by command
	failures := map[invocation]error{}
	response := events.SQSEventResponse{}

	for _, m := range event.Records {
		inv, err := parseCommandStatus(m.Body)
		if err != nil {
			h.Log.Error("message not understood: it goes to the dead-letter queue", "MessageId", m.MessageId, "Cause", err)
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
			continue
		}
		if messages[inv] == nil {
			hostsOf[inv.commandID] = append(hostsOf[inv.commandID], inv.hostID)
		}
		messages[inv] = append(messages[inv], m.MessageId)
	}

	var (
		reports []session.Report
		from    []invocation
	)
	for commandID, hostIDs := range hostsOf {
		answers, errs := h.Reader.Read(ctx, commandID, hostIDs)
		for hostID, err := range errs {
			if errors.Is(err, runcommand.ErrNotOurs) {
				h.Log.Warn("command status ignored", "CommandId", commandID, "HostId", hostID, "Cause", err)
				continue
			}
			failures[invocation{commandID, hostID}] = err
		}
		for hostID, answer := range answers {
			h.logAnswer(commandID, answer)
			for _, r := range answer.Reports {
				reports = append(reports, r)
				from = append(from, invocation{commandID, hostID})
			}
		}
	}
	for i, err := range h.Confirmer.Apply(ctx, reports) {
		if err != nil {
			failures[from[i]] = err
		}
	}

	for inv, err := range failures {
		h.Log.Warn("command status goes back to the queue", "CommandId", inv.commandID, "HostId", inv.hostID, "Cause", err)
		for _, id := range messages[inv] {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: id})
		}
	}
	return response, nil
}

func parseCommandStatus(body string) (invocation, error) {
	var event commandStatus
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return invocation{}, fmt.Errorf("not an EventBridge event: %w", err)
	}
	inv := invocation{commandID: event.Detail.CommandID, hostID: event.Detail.InstanceID}
	if event.Source != "aws.ssm" || event.DetailType != commandStatusType || inv.commandID == "" || inv.hostID == "" {
		return invocation{}, fmt.Errorf("not a command status of one host: source %q, detail-type %q", event.Source, event.DetailType)
	}
	return inv, nil
}

func (h *HostEvents) logAnswer(commandID string, answer runcommand.Invocation) {
	log := h.Log.With("CommandId", commandID, "HostId", answer.HostID, "Status", answer.Status, "Reports", len(answer.Reports))
	if len(answer.Reports) == 0 || answer.Unreadable > 0 {
		log.Warn("host answered less than it was asked: the sessions' leases stand", "UnreadableLines", answer.Unreadable)
		return
	}
	log.Debug("host answered")
}
