package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/local/runtimeapi"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// An answeringAWS answers a function over HTTP, without latency, for a fleet whose sessions are as
// its inventories say. It keeps nothing but which deletions it has shown as due.
type answeringAWS struct {
	hosts, sessions int  // of each host
	deleting        bool // all sessions have a deletion that is due

	mu    sync.Mutex
	due   []int // sessions that are due and were not shown yet
	calls map[string]int
}

// record is a session's record, with a deletion that is due if there are such.
func (a *answeringAWS) record(n int) session.Record {
	r := session.Listed(session.Session{
		ID: sessionID(n), Owner: fmt.Sprintf("user%03d@example.com", n/10), HostID: hostID(n / a.sessions), Name: "Desktop", Type: "virtual",
		CreationTime: "2026-11-23T08:30:00.123456Z", FirstSeenAt: time.Date(2026, 11, 23, 8, 31, 0, 0, time.UTC),
	})
	if a.deleting {
		ago := session.FormatTime(time.Now().Add(-3 * time.Minute))
		r[session.AttrState], r[session.AttrAttemptID], r[session.AttrDeletionRequestID] = "DELETING", "a1", "r1"
		r[session.AttrDeletionRequestedAt], r[session.AttrNextAttemptAt] = ago, ago
		r[session.AttrAttempts], r[session.AttrDueShard] = int64(1), "0"
	}
	return r
}

// inventory is the answer of a host, packed as the scripts do.
func (a *answeringAWS) inventory(host int) string {
	var lines bytes.Buffer
	for n := host * a.sessions; n < (host+1)*a.sessions; n++ {
		s := a.record(n).Session()
		fmt.Fprintf(&lines, `{"id":"%s","owner":"%s","name":"%s","type":"virtual","created":"%s","left":"","connections":0}`+"\n", s.ID, s.Owner, s.Name, s.CreationTime)
	}
	fmt.Fprintf(&lines, `{"end":%d}`+"\n", a.sessions)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(lines.Bytes())
	_ = z.Close()
	return `{"gzip":"` + base64.StdEncoding.EncodeToString(packed.Bytes()) + `"}` + "\n"
}

func dynamoItem(r session.Record) map[string]any {
	item := map[string]any{}
	for attr, v := range r {
		switch v := v.(type) {
		case string:
			item[attr] = map[string]string{"S": v}
		case int64:
			item[attr] = map[string]string{"N": strconv.FormatInt(v, 10)}
		}
	}
	return item
}

func (a *answeringAWS) items(first, last int) []any {
	items := []any{}
	for n := first; n < last; n++ {
		items = append(items, dynamoItem(a.record(n)))
	}
	return items
}

// sessionOf is the number in a session's ID.
func sessionOf(id string) int {
	n, _ := strconv.Atoi(id[strings.LastIndexByte(id, '-')+1:])
	return n
}

// ServeHTTP implements http.Handler.
func (a *answeringAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if operation == "" { // EC2: all hosts run
		_ = r.ParseForm()
		fmt.Fprint(w, `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item><instancesSet>`)
		for _, values := range r.PostForm {
			if strings.HasPrefix(values[0], "i-") {
				fmt.Fprintf(w, `<item><instanceId>%s</instanceId><instanceState><code>16</code><name>running</name></instanceState></item>`, values[0])
			}
		}
		fmt.Fprint(w, `</instancesSet></item></reservationSet></DescribeInstancesResponse>`)
		return
	}
	var in struct {
		Statements []struct {
			Parameters []struct{ S string }
		}
		IndexName                 string
		ExpressionAttributeValues map[string]struct{ S string }
		ExclusiveStartKey         map[string]struct{ S string }
		Limit                     int
		RequestItems              map[string]struct {
			Keys []map[string]struct{ S string }
		}
		NextToken  string
		InstanceID string `json:"InstanceId"`
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	a.mu.Lock()
	a.calls[operation]++
	a.mu.Unlock()
	out := map[string]any{}
	switch operation {
	case "BatchExecuteStatement":
		var responses []any
		for _, s := range in.Statements {
			for _, p := range slices.Backward(s.Parameters) {
				if strings.HasPrefix(p.S, sessionID(0)[:24]) {
					responses = append(responses, map[string]any{"TableName": "Sessions", "Item": dynamoItem(a.record(sessionOf(p.S)))})
					break
				}
			}
		}
		out["Responses"] = responses
	case "BatchGetItem":
		found := map[string]any{}
		for table, of := range in.RequestItems {
			items := []any{}
			for _, key := range of.Keys {
				if id := key["SessionId"].S; strings.HasPrefix(id, sessionID(0)[:24]) {
					items = append(items, dynamoItem(a.record(sessionOf(id))))
				}
			}
			found[table] = items
		}
		out["Responses"] = found
	case "Scan":
		first := 0
		if id := in.ExclusiveStartKey["SessionId"].S; strings.HasPrefix(id, sessionID(0)[:24]) {
			first = sessionOf(id) + 1
		}
		last := min(first+in.Limit, a.hosts*a.sessions)
		out["Items"] = a.items(first, last)
		if in.IndexName != "" { // of hosts: no more than those that answered
			out["Items"] = []any{}
		} else if last < a.hosts*a.sessions {
			out["LastEvaluatedKey"] = map[string]any{"SessionId": map[string]string{"S": sessionID(last - 1)}}
		}
	case "Query":
		items := []any{}
		switch in.IndexName {
		case "by-live-host":
			host, _ := strconv.ParseInt(strings.TrimPrefix(in.ExpressionAttributeValues[":key"].S, "i-"), 16, 64)
			first := int(host-1) * a.sessions
			last := first + a.sessions
			if after := in.ExpressionAttributeValues[":after"].S; strings.HasPrefix(after, sessionID(0)[:24]) {
				first = sessionOf(after) + 1
			}
			if last > first+in.Limit {
				last = first + in.Limit
				out["LastEvaluatedKey"] = map[string]any{"SessionId": map[string]string{"S": sessionID(last - 1)}}
			}
			items = a.items(first, last)
		case "by-lease":
			if _, due := in.ExpressionAttributeValues[":now"]; due && in.ExpressionAttributeValues[":lane"].S == "0" {
				a.mu.Lock()
				some := a.due[:min(250, len(a.due))]
				a.due = a.due[len(some):]
				a.mu.Unlock()
				for _, n := range some {
					items = append(items, dynamoItem(a.record(n)))
				}
			}
		}
		out["Items"] = items
	case "ListCommandInvocations":
		first, _ := strconv.Atoi(in.NextToken)
		last := min(first+50, a.hosts)
		var invocations []any
		for n := first; n < last; n++ {
			invocations = append(invocations, map[string]any{
				"CommandId": "c1", "InstanceId": hostID(n), "Comment": "inventory 00000000-0000-4000-8000-000000000001 " + session.FormatTime(time.Now().Add(-time.Minute)),
				"Status": "Success", "StatusDetails": "Success",
				"CommandPlugins": []any{map[string]any{"Name": "linux", "Status": "Success", "Output": a.inventory(n)[:min(2500, len(a.inventory(n)))]}},
			})
		}
		out["CommandInvocations"] = invocations
		if last < a.hosts {
			out["NextToken"] = strconv.Itoa(last)
		}
	case "GetCommandInvocation":
		n, _ := strconv.ParseInt(strings.TrimPrefix(in.InstanceID, "i-"), 16, 64)
		out["StandardOutputContent"] = a.inventory(int(n - 1))
	case "SendCommand":
		out["Command"] = map[string]any{"CommandId": "c0000000-0000-4000-8000-000000000001"}
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	_ = json.NewEncoder(w).Encode(out)
}

// measureMemory runs a function, as it is deployed, for one event, and returns the most memory that its process had.
func measureMemory(t *testing.T, function string, a *answeringAWS, event any) (peak, limit int, took time.Duration) {
	t.Helper()
	a.calls = map[string]int{}
	all := templatetest.Load(t, nil).Functions()
	f := all[slices.IndexFunc(all, func(f template.Function) bool { return f.Name == function })]
	server := httptest.NewServer(a)
	defer server.Close()
	env := append(environment(server.URL), fmt.Sprint("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=", f.MemoryMB), "GIVE_UP_AFTER_MINUTES=60", "INDEX_STEP=4")
	bootstrap := filepath.Join(t.TempDir(), function)
	build := exec.CommandContext(t.Context(), "go", "build", "-tags=lambda.norpc", "-o", bootstrap, "../../functions/"+function)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	running, err := runtimeapi.Start(bootstrap, env)
	if err != nil {
		t.Fatal(err)
	}
	defer running.Stop()
	text, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // this machine may be slow
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: awsenv.NewID()})
	began := time.Now()
	answer, err := running.Invoke(ctx, text)
	if err != nil {
		t.Errorf("%s: %v: %.300s", function, err, answer)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", running.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &peak)
		}
	}
	fmt.Println(function, a.calls)
	return peak >> 10, f.MemoryMB, time.Since(began)
}

func answersTo(command string, hosts int) (event events.SQSEvent) {
	for n := range hosts {
		event.Records = append(event.Records, events.SQSMessage{MessageId: fmt.Sprint(n), Body: fmt.Sprintf(
			`{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification","detail":{"command-id":"%s","document-name":"Inventory","instance-id":"%s","status":"Success"}}`, command, hostID(n))})
	}
	return event
}

// printFleetMemory prints what the functions need at most.
func printFleetMemory(t *testing.T) {
	const hosts, sessions = 10_000, 5
	fleet := func() *answeringAWS { return &answeringAWS{hosts: hosts, sessions: sessions} }
	full := &answeringAWS{hosts: 2000, sessions: 370}
	mass := fleet()
	mass.deleting = true
	for n := range hosts {
		mass.due = append(mass.due, n)
	}
	request := (&fleetWorld{sessions: sessions}).deleteRequest(0, 200, sessions)
	rule := json.RawMessage(`{"task":"close","name":"nightly","select":{"all":true},"limit":` + fmt.Sprint(session.MaxRuleLimit) + `}`)
	var rows [][]string
	for _, c := range []struct {
		what, function string
		aws            *answeringAWS
		event          any
	}{
		{"1,000 entries on 200 hosts", "delete-sessions", fleet(), request},
		{"a batch of 2,000 inventories, five sessions each", "host-events", &answeringAWS{hosts: 2000, sessions: sessions}, answersTo("c1", 2000)},
		{"a batch of 2,000 inventories, 370 sessions each", "host-events", full, answersTo("c1", 2000)},
		{"an inventory of 10,000 hosts", "cleanup", fleet(), json.RawMessage(`{"task":"inventory"}`)},
		{"10,000 due deletions on 2,000 hosts", "cleanup", mass, json.RawMessage(`{"task":"deletions"}`)},
		{"a rule with the largest limit", "cleanup", fleet(), rule},
	} {
		peak, limit, took := measureMemory(t, c.function, c.aws, c.event)
		rows = append(rows, []string{c.function, c.what, fmt.Sprintf("%d MB", peak), fmt.Sprintf("%d MB", limit), took.Round(time.Second / 10).String()})
		fmt.Println(rows[len(rows)-1])
	}
	fmt.Println(table([]string{"function", "event", "peak", "limit", "took"}, rows))
}
