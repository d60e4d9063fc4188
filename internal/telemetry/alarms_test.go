package telemetry_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/template/templatetest"
)

// expectation is a course of events, and whether the alarm must fire.
type expectation struct {
	what       string
	fires      bool
	series     map[string]string // by the metric's name, or name/dimension; other metrics have no values
	parameters map[string]string
}

type expectations struct {
	period time.Duration // the duration of one word of a series
	rows   []expectation
}

// letters returns expectations for a queue that only gets messages that failed.
func letters() expectations {
	const queue = "ApproximateNumberOfMessagesVisible"
	return expectations{5 * time.Minute, []expectation{
		{"one message", true, map[string]string{queue: "0 0 1"}, nil},
		{"one message, for a part of the time", true, map[string]string{queue: "0 0 0,1,0"}, nil},
		{"a message in a queue that SQS did not measure before", true, map[string]string{queue: "3*- 2"}, nil},
		{"none", false, map[string]string{queue: "3*0,0,0"}, nil},
		{"SQS does not measure an unused queue", false, map[string]string{queue: "5*-"}, nil},
		{"taken out again", false, map[string]string{queue: "3 3 0"}, nil},
	}}
}

// twoOfThree returns expectations for failures that must be repeated to fire the alarm.
func twoOfThree(one string, others ...expectation) expectations {
	return expectations{5 * time.Minute, append(others, []expectation{
		{"in two of the last three times", true, map[string]string{one: "0 0 1 0 1"}, nil},
		{"with nothing at all in between", true, map[string]string{one: "- - 1 - 1"}, nil},
		{"many", true, map[string]string{one: "1,1,0 0,1 1"}, nil},
		{"once", false, map[string]string{one: "0 0 0,1,0 0"}, nil},
		{"often, but all at the same time", false, map[string]string{one: "0 0 1,1,1 0"}, nil},
		{"once, and nothing else", false, map[string]string{one: "- - 1 -"}, nil},
		{"too far apart", false, map[string]string{one: "1 0 0 1"}, nil},
		{"never", false, map[string]string{one: "5*0,0"}, nil},
		{"without a call", false, map[string]string{one: "5*-"}, nil},
	}...)}
}

// expected follows the alarms' descriptions.
var expected = map[string]expectations{
	"OldestOpenDeletionAlarm": {time.Minute, []expectation{
		{"31 minutes", true, map[string]string{"OldestOpenDeletionSeconds": "10*1860"}, nil},
		{"31 minutes, and cleanup ran twice a minute", true, map[string]string{"OldestOpenDeletionSeconds": "10*1860,30"}, nil},
		{"31 minutes, seen every other minute", true, map[string]string{"OldestOpenDeletionSeconds": "1740 1800 1860 - 1980 - 2100"}, nil},
		{"31 minutes, and cleanup does not run any more", true, map[string]string{"OldestOpenDeletionSeconds": "10*1860 10*-"}, nil},
		{"11 minutes, where 10 are too many", true, map[string]string{"OldestOpenDeletionSeconds": "10*660"}, map[string]string{"OldestDeletionAlarmMinutes": "10"}},
		{"29 minutes", false, map[string]string{"OldestOpenDeletionSeconds": "10*1740"}, nil},
		{"30 minutes", false, map[string]string{"OldestOpenDeletionSeconds": "10*1800"}, nil},
		{"31 minutes, where 60 are allowed", false, map[string]string{"OldestOpenDeletionSeconds": "10*1860"}, map[string]string{"OldestDeletionAlarmMinutes": "60"}},
		{"nothing is open", false, map[string]string{"OldestOpenDeletionSeconds": "10*0"}, nil},
		{"it has ended", false, map[string]string{"OldestOpenDeletionSeconds": "10*1860 5*0"}, nil},
		{"cleanup has never run", false, map[string]string{"OldestOpenDeletionSeconds": "10*-"}, nil},
	}},
	"CleanupSilentAlarm": {time.Minute, []expectation{
		{"for ten minutes, after hours", true, map[string]string{"OpenDeletions": "60*3 10*-"}, nil},
		{"for ten minutes, where nothing was open", true, map[string]string{"OpenDeletions": "60*0 10*-"}, nil},
		{"for an hour", true, map[string]string{"OpenDeletions": "3*0 60*-"}, nil},
		{"never", true, map[string]string{"OpenDeletions": "20*-"}, nil},
		{"for nine minutes", false, map[string]string{"OpenDeletions": "60*3 9*-"}, nil},
		{"once in ten minutes", false, map[string]string{"OpenDeletions": "20*- 0 8*-"}, nil},
		{"nothing is open", false, map[string]string{"OpenDeletions": "20*0"}, nil},
		{"it is back", false, map[string]string{"OpenDeletions": "60*- 0"}, nil},
	}},
	"InventoryMissingAlarm": {time.Hour, []expectation{
		{"for two hours, after many", true, map[string]string{"InventoriesSent": "24*1,1,1,1 2*-"}, nil},
		{"for a day", true, map[string]string{"InventoriesSent": "2*1,1 24*-"}, nil},
		{"never", true, map[string]string{"InventoriesSent": "8*-"}, nil},
		{"tried, and none sent", true, map[string]string{"InventoriesSent": "24*1,1 2*0,0"}, nil},
		{"for one hour", false, map[string]string{"InventoriesSent": "24*1,1,1,1 -"}, nil},
		{"every hour", false, map[string]string{"InventoriesSent": "8*1"}, nil},
		{"tried twice, and one sent", false, map[string]string{"InventoriesSent": "8*0,1"}, nil},
		{"it is back", false, map[string]string{"InventoriesSent": "8*- 1"}, nil},
	}},
	"DeletionsGivenUpAlarm": {5 * time.Minute, []expectation{
		{"one", true, map[string]string{"DeletionsGivenUp": "4*- 1"}, nil},
		{"some", true, map[string]string{"DeletionsGivenUp": "4*- 1,1,1"}, nil},
		{"none", false, map[string]string{"DeletionsGivenUp": "10*-"}, nil},
		{"none, and said so", false, map[string]string{"DeletionsGivenUp": "10*0,0"}, nil},
		{"some, an hour ago", false, map[string]string{"DeletionsGivenUp": "1,1,1 12*-"}, nil},
	}},
	"EndedSessionsPipeAlarm": {5 * time.Minute, []expectation{
		{"in two of the last six", true, map[string]string{"ExecutionFailed": "8*0 1 0 0 0 1 0"}, nil},
		{"with nothing at all in between", true, map[string]string{"ExecutionFailed": "8*- 1 3*- 1"}, nil},
		{"in all", true, map[string]string{"ExecutionTimeout": "6*1,1"}, nil},
		{"one way after the other", true, map[string]string{"ExecutionTimeout": "0 1 0 0 0 0", "ExecutionPartiallyFailed": "0 0 0 1 0 0"}, nil},
		{"once", false, map[string]string{"ExecutionFailed": "8*0 1 4*0"}, nil},
		{"once everything", false, map[string]string{"ExecutionFailed": "8*- 1,1,1 4*-", "ExecutionPartiallyFailed": "8*- 1,1,1 4*-"}, nil},
		{"too far apart", false, map[string]string{"ExecutionFailed": "8*0 1 5*0 1"}, nil},
		{"never", false, map[string]string{"ExecutionFailed": "8*0,0", "ExecutionTimeout": "8*0", "ExecutionPartiallyFailed": "8*0"}, nil},
		{"nothing has ended", false, map[string]string{"ExecutionFailed": "8*-"}, nil},
	}},
	// Whether a stopped pipe has the value 0 or none is not documented: both.
	"EndedSessionsPipeStoppedAlarm": {time.Hour, []expectation{
		{"for two hours", true, map[string]string{"DeletedAfterSeconds": "5*2,3", "EventCount": "3*2 - -"}, nil},
		{"for a day", true, map[string]string{"DeletedAfterSeconds": "26*2,3", "EventCount": "2*2 24*-"}, nil},
		{"for two hours, with zeroes", true, map[string]string{"DeletedAfterSeconds": "5*2,3", "EventCount": "3*2 0 0"}, nil},
		{"one session an hour, closed within the second", true, map[string]string{"DeletedAfterSeconds": "5*0", "EventCount": "5*0"}, nil},
		{"an hour without sessions in between", true, map[string]string{"DeletedAfterSeconds": "2*2 2 - 2", "EventCount": "2*2 - - -"}, nil},
		{"all announced", false, map[string]string{"DeletedAfterSeconds": "5*2", "EventCount": "5*1"}, nil},
		{"many announced", false, map[string]string{"DeletedAfterSeconds": "5*2,3,4", "EventCount": "5*1,1,1"}, nil},
		{"the newest not yet", false, map[string]string{"DeletedAfterSeconds": "5*2", "EventCount": "4*1 -"}, nil},
		{"nothing has ended", false, map[string]string{"DeletedAfterSeconds": "2*2 3*-", "EventCount": "2*1 3*-"}, nil},
		{"nothing has ever ended", false, map[string]string{"DeletedAfterSeconds": "5*-"}, nil},
	}},
	"StreamAgeAlarm": {5 * time.Minute, []expectation{
		{"five minutes and a second", true, map[string]string{"IteratorAge": "3*0 301000"}, nil},
		{"five minutes and a second, with fresh batches", true, map[string]string{"IteratorAge": "3*0 50,301000,50"}, nil},
		{"four minutes", false, map[string]string{"IteratorAge": "5*240000"}, nil},
		{"not behind, with many batches", false, map[string]string{"IteratorAge": "5*100000,100000,100000,100000"}, nil},
		{"caught up", false, map[string]string{"IteratorAge": "3*400000 50"}, nil},
		{"nothing in the stream", false, map[string]string{"IteratorAge": "5*-"}, nil},
	}},
	"FunctionErrorsAlarm": twoOfThree("Errors/CleanupFunction", expectation{"one function after the other", true, map[string]string{
		"Errors/CleanupFunction": "0 0 1", "Errors/HostEventsFunction": "- 2 -"}, nil}),
	"FunctionThrottlesAlarm": twoOfThree("Throttles/DeleteSessionsFunction", expectation{"one function after the other", true, map[string]string{
		"Throttles/EndedSessionsFunction": "0 0 1", "Throttles/DeleteSessionsFunction": "- 2 -"}, nil}),
	"ApiErrorsAlarm": twoOfThree("5xx"),

	"HostEventsDeadLetterQueueAlarm":        letters(),
	"CommandStatusRuleDeadLetterQueueAlarm": letters(),
	"InstanceStateRuleDeadLetterQueueAlarm": letters(),
	"SessionStreamFailureQueueAlarm":        letters(),
	"EndedSessionsFailureQueueAlarm":        letters(),
	"AuditRuleDeadLetterQueueAlarm":         letters(),
}

// judged is the condition of an alarm.
type judged struct {
	condition
	AlarmDescription string
	metric
	Metrics []struct {
		ID         string `json:"Id"`
		Expression string
		ReturnData *bool
		MetricStat *struct {
			Metric metric
			Period int
			Stat   string
		}
	}
	Period    int
	Statistic string
}

type metric struct {
	MetricName string
	Dimensions []dimension
}

// of finds the metric's series in an expectation, and returns its name there.
func (m metric) of(given map[string]string) string {
	for _, d := range m.Dimensions {
		if name := m.MetricName + "/" + d.Value; given[name] != "" {
			return name
		}
	}
	return m.MetricName
}

func judgedAlarm(t *testing.T, id string, parameters map[string]string) judged {
	t.Helper()
	r, ok := templatetest.Load(t, parameters).Resource(id)
	if !ok {
		t.Fatalf("the template has no alarm %s", id)
	}
	text, err := json.Marshal(r.Properties)
	if err != nil {
		t.Fatal(err)
	}
	var a judged
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// points returns the values for the alarm's condition, from series of equal length.
func (a judged) points(t *testing.T, given map[string]series, names map[string]string, period time.Duration, evenEmpty bool) []point {
	t.Helper()
	looked := map[string]bool{}
	aggregated := func(m metric, stat string, seconds int) []point {
		if time.Duration(seconds)*time.Second != period {
			t.Fatalf("a period of %d s where the description means %v", seconds, period)
		}
		name := m.of(names)
		looked[name] = true
		s := given[name]
		if s == nil {
			s = given[nothing]
		}
		points, err := aggregate(stat, s)
		if err != nil {
			t.Fatalf("%s: %v", m.MetricName, err)
		}
		return points
	}
	var result []point
	if a.MetricName != "" {
		result = aggregated(a.metric, a.Statistic, a.Period)
	}
	metrics, parts, expression := map[string][]point{}, map[string]string{}, ""
	for _, m := range a.Metrics {
		switch returned := m.ReturnData == nil || *m.ReturnData; {
		case m.MetricStat != nil && !returned:
			metrics[m.ID] = aggregated(m.MetricStat.Metric, m.MetricStat.Stat, m.MetricStat.Period)
		case m.Expression != "" && returned && expression == "":
			expression = m.Expression
		case m.Expression != "" && !returned:
			parts[m.ID] = m.Expression
		default:
			t.Fatalf("%s: alarms are of one expression, and of metrics and expressions that are not returned", m.ID)
		}
	}
	if expression != "" {
		calculated := map[string][]point{}
		for id, part := range parts {
			calculated[id] = calculate(t, part, metrics, evenEmpty)
		}
		maps.Copy(metrics, calculated)
		result = calculate(t, expression, metrics, evenEmpty)
	}
	for name := range names {
		if !looked[name] {
			t.Fatalf("the alarm does not look at %s", name)
		}
	}
	return result
}

// nothing is the series of a metric that an expectation does not name.
const nothing = ""

// stateAfter returns the alarm's state after the whole expectation. CloudWatch looks at
// more periods than EvaluationPeriods, and does not say how many: in the user guide's
// example two further ones.
func (a judged) stateAfter(t *testing.T, e expectation, period time.Duration, evenEmpty bool, further int) string {
	t.Helper()
	given, length := map[string]series{nothing: {}}, 0
	for name, text := range e.series {
		given[name] = parseSeries(t, text)
		length = max(length, len(given[name]))
	}
	for name, s := range given {
		given[name] = append(s, make(series, length-len(s))...)
	}
	state := stateOK
	for now := range length {
		seen := map[string]series{}
		for name, s := range given {
			seen[name] = s[max(0, now+1-a.EvaluationPeriods-further) : now+1]
		}
		state = a.next(state, a.points(t, seen, e.series, period, evenEmpty))
	}
	return state
}

func TestAlarmsFireWhenTheySayAndOnlyThen(t *testing.T) {
	for id := range alarms(t, templatetest.Load(t, nil)) {
		if expected[id].rows == nil {
			t.Errorf("nothing here says when %s must fire", id)
		}
	}
	for id, alarm := range expected {
		said := map[bool]bool{}
		for _, row := range alarm.rows {
			said[row.fires] = true
			t.Run(id+"/"+strings.ReplaceAll(row.what, " ", "_"), func(t *testing.T) {
				a := judgedAlarm(t, id, row.parameters)
				for _, evenEmpty := range []bool{true, false} {
					for _, further := range []int{0, 1, 2, 5} {
						state := a.stateAfter(t, row, alarm.period, evenEmpty, further)
						if (state == stateAlarm) != row.fires {
							t.Errorf("%s (FILL of nothing fills: %v; range: %d further)\n%s", state, evenEmpty, further, a.AlarmDescription)
						}
					}
				}
			})
		}
		if !said[true] || !said[false] {
			t.Errorf("%s: some rows must fire, and some must not", id)
		}
	}
}
