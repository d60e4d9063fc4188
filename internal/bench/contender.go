package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/local/runtimeapi"
	"dcv-session-broker/internal/session"
)

// A contender is a function that deletes sessions, as it would be deployed.
type contender struct {
	name, path string
	ours       bool
	// slow: a large batch takes seconds and is measured once.
	slow bool

	running *runtimeapi.Function
}

func environment(url string) []string {
	env := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": "/nonexistent",
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_ENDPOINT_URL_DYNAMODB": url, "AWS_ENDPOINT_URL_SSM": url, "AWS_ENDPOINT_URL_EC2": url,
		"SESSIONS_TABLE": "Sessions", "HOSTS_TABLE": "Hosts",
		"CLOSE_DOCUMENT": "Close", "NOTIFY_DOCUMENT": "Notify", "INVENTORY_DOCUMENT": "Inventory", "IDLE_DOCUMENT": "Idle",
		"FLEET_TAG_VALUE": "default", "CALL_TIMEOUT_SECONDS": "60", "STACK": "bench",
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// start starts the function and invokes it once, so that the start is not part of the
// measurement.
func (c *contender) start(ctx context.Context, server *standin.Server) (err error) {
	if c.running, err = runtimeapi.Start(c.path, environment(server.URL)); err != nil {
		return err
	}
	server.Begin(standin.Latency{})
	_, err = c.delete(ctx, server, 25, 1)
	return err
}

func hostID(n int) string    { return fmt.Sprintf("i-%017x", n+1) }
func sessionID(n int) string { return fmt.Sprintf("3f1d2a56-9c4e-4a7b-8d10-%012d", n) } // as long as a UUID

// records returns n sessions as an inventory lists them, distributed over the hosts.
func records(n, hosts int) []session.Record {
	var all []session.Record
	for i := range n {
		all = append(all, session.Listed(session.Session{
			ID: sessionID(i), Owner: fmt.Sprintf("user%03d@example.com", i/10), HostID: hostID(i % hosts), Name: "Desktop", Type: "virtual",
			CreationTime: "2026-11-23T08:30:00.123456Z", FirstSeenAt: time.Date(2026, 11, 23, 8, 31, 0, 0, time.UTC),
		}))
	}
	return all
}

// fill puts n sessions on so many hosts into the table, and returns the request
// to delete them all.
func fill(table *standin.Table, n, hosts int) []byte {
	items := map[string]standin.Item{}
	var entries []map[string]any
	for _, r := range records(n, hosts) {
		item := standin.Item{}
		for attr, v := range r {
			switch v := v.(type) {
			case string:
				item[attr] = standin.Text(v)
			case int64:
				item[attr] = json.RawMessage(`{"N":"` + strconv.FormatInt(v, 10) + `"}`)
			}
		}
		s := r.Session()
		items[s.ID] = item
		entries = append(entries, map[string]any{"SessionId": s.ID, "Owner": s.Owner, "Force": false})
	}
	table.Fill(items)
	body, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	event, err := json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /deleteSessions", RawPath: "/deleteSessions", Body: string(body),
		Headers: map[string]string{"content-type": "application/json"},
	})
	if err != nil {
		panic(err)
	}
	return event
}

// delete lets the function delete n sessions, and returns how long it took.
func (c *contender) delete(ctx context.Context, server *standin.Server, n, hosts int) (time.Duration, error) {
	event := fill(server.Table, n, hosts)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: awsenv.NewID()})
	began := time.Now()
	answer, err := c.running.Invoke(ctx, event)
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	if got := strings.Count(string(answer), "DELETING"); got != n {
		return 0, fmt.Errorf("%s deleted %d sessions of %d: %.2000s", c.name, got, n, answer)
	}
	for i := range n {
		if string(server.Table.Get(sessionID(i))["State"]) != `{"S":"DELETING"}` &&
			string(server.Table.Get(sessionID(i))["State"]) != `{"S": "DELETING"}` {
			return 0, fmt.Errorf("%s left %s in the table as it was", c.name, sessionID(i))
		}
	}
	return took, nil
}

// cpu returns the processor time that the function has used so far.
func (c *contender) cpu() (used time.Duration, err error) {
	if used, err = processorTimeOf(c.running.Pid()); err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return used, nil
}

// processorTimeOf returns the processor time that a process has used so far: the sum over
// its threads (field 1 of schedstat, in nanoseconds). Go and Python do not end threads.
func processorTimeOf(pid int) (used time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	if len(threads) == 0 {
		return 0, errors.New("no account of its processor time in /proc")
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		on, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(on, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		used += time.Duration(ns)
	}
	return used, nil
}
