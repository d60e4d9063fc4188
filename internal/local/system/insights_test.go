package system

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// An insightsQuery is a query of CloudWatch Logs Insights with the parts that the
// template's have: fields, one filter for a session's lines, sort by time, limit
// (CloudWatch Logs user guide, "CloudWatch Logs Insights language query syntax").
type insightsQuery struct {
	fields       []string
	filter, text string // a field and the text that it must equal
	list, part   string // or a field and the text that it must contain
	limit        int
}

var (
	equality   = regexp.MustCompile(`^(\w+) = "([^"]*)" or (\w+) like "([^"]*)"$`)
	fieldNames = regexp.MustCompile(`^@?\w+(, @?\w+)*$`)
)

func parseInsights(text string) (q insightsQuery, err error) {
	for _, command := range strings.Split(text, "\n| ") {
		name, rest, _ := strings.Cut(command, " ")
		switch filter := equality.FindStringSubmatch(rest); {
		case name == "fields" && fieldNames.MatchString(rest):
			q.fields = strings.Split(rest, ", ")
		case name == "filter" && filter != nil:
			q.filter, q.text, q.list, q.part = filter[1], filter[2], filter[3], filter[4]
		case name == "sort" && rest == "@timestamp asc":
		case name == "limit":
			if q.limit, err = strconv.Atoi(rest); err != nil {
				return q, err
			}
		default:
			return q, fmt.Errorf("the query's command %q is not understood", command)
		}
	}
	if q.fields == nil || q.filter == "" || q.limit == 0 {
		return q, fmt.Errorf("the query lacks fields, a filter or a limit: %s", text)
	}
	return q, nil
}

// run evaluates the query on log lines. A row has the fields' values as text.
func (q insightsQuery) run(lines []string) (rows []map[string]string, err error) {
	type event struct {
		time   time.Time
		fields map[string]any
	}
	var events []event
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			return nil, fmt.Errorf("%w: %s", err, line)
		}
		if list, _ := fields[q.list].(string); fields[q.filter] == q.text || strings.Contains(list, q.part) {
			at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(fields["time"]))
			if err != nil {
				return nil, fmt.Errorf("%w: %s", err, line)
			}
			events = append(events, event{at, fields})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.time.Compare(b.time) })
	for _, e := range events[:min(len(events), q.limit)] {
		row := map[string]string{"@timestamp": e.time.Format(time.RFC3339)}
		for _, field := range q.fields {
			if v, ok := e.fields[field]; ok {
				row[field] = fmt.Sprint(v)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func TestInsightsQuery(t *testing.T) {
	const filter = `SessionId = "s1" or SessionList like "SessionId=s1;"`
	q, err := parseInsights("fields @timestamp, msg\n| filter " + filter + "\n| sort @timestamp asc\n| limit 3")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := q.run([]string{
		`{"time":"2026-11-24T12:00:02.5Z","msg":"second","SessionId":"s1"}`,
		`{"time":"2026-11-24T12:00:01.5Z","msg":"first","SessionId":"s1"}`,
		`{"time":"2026-11-24T12:00:03.5Z","msg":"third","SessionId":"s1"}`,
		`{"time":"2026-11-24T12:00:00.5Z","msg":"another","SessionId":"s2"}`,
		`{"_aws":{},"SessionId":["s1"]}`,
		`{"time":"2026-11-24T12:00:02Z","msg":"of both","SessionList":"SessionId=s2; SessionId=s1;"}`,
		`{"time":"2026-11-24T12:00:00Z","msg":"of others","SessionList":"SessionId=s2; SessionId=s10;"}`,
	})
	if err != nil || len(rows) != 3 || rows[0]["msg"] != "first" || rows[1]["msg"] != "of both" || rows[2]["msg"] != "second" {
		t.Errorf("%v, %v", rows, err)
	}
	for _, wrong := range []string{
		"fields msg\n| limit 2",
		"fields msg\n| filter SessionId == \"s1\"\n| limit 2",
		"fields msg\n| filter " + filter + "\n| sort msg\n| limit 2",
		"fields msg\n| filter " + filter + "\n| limit 2\n| stats count(*)",
	} {
		if _, err := parseInsights(wrong); err == nil {
			t.Errorf("understood: %s", wrong)
		}
	}
}
