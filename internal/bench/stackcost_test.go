package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

func deployed(t *testing.T, old, changed string) *template.Template {
	t.Helper()
	text, err := os.ReadFile(templateFile)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("%q is not in the template", old)
	}
	tmpl, err := template.Parse([]byte(strings.Replace(string(text), old, changed, 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func TestDeployingHasTheCostOfAStack(t *testing.T) {
	const path = "../operate/DEPLOYING.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, written, _, err := section(path, string(text), "make cost")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written, "\n"+stackCosts(deployed(t, "", ""))+"\n"); diff != "" {
		t.Errorf("KEEP=1 make cost writes it again (-DEPLOYING.md +the template):\n%s", diff)
	}
}

func TestAddedResourcesCostMore(t *testing.T) {
	_, before := stackCost(deployed(t, "", ""), 10)
	for what, change := range map[string][2]string{
		"an alarm":    {"\n  StreamAgeAlarm:", "\n  Another: {Type: AWS::CloudWatch::Alarm, Properties: {MetricName: x}}\n\n  StreamAgeAlarm:"},
		"a schedule":  {"State: !If [CloseIdle, ENABLED, DISABLED]", "State: ENABLED"},
		"a dashboard": {"\n  Dashboard:", "\n  Another: {Type: AWS::CloudWatch::Dashboard, Properties: {DashboardBody: x}}\n\n  Dashboard:"},
		"more often":  {"rate(1 minute)", "rate(30 minutes)"},
		"more memory": {"MemorySize: 256", "MemorySize: 512"},
	} {
		if _, after := stackCost(deployed(t, change[0], change[1]), 10); after == before {
			t.Errorf("%s costs nothing", what)
		}
	}
}

// A dashboard of up to 50 metrics can be one of the three that an account has free.
func TestTheDashboardIsTooLargeToBeFree(t *testing.T) {
	dashboard, _ := deployed(t, "", "").Resource("Dashboard")
	var body struct {
		Widgets []struct{ Properties struct{ Metrics []any } }
	}
	if err := json.Unmarshal([]byte(dashboard.Properties["DashboardBody"].(string)), &body); err != nil {
		t.Fatal(err)
	}
	metrics := 0
	for _, widget := range body.Widgets {
		metrics += len(widget.Properties.Metrics)
	}
	if metrics <= 50 {
		t.Errorf("the dashboard has %d metrics: the bill says that it cannot be free", metrics)
	}
}

// inTheBill is how each type of resource is counted: in a line of the bill, with
// what uses it, or not at all.
var inTheBill = map[string]string{
	"AWS::CloudWatch::Alarm":               "alarms",
	"AWS::CloudWatch::Dashboard":           "dashboard",
	"AWS::Cognito::UserPool":               "its client",
	"AWS::Cognito::UserPoolClient":         "client, tokens",
	"AWS::Cognito::UserPoolDomain":         "nothing",
	"AWS::Cognito::UserPoolResourceServer": "nothing",
	"AWS::DynamoDB::Table":                 "tables, requests for their key",
	"AWS::Events::Rule":                    "events of AWS's services are free; announcements are a deletion's",
	"AWS::IAM::Policy":                     "nothing",
	"AWS::IAM::Role":                       "nothing",
	"AWS::Logs::LogGroup":                  "logs",
	"AWS::Logs::QueryDefinition":           "nothing until it is run",
	"AWS::Logs::ResourcePolicy":            "nothing",
	"AWS::Pipes::Pipe":                     "events that its filter drops are free; announcements are a deletion's",
	"AWS::SQS::Queue":                      "polls, if a function reads it; the others have messages where something fails",
	"AWS::SQS::QueuePolicy":                "nothing",
	"AWS::SSM::Document":                   "nothing",
	"AWS::Serverless::Function":            "runs of cleanup, answers; the others are called for a deletion or a caller",
	"AWS::Serverless::HttpApi":             "requests, of callers",
}

func TestEveryTypeOfResourceIsInTheBill(t *testing.T) {
	for _, r := range deployed(t, "", "").Resources() {
		if inTheBill[r.Type] == "" {
			t.Errorf("%s: what does %s cost while nothing happens?", r.LogicalID, r.Type)
		}
	}
}

// A logged is what a function writes.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.text)
}

// The counts from which the cost is computed are those of a running system with known
// hosts and without changes.
func TestCountsOfAStack(t *testing.T) {
	const hosts = 4
	written := map[string]*logged{}
	for _, f := range deployed(t, "", "").Functions() {
		written[f.Name] = &logged{}
	}
	never := map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1}
	sys, err := system.New(t.Context(), system.Options{Template: templateFile, Dir: t.TempDir(), Every: never, Output: func(function string) io.Writer { return written[function] }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	ask := func(method, path, body string) string {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		r.RemoteAddr, r.Host = "127.0.0.1:4711", "127.0.0.1:8080"
		w := httptest.NewRecorder()
		sys.Handler().ServeHTTP(w, r)
		if w.Code >= http.StatusBadRequest {
			t.Fatalf("%s %s: %s", method, path, w.Body)
		}
		return w.Body.String()
	}
	for host := range hosts {
		for n := range restingSessions {
			ask(http.MethodPut, fmt.Sprintf("/local/hosts/i-%017x/sessions/%d-%d", host+1, host, n), `{"Owner": "user1"}`)
		}
	}
	// calls of the tables that the task makes, and those that follow from it.
	size := map[string]int{} // of what was logged then, by function
	batches := 0             // of answers: on a busy machine they come in several
	calls := func(task string, answers int) (byCleanup, byHostEvents map[string]int) {
		t.Helper()
		ask(http.MethodDelete, "/local/calls", "")
		before := map[string]int{}
		for function, l := range written {
			before[function] = len(l.bytes())
		}
		ask(http.MethodPost, "/local/cleanup/"+task, "")
		var all map[string]map[string]int
		for until := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
			all = nil
			if err := json.Unmarshal([]byte(ask(http.MethodGet, "/local/calls", "")), &all); err != nil {
				t.Fatal(err)
			}
			told := 0 // by what each invocation writes last
			of := regexp.MustCompile(`"InventorySessions":\[([0-9,]+)\]`).FindAllSubmatch(written["host-events"].bytes()[before["host-events"]:], -1)
			for _, values := range of {
				told += 1 + strings.Count(string(values[1]), ",")
			}
			if batches = len(of); all["host-events"]["table:RecordAnswer"] == answers && told == answers {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("%d hosts do not answer: %v", answers, all)
			}
		}
		for function, l := range written {
			size[function] = len(l.bytes()) - before[function]
		}
		for _, some := range all {
			maps.DeleteFunc(some, func(call string, _ int) bool { return !strings.HasPrefix(call, "table:") })
		}
		return all["cleanup"], all["host-events"]
	}
	near := func(what string, got, want int) {
		if got < want/2 || got > want*2 {
			t.Errorf("%s: %d bytes, not about %d", what, got, want)
		}
	}
	calls("inventory", hosts) // lists them
	byCleanup, _ := calls("inventory", hosts)
	if got := byCleanup["table:RecordOwnerTag"]; got != hosts {
		t.Errorf("the tags of %d hosts are kept, of %d", got, hosts)
	}
	byCleanup, byHostEvents := calls("inventory", hosts) // nothing is new
	if diff := cmp.Diff(inInventoryRun, byCleanup); diff != "" {
		t.Errorf("a run of inventory (-counted on +made):\n%s", diff)
	}
	perAnswer := map[string]int{}
	for call, n := range byHostEvents {
		perAnswer[call] = n / hosts
	}
	if diff := cmp.Diff(inAnswer, perAnswer); diff != "" {
		t.Errorf("an answer of a host (-counted on +made):\n%s", diff)
	}
	near("a run of inventory", size["cleanup"], loggedByRun)
	near("the answers of all hosts", size["host-events"], hosts*loggedByAnswer+batches*loggedByBatch)
	byCleanup, _ = calls("deletions", 0)
	if diff := cmp.Diff(inDeletionsRun, byCleanup); diff != "" {
		t.Errorf("a run of deletions (-counted on +made):\n%s", diff)
	}
	near("a run of deletions", size["cleanup"], loggedByRun)

	metrics := map[session.Metric]bool{}
	for _, l := range written {
		for _, name := range regexp.MustCompile(`"Name":"(\w+)"`).FindAllSubmatch(l.bytes(), -1) {
			metrics[session.Metric(name[1])] = true
		}
	}
	want := slices.Sorted(slices.Values(slices.Concat(restingMetrics, answeringMetrics)))
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(metrics))); diff != "" {
		t.Errorf("metrics with values (-counted on +written):\n%s", diff)
	}
}
