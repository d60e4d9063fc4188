package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/telemetry"
	"dcv-session-broker/internal/template"
)

// ofAnEvent is what CloudWatch Logs adds to each line (API reference,
// PutLogEvents: "plus 26 bytes for each log event").
const ofAnEvent = 26

// shards of the table's stream, each of which has an invocation of its own. A new
// table with on-demand capacity takes 4,000 write units a second, and a partition
// 1,000 (DynamoDB developer guide, "On-demand capacity mode", "Partitions and data
// distribution").
const shards = 4

// byLambda are the lines that Lambda itself writes of an invocation that succeeds.
// Text: example lines of the Lambda developer guide, "Working with Lambda function
// logs". JSON: "Log-level filtering", the table "System log level event mapping":
// start and report are INFO, runtimeDone is DEBUG, and each is WARN if it failed.
func byLambda(function template.Resource) (lines []string) {
	const id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
	config, _ := function.Properties["LoggingConfig"].(map[string]any)
	if config["LogFormat"] != "JSON" {
		return []string{
			"START RequestId: " + id + " Version: $LATEST", "END RequestId: " + id,
			"REPORT RequestId: " + id + "\tDuration: 15.74 ms\tBilled Duration: 16 ms\tMemory Size: 256 MB\tMax Memory Used: 45 MB\t",
		}
	}
	if config["SystemLogLevel"] == "WARN" {
		return nil
	}
	const at = `{"time":"2026-11-29T12:00:00.000Z","type":"platform.`
	return []string{
		at + `start","record":{"requestId":"` + id + `","version":"$LATEST"}}`,
		at + `report","record":{"requestId":"` + id + `","metrics":{"durationMs":15.74,"billedDurationMs":16,"memorySizeMB":256,"maxMemoryUsedMB":45},"status":"success"}}`,
	}
}

// A deletionLog is what functions write of the deletion of some sessions in one
// request, at the template's level, from the request to the announcement. No
// function starts meanwhile.
type deletionLog struct {
	own, lambda map[string][]string // lines, by function
	access      []string            // API Gateway's
	requestID   string
	audit       []string // announcements, as the rule for the audit trail keeps them
}

// loggedOf is how many bytes CloudWatch Logs counts of lines.
func loggedOf(lines ...string) (n int) {
	for _, line := range lines {
		n += len(line) + ofAnEvent
	}
	return n
}

// bytes are those of all lines of the functions and of the API, for one session.
func (l *deletionLog) bytes(sessions int) float64 {
	n := loggedOf(l.access...)
	for _, lines := range slices.Concat(slices.Collect(maps.Values(l.own)), slices.Collect(maps.Values(l.lambda))) {
		n += loggedOf(lines...)
	}
	return float64(n) / float64(sessions)
}

// A logRun carries the deletion out.
type logRun struct {
	log      *deletionLog
	template *template.Template
	now      time.Time
	ids      atomic.Int64
	table    *memtable.Table
	hosts    *memtable.Hosts
	closing  map[string][]string // what each host closes

	mu       sync.Mutex
	commands []*ssm.SendCommandInput // by their numbers
}

// id is a UUID.
func (r *logRun) id() string {
	return uuid(r.ids.Add(1))
}

func uuid(n int64) string {
	return fmt.Sprintf("%08x-1111-4222-8333-%012x", n*0x01234567&0xffffffff, n)
}

// The times of lines differ in length, as their last zeros are left out.
var timeOfLine = regexp.MustCompile(`^\{"time":"[^"]+"`)

// invoke has the function handle the event, and keeps what is written.
func (r *logRun) invoke(ctx context.Context, name string, handler func(*slog.Logger) any, event any) ([]byte, error) {
	var text bytes.Buffer
	out := telemetry.JSON(&text, slog.LevelInfo, "dcv-session-broker", func() time.Time { return r.now })
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	id := r.id()
	if r.log.requestID == "" { // the first is the request
		r.log.requestID = id
	}
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: id})
	answer, err := out.Reporting(handler(out.Log)).Invoke(ctx, payload)
	for line := range strings.Lines(text.String()) {
		line = timeOfLine.ReplaceAllString(strings.TrimSuffix(line, "\n"), `{"time":"2026-11-29T12:00:00.123456789Z"`)
		r.log.own[name] = append(r.log.own[name], line)
	}
	for _, f := range r.template.Functions() {
		if f.Name == name {
			resource, _ := r.template.Resource(f.LogicalID)
			r.log.lambda[name] = append(r.log.lambda[name], byLambda(resource)...)
		}
	}
	return answer, err
}

// SendCommand takes every command.
func (r *logRun) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = append(r.commands, in)
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: aws.String(uuid(int64(len(r.commands) - 1)))}}, nil
}

// DescribeInstanceInformation is not needed: no host is refused.
func (r *logRun) DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return nil, fmt.Errorf("a host was refused")
}

func (r *logRun) command(id string) *ssm.SendCommandInput {
	for n, command := range r.commands {
		if uuid(int64(n)) == id {
			return command
		}
	}
	panic("no command has the ID " + id)
}

// ListCommandInvocations says that each host has closed its sessions.
func (r *logRun) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	out := &ssm.ListCommandInvocationsOutput{}
	command := r.command(aws.ToString(in.CommandId))
	for _, host := range command.InstanceIds {
		if in.InstanceId != nil && *in.InstanceId != host {
			continue
		}
		text := ""
		for _, id := range r.closing[host] {
			text += fmt.Sprintf("{\"id\":%q,\"result\":\"closed\"}\n", id)
		}
		out.CommandInvocations = append(out.CommandInvocations, types.CommandInvocation{
			CommandId: in.CommandId, InstanceId: aws.String(host), Comment: command.Comment, Status: types.CommandInvocationStatusSuccess,
			CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(text)}},
		})
	}
	return out, nil
}

// GetCommandInvocation is not needed: no output is cut.
func (r *logRun) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return nil, fmt.Errorf("a short output was read twice")
}

// requestSizes are how many sessions requests have whose cost is worked out.
var requestSizes = []int{1, 25, 1000}

// measureLogs counts the bytes of logs of a deletion.
func measureLogs(ctx context.Context, r *report) error {
	t, err := template.Load(templateFile, nil)
	if err != nil {
		return err
	}
	r.cost.logged = map[int]float64{}
	functions := []string{"delete-sessions", "host-events", "session-stream", "ended-sessions"}
	var rows [][]string
	for _, n := range requestSizes {
		hosts := (n + sessionsPerHost - 1) / sessionsPerHost
		l, err := logDeletion(ctx, t, n, hosts)
		if err != nil {
			return err
		}
		each := func(lines ...string) string { return fmt.Sprintf("%.0f", float64(loggedOf(lines...))/float64(n)) }
		r.cost.logged[n], r.cost.audited = l.bytes(n), float64(loggedOf(l.audit...))/float64(n)
		row := []string{fmt.Sprintf("%d, %d", n, hosts), fmt.Sprintf("%.0f", l.bytes(n))}
		for _, f := range functions {
			row = append(row, each(l.own[f]...))
		}
		rows = append(rows, append(row, each(slices.Concat(slices.Collect(maps.Values(l.lambda))...)...), each(l.access...)))
		// Not a count: times in lines have as many digits as they need.
		r.ratio(fmt.Sprintf("bytes of logs of a deletion, N=%d", n), l.bytes(n))
	}
	head := slices.Concat([]string{"sessions a request, hosts", "bytes of logs a deletion"}, functions, []string{"Lambda's own lines", "the API's line"})
	r.brief["logs"] = table(head, rows)
	r.say("\n### Logs of a deletion, from the request to the announcement, at the default level\n\n%s", r.brief["logs"])
	return nil
}

// logDeletion deletes so many sessions on so many hosts in one request. The hosts'
// answers come in one batch of the queue, what the stream shows in one batch of
// each shard, and announcements in the pipe's batches.
func logDeletion(ctx context.Context, t *template.Template, sessions, hosts int) (*deletionLog, error) {
	r := &logRun{
		log: &deletionLog{own: map[string][]string{}, lambda: map[string][]string{}}, template: t,
		now: time.Date(2026, 11, 29, 12, 0, 0, 123456789, time.UTC), table: memtable.New(), hosts: memtable.NewHosts(), closing: map[string][]string{},
	}
	var entries []map[string]string
	for n := range sessions {
		s := session.Session{
			ID: r.id(), Owner: "user0001", HostID: fmt.Sprintf("i-%017x", 0xabcdef0123456+n%hosts), Type: "virtual", CreationTime: "2026-11-23T08:30:00Z",
		}
		r.table.Put(session.Listed(s))
		r.closing[s.HostID] = append(r.closing[s.HostID], s.ID)
		entries = append(entries, map[string]string{"SessionId": s.ID, "Owner": s.Owner})
	}
	feed := r.table.Feed()
	body, err := json.Marshal(entries)
	if err != nil {
		return nil, err
	}
	_, err = r.invoke(ctx, "delete-sessions", func(log *slog.Logger) any {
		return deletesessions.New(deletesessions.Parts{
			Table: r.table, Getter: memtable.Reader{Table: r.table}, Notes: r.hosts, RefusedHosts: r.hosts, SystemsManager: r, Now: func() time.Time { return r.now }, Log: log,
		}, deletesessions.Settings{CloseDocument: "CloseDocument", FleetTag: "default", MaxBatch: 1000, GiveUp: time.Hour, ForceMode: session.Purge}).Handle
	}, events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /deleteSessions", RawPath: "/deleteSessions", Body: string(body),
		RequestContext: events.APIGatewayV2HTTPRequestContext{Authorizer: &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{"client_id": clientID}},
		}},
	})
	if err != nil {
		return nil, err
	}
	if err := r.api(sessions); err != nil {
		return nil, err
	}

	r.now = r.now.Add(3*time.Second + 217*time.Millisecond)
	var news []events.SQSMessage
	for n, command := range r.commands {
		for _, host := range command.InstanceIds {
			news = append(news, events.SQSMessage{MessageId: r.id(), Body: fmt.Sprintf(
				`{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification","detail":{"command-id":%q,"document-name":"Close","instance-id":%q,"status":"Success"}}`,
				uuid(int64(n)), host)})
		}
	}
	for _, f := range t.Functions() {
		for _, source := range f.Queues[:min(1, len(f.Queues))] { // the other is for answers of the whole fleet
			for batch := range slices.Chunk(news, source.BatchSize) {
				_, err = r.invoke(ctx, f.Name, func(log *slog.Logger) any {
					return hostevents.New(hostevents.Parts{
						Table: r.table, Index: r.table, Getter: memtable.Reader{Table: r.table}, HostTable: r.hosts, SystemsManager: r,
						Now: func() time.Time { return r.now }, NewID: r.id, Log: log,
					}, hostevents.Settings{}).Handle
				}, events.SQSEvent{Records: batch})
				if err != nil {
					return nil, err
				}
			}
		}
	}

	for _, f := range t.Functions() {
		for _, source := range f.Streams {
			err := r.shown(source.Matches, feed.Ready(), func(shown []json.RawMessage) error {
				for shard := range min(shards, len(shown)) {
					var of []json.RawMessage
					for n := shard; n < len(shown); n += shards {
						of = append(of, shown[n])
					}
					for batch := range slices.Chunk(of, source.BatchSize) {
						r.now = r.now.Add(150 * time.Millisecond)
						if _, err := r.invoke(ctx, f.Name, func(log *slog.Logger) any {
							return sessionstream.New(sessionstream.Parts{Table: r.table, Now: func() time.Time { return r.now }, Log: log}).Handle
						}, map[string]any{"Records": batch}); err != nil {
							return err
						}
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	for _, pipe := range t.Pipes() {
		err := r.shown(pipe.Stream.Matches, feed.Ready(), func(shown []json.RawMessage) error {
			for batch := range slices.Chunk(shown, pipe.Stream.BatchSize) {
				answer, err := r.invoke(ctx, "ended-sessions", func(log *slog.Logger) any {
					return endedsessions.New(endedsessions.Parts{Index: r.table, Getter: memtable.Reader{Table: r.table}, Log: log}, endedsessions.Settings{Stack: "dcv-session-broker"}).Handle
				}, batch)
				if err != nil {
					return err
				}
				if err := r.announced(answer); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for _, rec := range r.table.All() {
		if rec[session.AttrState] != string(session.Deleted) {
			return nil, fmt.Errorf("%v", rec)
		}
	}
	if len(r.log.audit) != sessions {
		return nil, fmt.Errorf("%d announcements of %d sessions", len(r.log.audit), sessions)
	}
	return r.log, nil
}

// shown has what passes a filter of the stream's.
func (r *logRun) shown(matches func(json.RawMessage) (bool, error), changes []memtable.Change, have func([]json.RawMessage) error) error {
	var shown []json.RawMessage
	for n, c := range changes {
		event := c.Event(r.now, "arn:aws:dynamodb:us-east-1:123456789012:table/Sessions/stream/2026")
		event.EventID = fmt.Sprintf("%032x", n+1)
		text, err := json.Marshal(event)
		if err != nil {
			return err
		}
		passes, err := matches(text)
		if err != nil {
			return err
		}
		if passes {
			shown = append(shown, text)
		}
	}
	return have(shown)
}

// clientID is as long as those of Cognito.
const clientID = "1example234567890example12"

var accessVariable = regexp.MustCompile(`\$context\.[\w.]+`)

// api is API Gateway's line of the request.
func (r *logRun) api(sessions int) error {
	api, _ := r.template.Resource("HttpApi")
	settings, _ := api.Properties["AccessLogSettings"].(map[string]any)
	format, ok := settings["Format"].(string)
	if !ok {
		return fmt.Errorf("the API has no format of its log")
	}
	values := map[string]string{
		"$context.requestTime": "29/Nov/2026:12:00:00 +0000", "$context.requestId": "JKJaXmPLvHcESHA=", "$context.routeKey": "POST /deleteSessions", "$context.status": "200",
		"$context.identity.sourceIp": "203.0.113.17", "$context.authorizer.claims.client_id": clientID, "$context.authorizer.claims.sub": clientID,
		"$context.responseLatency": "123", "$context.responseLength": fmt.Sprint(90 * sessions),
	}
	r.log.access = append(r.log.access, accessVariable.ReplaceAllStringFunc(format, func(name string) string {
		if v, known := values[name]; known {
			return v
		}
		return "-"
	}))
	return nil
}

// announced keeps the events that the audit trail gets.
func (r *logRun) announced(answer []byte) error {
	var details []json.RawMessage
	if err := json.Unmarshal(answer, &details); err != nil {
		return err
	}
	for _, detail := range details {
		event, err := json.Marshal(map[string]any{
			"version": "0", "id": r.id(), "source": "dcv-session-broker", "detail-type": "DCV Session Ended", "account": "123456789012", "region": "us-east-1",
			"time": "2026-11-29T12:00:03Z", "resources": []string{}, "detail": detail,
		})
		if err != nil {
			return err
		}
		r.log.audit = append(r.log.audit, string(event))
	}
	return nil
}
