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
	EndStopped                           bool
	MaxSessionsPerHost                   int
}

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable: env.Text("SESSIONS_TABLE"),
		HostsTable:    env.Text("HOSTS_TABLE"),
		IndexStep:     env.IndexStep(),
		EndStopped:    env.Switch("END_SESSIONS_OF_STOPPED_HOSTS", true),

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
		InstanceID string `json:"instance-id"`
	} `json:"detail"`
}

// An invocation is one host's part of a command; without a command it stands for the
// host itself.
type invocation struct{ commandID, hostID string }

func (inv invocation) compare(other invocation) int {
	return cmp.Or(cmp.Compare(inv.commandID, other.commandID), cmp.Compare(inv.hostID, other.hostID))
}

// Handle reads and records the answers that the messages announce, and asks EC2 about
// hosts that have stopped. A message that could not be processed goes back to the
// queue, and finally to the dead-letter queue.
func (h *Handler) Handle(ctx context.Context, event events.SQSEvent) (events.SQSEventResponse, error) {
	messages := map[invocation][]events.SQSMessage{}                                       // an event may be delivered twice
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}} // not null
	fail := func(messageID string) {
		response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: messageID})
	}
	for _, m := range event.Records {
		inv, err := parseHostEvent(m.Body)
		if err != nil {
			h.Log.Error("message not understood: it goes to the dead-letter queue", "MessageId", m.MessageId, "Cause", err, "Metric", session.Count(session.MessagesReturned, 1))
			fail(m.MessageId)
			continue
		}
		messages[inv] = append(messages[inv], m)
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
			if errors.Is(err, errLeaving) && received(m) >= maxQuestions {
				log.Warn("message dropped: cleanup asks EC2 about the host after a long silence")
				continue
			}
			log.Warn("message goes back to the queue", "Metric", session.Count(session.MessagesReturned, 1))
			fail(m.MessageId)
		}
	}
	return response, nil
}

// errLeaving means that EC2 has sent the event of a stop, and does not show the host as stopped yet.
var errLeaving = errors.New("EC2 does not show yet that the host has stopped")

// maxQuestions is how many times EC2 is asked because of one message: fewer than the
// queue's maxReceiveCount.
const maxQuestions = 3

// received returns how many times the queue has delivered the message.
func received(m events.SQSMessage) int {
	n, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	return n
}

func parseHostEvent(body string) (invocation, error) {
	var event hostEvent
	if err := json.Unmarshal([]byte(body), &event); err != nil {
		return invocation{}, fmt.Errorf("not an EventBridge event: %w", err)
	}
	inv := invocation{commandID: event.Detail.CommandID, hostID: event.Detail.InstanceID}
	kind := event.Source + "/" + event.DetailType
	ofCommand := kind == "aws.ssm/EC2 Command Invocation Status-change Notification" && inv.commandID != ""
	ofInstance := kind == "aws.ec2/EC2 Instance State-change Notification"
	switch {
	case !ofCommand && !ofInstance, inv.hostID == "":
		return invocation{}, fmt.Errorf("not an event of one host: %s", kind)
	case !session.IsHostID(inv.hostID):
		return invocation{}, fmt.Errorf("no host is called %.50q", inv.hostID)
	case ofInstance:
		return invocation{hostID: inv.hostID}, nil
	}
	return inv, nil
}

// recordTime is reserved at the end of the function's time for recording the answers.
// Messages whose answers could not be read in time go back to the queue: many commands,
// or a service that throttles, take longer than the time of one event.
const recordTime = 10 * time.Second

// answerTime is reserved for the answer: if Lambda ends the function, all messages come
// again.
const answerTime = time.Second

// hostTime is the least time for reading a command, or applying a host's answer, before
// it is given up in this event. Each has a share of the time, so that a slow one delays
// only itself.
const hostTime = 2 * time.Second

// maxUnrecorded is how many reports wait to be recorded together, about: those of a batch of
// many commands must not wait until the last of them is read.
const maxUnrecorded = 100

// work processes the invocations and hosts in their order, and returns what failed. It
// reads each command by pages, and has the answers of one page in memory. Reports about
// deletions, and those about notices, are recorded together.
func (h *Handler) work(ctx context.Context, invocations []invocation) map[invocation]error {
	failures := map[invocation]error{}
	hostsOf := map[string][]string{} // by command
	var (
		commands   []string
		unanswered []string
		doubtful   []string // their tag may have changed
	)
	for _, n := range invocations {
		switch {
		case n.commandID == "":
			unanswered = append(unanswered, n.hostID)
		case hostsOf[n.commandID] == nil:
			commands = append(commands, n.commandID)
			fallthrough
		default:
			hostsOf[n.commandID] = append(hostsOf[n.commandID], n.hostID)
		}
	}

	var (
		reports  heard[session.Report]
		warnings heard[session.Warning]
	)
	reading, stop := session.EndEarlier(ctx, recordTime)
	defer stop()
	waiting := len(invocations) - len(unanswered)
	record := func() {
		reports.collect(h.Confirmer.Apply(ctx, reports.said), failures)
		warnings.collect(h.WarningRecorder.Apply(ctx, warnings.said), failures)
		reports, warnings = heard[session.Report]{}, heard[session.Warning]{}
	}
	for _, commandID := range commands {
		// A command's part of the time goes by its hosts. The rest is for the answers of its last page.
		ctx, stop := session.Shares(reading, 10*waiting, 9*len(hostsOf[commandID]), hostTime)
		for answers, errs := range h.Reader.Pages(ctx, commandID, hostsOf[commandID]) {
			for _, hostID := range slices.Sorted(maps.Keys(errs)) {
				if err := errs[hostID]; errors.Is(err, runcommand.ErrNotOurs) {
					h.Log.Warn("command ignored: this broker did not send it", "CommandId", commandID, "HostId", hostID)
				} else {
					failures[invocation{commandID, hostID}] = err
				}
			}
			hosts := slices.Sorted(maps.Keys(answers))
			waiting -= len(hosts) + len(errs)
			taken := h.takeAll(reading, hosts, answers, waiting)
			for _, hostID := range hosts {
				inv := invocation{commandID, hostID}
				answer, took := answers[hostID], taken[hostID]
				h.logAnswer(commandID, answer)
				if took.err != nil {
					failures[inv] = took.err
				}
				if took.askEC2 {
					doubtful = append(doubtful, hostID)
				}
				for _, r := range took.reports {
					r.CommandID = commandID
					reports.add(r, inv)
				}
				for _, w := range answer.Warnings {
					w.CommandID = commandID
					warnings.add(w, inv)
				}
				if !answer.Answered && answer.Status != "Success" {
					unanswered = append(unanswered, hostID)
				}
			}
			if len(reports.said)+len(warnings.said) >= maxUnrecorded {
				record()
			}
		}
		stop()
	}
	record()
	asking, stop := session.EndEarlier(ctx, answerTime)
	defer stop()
	checks, err := h.Reaper.Check(asking, slices.Concat(unanswered, doubtful))
	if err != nil && len(doubtful) > 0 {
		h.Log.Warn("tags "+session.OwnerTagKey+" could not be read: they are read again at the hosts' next inventories", "Hosts", len(doubtful), "Cause", err)
	}
	for _, n := range invocations {
		check := checks[n.hostID]
		switch {
		case err != nil && slices.Contains(unanswered, n.hostID):
			failures[n] = err
		case check.Err != nil:
			failures[n] = check.Err
		case n.commandID == "" && check.Status == session.Stopping:
			failures[n] = errLeaving
		}
	}
	return failures
}
