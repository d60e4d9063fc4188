package template_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

func load(t *testing.T, params map[string]string) *template.Template {
	t.Helper()
	loaded, err := template.Load("testdata/whole.yaml", params)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	patterns := cmp.Transformer("json", func(p *template.Pattern) string { return p.String() })
	if diff := cmp.Diff(want, got, patterns, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func parsePattern(t *testing.T, src string) *template.Pattern {
	t.Helper()
	p, err := template.ParsePattern([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFunctionsWithEverythingThatInvokesThem(t *testing.T) {
	equal(t, load(t, nil).Functions(), []template.Function{{
		Name:      "worker",
		LogicalID: "Worker",
		Timeout:   20 * time.Second,
		MemoryMB:  256,
		Environment: map[string]string{
			"LEVEL": "debug", "TABLE": "Table", "QUEUE": "Queue.Arn", "SWITCH": "off",
		},
		Routes: []template.Route{{Method: "ANY", Path: "/any"}, {Method: "POST", Path: "/work"}},
		Queues: []template.QueueSource{{
			Event: "Messages", Queue: "Queue", BatchSize: 50, Window: 2 * time.Second,
			ReportsFailures: true, MaxConcurrency: 5, Enabled: true,
		}},
		Streams: []template.StreamSource{{
			Event: "Changes", Table: "Table", BatchSize: 25, StartingPosition: "TRIM_HORIZON", Bisect: true,
			ReportsFailures: true, MaxRetries: 3, MaxRecordAge: 10 * time.Minute, Parallel: 1,
			OnFailureQueue: "Dead", Enabled: true,
			Filters: []*template.Pattern{
				parsePattern(t, `{"eventName":["INSERT"]}`),
				parsePattern(t, `{"dynamodb":{"NewImage":{"State":{"S":["DONE"]}}}}`),
			},
		}},
		Schedules: []template.Schedule{{
			Event: "Minute", Expression: "rate(1 minute)", Every: time.Minute, Input: `{"task": "deletions"}`,
			MaxRetries: 1, MaxEventAge: time.Minute,
		}},
	}})
}

func TestRulesWithTheirBusAndTargets(t *testing.T) {
	equal(t, load(t, nil).Rules(), []template.Rule{{
		LogicalID: "Rule",
		Bus:       "default",
		Pattern: parsePattern(t,
			`{"detail":{"document-name":["Document"],"status":[{"anything-but":["Pending"]}]},"source":["aws.ssm"]}`),
		Queues: []string{"Queue"},
	}, {
		LogicalID: "OtherBusRule",
		Bus:       "arn:aws:events:us-east-1:000000000000:event-bus/other",
		Pattern:   parsePattern(t, `{"source":["worker"]}`),
		Queues:    []string{"Queue"},
		Enabled:   true,
	}})
}

func TestPipesWithTheirStreamAndBus(t *testing.T) {
	want := template.Pipe{
		LogicalID: "Pipe",
		Stream: template.StreamSource{
			Table: "Table", BatchSize: 2, StartingPosition: "TRIM_HORIZON", MaxRetries: 3, MaxRecordAge: 10 * time.Minute, Parallel: 1,
			OnFailureQueue: "Dead", Enabled: true,
			Filters: []*template.Pattern{parsePattern(t, `{"eventName":["REMOVE"]}`)},
		},
		Enrichment: "Worker", Bus: "default", Source: "worker", DetailType: "Removed",
	}
	equal(t, load(t, nil).Pipes(), []template.Pipe{want})
	want.Bus = "arn:aws:events:us-east-1:000000000000:event-bus/other"
	equal(t, load(t, map[string]string{"Stage": "live", "Idle": "30", "Retries": "3"}).Pipes(), []template.Pipe{want})
}

func TestDetailTypeOfAPipesEvents(t *testing.T) {
	for _, c := range []struct{ parameter, detail, want string }{
		{"Removed", `{"Kind": "Added"}`, "Removed"},
		{"Removed", `{}`, "Removed"},
		{"$.Kind", `{"Kind": "Added", "kind": "x"}`, "Added"},
		{"$.Kind", `{"kind": "Added"}`, ""},
		{"$.Kind", `{"Kind": 5}`, ""},
		{"$.Kind", `{"Kind": ""}`, ""},
		{"$.Kind", `[]`, ""},
	} {
		got, err := template.Pipe{DetailType: c.parameter}.TypeOf([]byte(c.detail))
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s of %s: %q, %v", c.parameter, c.detail, got, err)
		}
	}
}

func TestQueuesWithTheirDeadLetterQueues(t *testing.T) {
	const fourDays = 96 * time.Hour
	equal(t, load(t, nil).Queues(), []template.Queue{
		{LogicalID: "Queue", VisibilityTimeout: time.Minute, Retention: fourDays, MaxReceiveCount: 7, DeadLetterQueue: "Dead"},
		{LogicalID: "Dead", VisibilityTimeout: 30 * time.Second, Retention: fourDays},
	})
}

func TestTablesWithKeysIndexesStreamAndExpiry(t *testing.T) {
	equal(t, load(t, nil).Tables(), []template.Table{{
		LogicalID:  "Table",
		Key:        template.Key{Hash: "Id"},
		Attributes: map[string]string{"Id": "S", "Lane": "S", "Due": "N"},
		Indexes: []template.Index{{
			Name: "due", Key: template.Key{Hash: "Lane", Range: "Due"}, Projection: "INCLUDE", NonKey: []string{"Host"},
		}},
		StreamView:   "NEW_IMAGE",
		TTLAttribute: "Until",
	}})
}

func TestDocumentsWithParametersAndSteps(t *testing.T) {
	documents := load(t, nil).Documents()
	hello := "hello"
	ignored := cmpopts.IgnoreFields(template.DocumentParameter{}, "AllowedPattern")
	want := []template.Document{{
		LogicalID: "Document",
		Parameters: map[string]template.DocumentParameter{
			"greeting": {Default: &hello, MinChars: 2, MaxChars: 10, EnvVar: true},
			"plain":    {AllowedValues: []string{"a", "b"}},
		},
		Steps: []template.Step{
			{Name: "linux", Action: template.RunShellScript, Platform: "Linux", Script: "#!/bin/sh\necho hello\n", Timeout: time.Minute},
			{Name: "any", Action: template.RunPowerShellScript, Script: "exit 0\n", Timeout: time.Hour},
		},
		Size:    documents[0].Size,
		Content: documents[0].Content,
	}}
	if diff := cmp.Diff(want, documents, ignored); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p := documents[0].Parameters["greeting"].AllowedPattern; p == nil || p.String() != "^[a-z]*$" {
		t.Errorf("allowedPattern of greeting is %v", p)
	}
	if text := documents[0].Content; len(text) != documents[0].Size || !strings.HasPrefix(text, `{"description":"test","mainSteps":[{"action":"aws:runShellScript"`) {
		t.Errorf("its content is %s", text)
	}
	if documents[0].Size < 300 {
		t.Errorf("a document of %d bytes", documents[0].Size)
	}
}

func TestFunctionsOfCloudFormationAreResolved(t *testing.T) {
	role, ok := load(t, nil).Resource("Role")
	if !ok {
		t.Fatal("no Role")
	}
	equal(t, role.Properties, map[string]any{"Names": []any{
		"local-test-Table.Arn-${Literal}",
		"b test",
		"x",
		"y",
	}})
}

func TestParametersDecideConditions(t *testing.T) {
	live := load(t, map[string]string{"Stage": "live", "Idle": "30", "Retries": "3"})
	if got := len(live.Queues()); got != 3 {
		t.Errorf("%d queues, want the conditional one too", got)
	}
	equal(t, live.Queues()[0], template.Queue{
		LogicalID: "Queue", VisibilityTimeout: 3 * time.Minute, Retention: 96 * time.Hour,
		MaxReceiveCount: 3, DeadLetterQueue: "Dead",
	})
	f := live.Functions()[0]
	if f.Environment["SWITCH"] != "on" || !f.Schedules[0].Enabled {
		t.Errorf("conditions do not hold: %v, %v", f.Environment, f.Schedules)
	}
	equal(t, live.Parameters(), map[string]string{"Stage": "live", "Idle": "30", "Retries": "3", "Lanes": "a, b"})
}

func TestConditionsOfSeveral(t *testing.T) {
	for condition, want := range map[string]bool{
		"!And [!Equals [a, a], !Equals [b, b]]":                      true,
		"!And [!Equals [a, a], !Equals [a, b], !Equals [b, b]]":      false,
		"!Or [!Equals [a, b], !Equals [a, a]]":                       true,
		"!Or [!Equals [a, b], !Equals [b, a]]":                       false,
		"!Not [!Or [!Equals [!Ref AWS::Region, a], !Equals [a, b]]]": true,
	} {
		text := "Conditions: {Some: " + condition + "}\nResources: {Queue: {Type: AWS::SQS::Queue, Condition: Some}}"
		made, err := template.Parse([]byte(text), nil)
		if err != nil {
			t.Errorf("%s: %v", condition, err)
		} else if got := len(made.Queues()) == 1; got != want {
			t.Errorf("%s is %v, not %v", condition, got, want)
		}
	}
}

func TestAStreamSourceShowsWhatAnyOfItsFiltersMatches(t *testing.T) {
	source := load(t, nil).Functions()[0].Streams[0]
	for record, want := range map[string]bool{
		`{"eventName": "INSERT", "dynamodb": {}}`:                                                 true,
		`{"eventName": "MODIFY", "dynamodb": {"NewImage": {"State": {"S": "DONE"}}}}`:             true,
		`{"eventName": "MODIFY", "dynamodb": {"NewImage": {"State": {"S": "OPEN"}}}}`:             false,
		`{"eventName": "REMOVE", "dynamodb": {"Keys": {"Id": {"S": "a"}}}}`:                       false,
		`{"eventName": "MODIFY", "dynamodb": {"NewImage": {"Other": {"S": "DONE"}, "State": 1}}}`: false,
	} {
		got, err := source.Matches([]byte(record))
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", record, got, err, want)
		}
	}
	source.Filters = nil
	if got, err := source.Matches([]byte(`{}`)); !got || err != nil {
		t.Errorf("without a filter: got %v, %v; want everything", got, err)
	}
}

// The names are those in the code and the documentation.
func TestTheTemplateOfThisProject(t *testing.T) {
	project := templatetest.Load(t, map[string]string{"FleetTagValue": "demo"})
	var names []string
	for _, f := range project.Functions() {
		names = append(names, f.Name)
	}
	for _, name := range []string{"delete-sessions", "host-events", "session-stream"} {
		if !strings.Contains(strings.Join(names, " "), name) {
			t.Errorf("there is no function %s in %v", name, names)
		}
	}
	if len(project.Tables()) == 0 || len(project.Rules()) == 0 || len(project.Documents()) == 0 {
		t.Error("tables, rules or documents are missing")
	}
}
