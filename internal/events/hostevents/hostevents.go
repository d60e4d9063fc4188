// Package hostevents is the function behind the queue of hosts' events. It parses the
// queue's messages, passes them to the domain, and answers which of them must be
// delivered again.
package hostevents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct {
	SessionsTable, HostsTable, IndexStep string
	InventoryDocument, IdleDocument      string
	EndStopped                           bool
	MaxSessionsPerHost                   int
}

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable: env.Text("SESSIONS_TABLE"),
		HostsTable:    env.Text("HOSTS_TABLE"),
		IndexStep:     env.IndexStep(),

		InventoryDocument:  env.Text("INVENTORY_DOCUMENT"),
		IdleDocument:       env.Text("IDLE_DOCUMENT"),
		EndStopped:         env.Switch("END_SESSIONS_OF_STOPPED_HOSTS", true),
		MaxSessionsPerHost: env.Count("MAX_SESSIONS_PER_HOST", 500),
	}
}

// Parts are the function's dependencies.
type Parts struct {
	Table          session.Table
	Index          session.Index
	Getter         session.Getter
	HostTable      session.HostTable
	SystemsManager runcommand.ReaderAPI
	EC2            ec2state.API
	Now            func() time.Time
	NewID          func() string
	Log            *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	p.Now = session.Clock(p.Now)
	index := session.WholeIndex{Index: p.Index, Getter: p.Getter}
	reaper := &session.HostReaper{
		Table: p.Table, Index: index, Instances: ec2state.New(p.EC2), HostTable: p.HostTable,
		EndStopped: s.EndStopped, Now: p.Now, NewID: p.NewID, Log: p.Log,
	}
	return &Handler{
		Reader:    &runcommand.Reader{API: p.SystemsManager},
		Confirmer: &session.Confirmer{Table: p.Table, Index: index, Now: p.Now, Log: p.Log},
		Reconciler: &session.InventoryReconciler{
			Table: p.Table, Index: index, Getter: p.Getter, HostTable: p.HostTable, MaxSessions: s.MaxSessionsPerHost, Now: p.Now, Log: p.Log,
		},
		IdleRecorder:    &session.IdleRecorder{Table: p.Table, Index: index, Now: p.Now, Log: p.Log},
		WarningRecorder: &session.WarningRecorder{Table: p.Table, Now: p.Now, Log: p.Log},
		Reaper:          reaper,
		FleetDocuments:  []string{s.InventoryDocument, s.IdleDocument},
		Log:             p.Log,
	}
}

// A Handler handles the queue that gets EventBridge's events of hosts: one has finished
// its part of a command, or has stopped.
type Handler struct {
	Reader          *runcommand.Reader
	Confirmer       *session.Confirmer
	Reconciler      *session.InventoryReconciler
	IdleRecorder    *session.IdleRecorder
	WarningRecorder *session.WarningRecorder
	Reaper          *session.HostReaper
	FleetDocuments  []string // of commands that the whole fleet gets again and again
	Log             *slog.Logger
}

// hostEvent has the parts of the events that are used; the Systems Manager user guide
// has them under "Monitoring Systems Manager events with Amazon EventBridge", the EC2
// user guide under "Monitor for state change events".
type hostEvent struct {
	Source     string `json:"source"`
	DetailType string `json:"detail-type"`
	Detail     struct {
		CommandID  string `json:"command-id"`
		Document   string `json:"document-name"`
		InstanceID string `json:"instance-id"`
	} `json:"detail"`
}

// An invocation is one host's part of a command; without a command it stands for the
// host itself.
type invocation struct{ commandID, hostID string }

func (inv invocation) compare(other invocation) int {
	return cmp.Or(cmp.Compare(inv.commandID, other.commandID), cmp.Compare(inv.hostID, other.hostID))
}

// A message is one of the queue's.
type message struct {
	id       string
	received int    // how many times the queue has delivered it
	document string // of the command
}

// Handle reads and records the answers that the messages announce, and asks EC2 about
// hosts that have stopped. A message that could not be processed goes back to the
// queue, and finally to the dead-letter queue.
func (h *Handler) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	messages := map[invocation][]message{}                                                 // an event may be delivered twice
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // not null
	fail := func(messageID string) {
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: messageID})
	}
	for _, m := range event.Records {
		inv, document, err := parseHostEvent(m.Body)
		if err != nil {
			h.Log.Error("message not understood: it goes to the dead-letter queue", "MessageId", m.MessageId, "Cause", err, "Metric", session.Count(session.MessagesReturned, 1))
			fail(m.MessageId)
			continue
		}
		received, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		messages[inv] = append(messages[inv], message{m.MessageId, received, document})
	}

	invocations := slices.SortedFunc(maps.Keys(messages), invocation.compare)
	failures := h.work(ctx, invocations)
	for _, inv := range invocations {
		err, failed := failures[inv]
		if !failed {
			continue
		}
		for _, m := range messages[inv] {
			log := h.Log.With("CommandId", inv.commandID, "HostId", inv.hostID, "Cause", err)
			switch {
			case m.received >= maxDeliveries && errors.Is(err, errLeaving):
				log.Warn("message dropped: cleanup asks EC2 about the host after a long silence")
			case m.received >= maxDeliveries && errors.Is(err, runcommand.ErrThrottled) && slices.Contains(h.FleetDocuments, m.document):
				log.Warn("answer dropped: Systems Manager throttles, and the next inventory says what runs on the host",
					"Metric", session.Count(session.FleetAnswersDropped, 1))
			default:
				log.Warn("message goes back to the queue", "Metric", session.Count(session.MessagesReturned, 1))
				fail(m.id)
			}
		}
	}
	return response, nil
}

// errLeaving means that EC2 has sent the event of a stop, and does not show the host as stopped yet.
var errLeaving = errors.New("EC2 does not show yet that the host has stopped")

// maxDeliveries is after how many deliveries a message is dropped, if something later brings
// the same: fewer than the queues' maxReceiveCount.
const maxDeliveries = 3

func parseHostEvent(body string) (inv invocation, document string, err error) {
	var event hostEvent
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return invocation{}, "", fmt.Errorf("not an EventBridge event: %w", err)
	}
	inv = invocation{commandID: event.Detail.CommandID, hostID: event.Detail.InstanceID}
	kind := event.Source + "/" + event.DetailType
	ofCommand := kind == "aws.ssm/EC2 Command Invocation Status-change Notification" && inv.commandID != ""
	ofInstance := kind == "aws.ec2/EC2 Instance State-change Notification"
	switch {
	case !ofCommand && !ofInstance, inv.hostID == "":
		return invocation{}, "", fmt.Errorf("not an event of one host: %s", kind)
	case !session.IsHostID(inv.hostID):
		return invocation{}, "", fmt.Errorf("no host can have the ID %.50q", inv.hostID)
	case ofInstance:
		return invocation{hostID: inv.hostID}, "", nil
	}
	return inv, event.Detail.Document, nil
}
