package system

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/runtimeapi"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/telemetry"
	"dcv-session-broker/internal/template"
)

// written holds what functions of this process have written.
type written struct {
	mu   sync.Mutex
	text map[string]*bytes.Buffer
}

type writtenBy struct {
	*written
	function string
}

func (w *written) of(function string) io.Writer { return writtenBy{w, function} }

func (w writtenBy) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text == nil {
		w.text = map[string]*bytes.Buffer{}
	}
	if w.text[w.function] == nil {
		w.text[w.function] = &bytes.Buffer{}
	}
	return w.text[w.function].Write(p)
}

// output returns what a function has written, one line in each element.
func (s *testSystem) output(function string) []string {
	text := ""
	if built, ok := s.recorders[function].handler.(*runtimeapi.Function); ok {
		text = built.Output()
	} else {
		s.written.mu.Lock()
		if buffer := s.written.text[function]; buffer != nil {
			text = buffer.String()
		}
		s.written.mu.Unlock()
	}
	return slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" })
}

const metricMark = `"_aws":`

// until waits until holds returns true.
func until(t interface{ Fatalf(string, ...any) }, holds func() bool, otherwise func() string) {
	for deadline := time.Now().Add(waitLimit); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s", otherwise())
		}
	}
}

func cmdLogged(s *testSystem, ts *testscript.TestScript, args []string) {
	negated := args[0] == "!"
	if negated {
		args = args[1:]
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	fits := func() bool {
		return slices.ContainsFunc(s.output(args[0]), func(line string) bool {
			return !strings.Contains(line, metricMark) && pattern.MatchString(line)
		})
	}
	if negated {
		if fits() {
			ts.Fatalf("%s has written a line that %s fits", args[0], pattern)
		}
		return
	}
	until(ts, fits, func() string {
		return fmt.Sprintf("no line fits %s:\n%s", pattern, strings.Join(s.output(args[0]), "\n"))
	})
}

// values returns all values of a metric, of all functions.
func (s *testSystem) values(name, reason string) (values []float64, err error) {
	for function := range s.recorders {
		for _, line := range s.output(function) {
			if !strings.Contains(line, metricMark) {
				continue
			}
			var document map[string]json.RawMessage
			if err := json.Unmarshal([]byte(line), &document); err != nil {
				return nil, err
			}
			var some []float64
			if text, ok := document[name]; ok && (reason == "" || string(document["Reason"]) == strconv.Quote(reason)) {
				if err := json.Unmarshal(text, &some); err != nil {
					return nil, err
				}
			}
			values = append(values, some...)
		}
	}
	return values, nil
}

func cmdMetric(s *testSystem, ts *testscript.TestScript, args []string) {
	name, reason, _ := strings.Cut(args[0], "/")
	if !slices.Contains(session.Metrics, session.Metric(name)) {
		ts.Fatalf("there is no metric %s", name)
	}
	measured := func() []float64 {
		values, err := s.values(name, reason)
		ts.Check(err)
		return values
	}
	if args[1] == "none" {
		if values := measured(); len(values) > 0 {
			ts.Fatalf("%s has values: %v", args[0], values)
		}
		return
	}
	number, atLeast := strings.CutPrefix(args[1], ">=")
	want, err := strconv.ParseFloat(number, 64)
	ts.Check(err)
	sum := func() (sum float64) {
		for _, v := range measured() {
			sum += v
		}
		return sum
	}
	until(ts, func() bool {
		got := sum()
		return len(measured()) > 0 && (got == want || atLeast && got > want)
	}, func() string { return fmt.Sprintf("%s is %v, not %s", args[0], sum(), args[1]) })
}

func cmdStory(s *testSystem, ts *testscript.TestScript, args []string) {
	query, groups := storyQuery(ts, args[0])
	attrs := args[1:]
	if len(attrs) == 0 {
		attrs = []string{"level", "msg"}
	}
	// A session's end is announced while session-stream logs it. In the output the announcement comes last, and its line
	// may be late.
	until(ts, s.functionsAreIdle, func() string { return "some invocations have not ended" })
	var lines, last []string
	for _, f := range s.system.template.Functions() {
		switch {
		case !slices.Contains(groups, strings.TrimSuffix(f.LogicalID, "Function")+"LogGroup"):
		case f.Name == "ended-sessions":
			last = s.output(f.Name)
		default:
			lines = append(lines, s.output(f.Name)...)
		}
	}
	rows, err := query.run(lines)
	ts.Check(err)
	lastRows, err := query.run(last)
	ts.Check(err)
	// host-events logs a confirmation after the write: session-stream may already have ended the session.
	for i := 1; i < len(rows); i++ {
		if rows[i-1]["msg"] == "session deleted" && strings.HasPrefix(rows[i]["msg"], "deletion confirmed: ") {
			rows[i-1], rows[i] = rows[i], rows[i-1]
		}
	}
	for _, row := range slices.Concat(rows, lastRows) {
		var columns []string
		for _, attr := range attrs {
			if !slices.Contains(query.fields, attr) {
				ts.Fatalf("the query does not show %s", attr)
			}
			columns = append(columns, row[attr])
		}
		fmt.Fprintln(ts.Stdout(), strings.TrimSpace(strings.Join(columns, " ")))
	}
}

// storyQuery returns the template's query for a session, and the log groups that it
// reads.
func storyQuery(ts *testscript.TestScript, sessionID string) (insightsQuery, []string) {
	tmpl, err := template.Load("../../../template.yaml", nil)
	ts.Check(err)
	r, ok := tmpl.Resource("StoryQuery")
	if !ok {
		ts.Fatalf("template.yaml has no StoryQuery")
	}
	text := strings.ReplaceAll(r.Properties["QueryString"].(string), "PUT THE SESSION'S ID HERE", sessionID)
	query, err := parseInsights(text)
	ts.Check(err)
	var groups []string
	for _, group := range r.Properties["LogGroupNames"].([]any) {
		groups = append(groups, group.(string))
	}
	return query, groups
}

// busEvents holds the announcements on the bus, and those in the audit trail.
type busEvents struct {
	mu     sync.Mutex
	events []json.RawMessage
	audit  []json.RawMessage
}

func (e *busEvents) announced(event json.RawMessage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, event)
}

func (e *busEvents) kept(logGroup string, event json.RawMessage) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if logGroup == "AuditLogGroup" {
		e.audit = append(e.audit, event)
	}
}

// of returns the announcements of a session.
func (e *busEvents) of(ts *testscript.TestScript, sessionID string) (announced, audited []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for from, to := range map[*[]json.RawMessage]*[]string{&e.events: &announced, &e.audit: &audited} {
		for _, event := range *from {
			var known struct {
				Source     string
				DetailType string `json:"detail-type"`
				Detail     struct {
					ID                           string `json:"Id"`
					DetailType, Stack, SessionID string
				}
			}
			ts.Check(json.Unmarshal(event, &known))
			if known.Source != "dcv-session-broker" || !strings.HasPrefix(known.DetailType, "DCV Session ") || known.Detail.DetailType != known.DetailType || known.Detail.ID == "" || known.Detail.Stack != "local" {
				ts.Fatalf("event: %s", event)
			}
			if known.Detail.SessionID == sessionID {
				*to = append(*to, string(event))
			}
		}
	}
	return announced, audited
}

func cmdAnnounced(s *testSystem, ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	var announced, audited []string
	until(ts, func() bool {
		announced, audited = s.bus.of(ts, args[0])
		return len(announced) >= want && len(audited) >= want
	}, func() string {
		return fmt.Sprintf("announced %d times, %d of them in the audit trail, not %d", len(announced), len(audited), want)
	})
	if !slices.Equal(announced, audited) || len(announced) != want {
		ts.Fatalf("announced %q, in the audit trail %q", announced, audited)
	}
	for _, pattern := range args[2:] {
		if ok, err := regexp.MatchString(pattern, announced[want-1]); err != nil || !ok {
			ts.Fatalf("%s does not fit %s (%v)", announced[want-1], pattern, err)
		}
	}
}

// checkOutput checks that each line that the functions have written is JSON with a
// level and known attributes, or a document of metrics.
func (s *testSystem) checkOutput(t *testing.T) {
	for function := range s.recorders {
		for _, line := range s.output(function) {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Errorf("%s: %v: %s", function, err, line)
				continue
			}
			if strings.Contains(line, metricMark) {
				continue // telemetry's tests compare these with the specification
			}
			for _, attr := range []string{"time", "level", "msg"} {
				if object[attr] == nil {
					t.Errorf("%s: no %s: %s", function, attr, line)
				}
				delete(object, attr)
			}
			for _, attr := range slices.Sorted(maps.Keys(object)) {
				if telemetry.Attributes[attr] == "" {
					t.Errorf("%s: unknown attribute %s: %s", function, attr, line)
				}
			}
		}
	}
}
