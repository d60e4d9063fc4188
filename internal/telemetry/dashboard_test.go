package telemetry_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/telemetry"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

var reasons = []string{session.RefusedNoSuchSession, session.RefusedByHost, session.RefusedNotRecorded}

// services are AWS's metrics that the stack uses, with their dimensions. Lambda
// developer guide, "Types of metrics for Lambda functions"; API Gateway developer
// guide, "Monitor CloudWatch metrics for HTTP APIs"; SQS developer guide, "Available
// CloudWatch metrics for Amazon SQS"; EventBridge user guide, "Logging and monitoring
// Amazon EventBridge Pipes", which leaves out the namespace: exporters of it
// (prometheus-community/yet-another-cloudwatch-exporter, issue 1422) name it.
var services = map[string][]string{
	"AWS/Lambda FunctionName": {"Errors", "Throttles", "Duration", "IteratorAge"},
	"AWS/ApiGateway ApiId":    {"Count", "4xx", "5xx", "Latency"},
	"AWS/SQS QueueName":       {"ApproximateNumberOfMessagesVisible"},

	"AWS/EventBridge/Pipes PipeName": {"EventCount", "ExecutionFailed", "ExecutionTimeout", "ExecutionPartiallyFailed"},
}

// checkMetric checks that something writes the metric with these dimensions. The
// stack's name in the tests is "local".
func checkMetric(t *testing.T, at, namespace, name string, dimensions map[string]string) {
	t.Helper()
	keys := slices.Sorted(maps.Keys(dimensions))
	if namespace != telemetry.Namespace {
		if len(keys) != 1 || !slices.Contains(services[namespace+" "+keys[0]], name) {
			t.Errorf("%s: no service has the metric %s %s by %q", at, namespace, name, keys)
		}
		return
	}
	known := slices.Contains(session.Metrics, session.Metric(name)) && dimensions["Stack"] == "local"
	switch reason, byReason := dimensions["Reason"]; {
	case byReason:
		known = known && len(keys) == 2 && name == string(session.EntriesRefused) && slices.Contains(reasons, reason)
	default:
		known = known && len(keys) == 1
	}
	if !known {
		t.Errorf("%s: nothing writes the metric %s with %v", at, name, dimensions)
	}
}

type widget struct {
	Type                string
	X, Y, Width, Height int
	Properties          struct {
		Title, Region, Query, Stat string
		Alarms                     []string
		Metrics                    [][]any
	}
}

func dashboard(t *testing.T, tmpl *template.Template) []widget {
	t.Helper()
	r, ok := tmpl.Resource("Dashboard")
	if !ok {
		t.Fatal("no dashboard")
	}
	var body struct{ Widgets []widget }
	if err := json.Unmarshal([]byte(r.Properties["DashboardBody"].(string)), &body); err != nil {
		t.Fatal(err)
	}
	return body.Widgets
}

func TestDashboardShowsEveryMetricAndNoOther(t *testing.T) {
	tmpl := templatetest.Load(t, nil)
	shown := map[string]bool{}
	for _, w := range dashboard(t, tmpl) {
		if w.Type == "metric" && (w.Properties.Region == "" || w.Properties.Stat == "" || len(w.Properties.Metrics) == 0) {
			t.Errorf("widget %q lacks its region, its statistic or its metrics", w.Properties.Title)
		}
		for _, m := range w.Properties.Metrics {
			var words []string
			for _, word := range m {
				if text, ok := word.(string); ok {
					words = append(words, text)
				}
			}
			dimensions := map[string]string{}
			for i := 2; i+1 < len(words); i += 2 {
				dimensions[words[i]] = words[i+1]
			}
			checkMetric(t, w.Properties.Title, words[0], words[1], dimensions)
			shown[words[1]+dimensions["Reason"]] = true
		}
	}
	for _, m := range session.Metrics {
		if !shown[string(m)] {
			t.Errorf("the dashboard does not show %s", m)
		}
	}
	for _, reason := range reasons {
		if !shown[string(session.EntriesRefused)+reason] {
			t.Errorf("the dashboard does not show entries refused as %s", reason)
		}
	}
}

func TestDashboardIsReadFromTheTop(t *testing.T) {
	var questions []string
	end := 0
	taken := map[[2]int]string{}
	for _, w := range dashboard(t, templatetest.Load(t, nil)) {
		if w.Type == "text" {
			if w.Y < end {
				t.Errorf("a heading at %d is next to what ends at %d", w.Y, end)
			}
			questions = append(questions, w.Properties.Title)
		}
		for x := w.X; x < w.X+w.Width; x++ {
			for y := w.Y; y < w.Y+w.Height; y++ {
				if other, is := taken[[2]int{x, y}]; is || x >= 24 {
					t.Fatalf("%q lies over %q, or beyond the 24 columns", w.Properties.Title, other)
				}
				taken[[2]int{x, y}] = w.Properties.Title
			}
		}
		end = max(end, w.Y+w.Height)
	}
	body := templatetest.Load(t, nil)
	r, _ := body.Resource("Dashboard")
	headings := regexp.MustCompile(`"markdown": "# ([^"]+)"`).FindAllStringSubmatch(r.Properties["DashboardBody"].(string), -1)
	var got []string
	for _, h := range headings {
		got = append(got, h[1])
	}
	if want := []string{"Is anything stuck?", "Since when?", "Which hosts?", "Traffic", "Errors"}; !slices.Equal(got, want) || len(questions) != len(want) {
		t.Errorf("headings %q, want %q", got, want)
	}
}

// The queries of the dashboard name fields that lines have, and log groups of
// the template.
func TestDashboardQueriesNameWhatThereIs(t *testing.T) {
	tmpl := templatetest.Load(t, nil)
	words := regexp.MustCompile(`\b[A-Z]\w+`)
	for _, w := range dashboard(t, tmpl) {
		if w.Type != "log" {
			continue
		}
		groups := 0
		for _, command := range strings.Split(w.Properties.Query, " | ") {
			if group, ok := strings.CutPrefix(command, "SOURCE "); ok {
				if r, ok := tmpl.Resource(strings.Trim(group, "'")); !ok || r.Type != "AWS::Logs::LogGroup" {
					t.Errorf("%q: no log group %s", w.Properties.Title, group)
				}
				groups++
				continue
			}
			for _, word := range words.FindAllString(command, -1) {
				made := strings.Contains(w.Properties.Query, " as "+word)
				level := word == "WARN" || word == "ERROR"
				if telemetry.Attributes[word] == "" && !made && !level {
					t.Errorf("%q: lines have no %s", w.Properties.Title, word)
				}
			}
		}
		if groups == 0 {
			t.Errorf("%q reads no log group", w.Properties.Title)
		}
	}
}

type alarm struct {
	Namespace, MetricName string
	Dimensions            []dimension
	Metrics               []struct {
		ID         string `json:"Id"`
		Expression string
		MetricStat struct {
			Metric struct {
				Namespace, MetricName string
				Dimensions            []dimension
			}
		}
	}
	AlarmDescription, AlarmName, TreatMissingData string
	AlarmActions, OKActions                       []string
}

type dimension struct{ Name, Value string }

func byName(dimensions []dimension) map[string]string {
	m := map[string]string{}
	for _, d := range dimensions {
		m[d.Name] = d.Value
	}
	return m
}

// alarms returns the template's alarms, by logical ID.
func alarms(t *testing.T, tmpl *template.Template) map[string]alarm {
	t.Helper()
	source, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]alarm{}
	for _, id := range regexp.MustCompile(`(?m)^  (\w+):\n    Type: AWS::CloudWatch::Alarm$`).FindAllStringSubmatch(string(source), -1) {
		r, ok := tmpl.Resource(id[1])
		if !ok {
			continue
		}
		text, err := json.Marshal(r.Properties)
		if err != nil {
			t.Fatal(err)
		}
		var a alarm
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatalf("%s: %v", id[1], err)
		}
		all[id[1]] = a
	}
	return all
}

func TestAlarmsWatchWhatThereIs(t *testing.T) {
	tmpl := templatetest.Load(t, nil)
	watched := map[string]bool{}
	watch := func(at, namespace, name string, dimensions []dimension) {
		checkMetric(t, at, namespace, name, byName(dimensions))
		for _, d := range dimensions {
			watched[name+" "+d.Value] = true
		}
	}
	for id, a := range alarms(t, tmpl) {
		if a.MetricName != "" {
			watch(id, a.Namespace, a.MetricName, a.Dimensions)
		}
		for _, m := range a.Metrics {
			if m.Expression == "" {
				watch(id, m.MetricStat.Metric.Namespace, m.MetricStat.Metric.MetricName, m.MetricStat.Metric.Dimensions)
			}
		}
		if a.TreatMissingData == "" {
			t.Errorf("%s: does not say what missing values mean", id)
		}
		if a.AlarmName != "" {
			t.Errorf("%s: a second stack could not have an alarm named %s", id, a.AlarmName)
		}
		if len(a.AlarmActions)+len(a.OKActions) > 0 {
			t.Errorf("%s: actions without a topic: %q", id, a.AlarmActions)
		}
	}
	want := []string{"OldestOpenDeletionSeconds local", "OpenDeletions local", "InventoriesSent local", "DeletionsGivenUp local", "ExecutionFailed EndedSessionsPipe", "EventCount EndedSessionsPipe", "IteratorAge SessionStreamFunction"}
	for _, f := range tmpl.Functions() {
		want = append(want, "Errors "+f.LogicalID, "Throttles "+f.LogicalID)
	}
	for _, q := range tmpl.Queues() {
		if q.DeadLetterQueue == "" {
			want = append(want, "ApproximateNumberOfMessagesVisible "+q.LogicalID+".QueueName")
		}
	}
	for _, w := range want {
		if !watched[w] {
			t.Errorf("no alarm watches %s", w)
		}
	}
}

func TestAlarmsGoToTheTopic(t *testing.T) {
	const topic = "arn:aws:sns:eu-west-1:123456789012:on-call"
	for id, a := range alarms(t, templatetest.Load(t, map[string]string{"AlarmTopicArn": topic})) {
		if !slices.Equal(a.AlarmActions, []string{topic}) || !slices.Equal(a.OKActions, []string{topic}) {
			t.Errorf("%s: %q, %q", id, a.AlarmActions, a.OKActions)
		}
	}
}

// Every alarm names its section of the runbook, and the dashboard shows every alarm.
func TestEveryAlarmNamesItsSection(t *testing.T) {
	runbook, err := os.ReadFile("../operate/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := templatetest.Load(t, nil)
	all := alarms(t, tmpl)
	if len(all) < 10 {
		t.Errorf("only %d alarms", len(all))
	}
	named := regexp.MustCompile(`RUNBOOK\.md, "([^"]+)"\.$`)
	sections := map[string]bool{}
	for id, a := range all {
		name := named.FindStringSubmatch(a.AlarmDescription)
		if name == nil {
			t.Errorf("%s: names no section of RUNBOOK.md: %s", id, a.AlarmDescription)
			continue
		}
		sections[name[1]] = true
		if !strings.Contains(string(runbook), "\n## "+name[1]+"\n") {
			t.Errorf("%s: RUNBOOK.md has no section %q", id, name[1])
		}
	}
	for _, w := range dashboard(t, tmpl) {
		if w.Type != "alarm" {
			continue
		}
		shown := slices.Sorted(slices.Values(w.Properties.Alarms))
		var want []string
		for _, id := range slices.Sorted(maps.Keys(all)) {
			want = append(want, id+".Arn")
		}
		if !slices.Equal(shown, want) {
			t.Errorf("the dashboard shows the alarms %q, of %q", shown, want)
		}
	}
}
