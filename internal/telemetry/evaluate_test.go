package telemetry_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// series has the values of each period, the oldest first. A period may have several
// values, or none (nil).
type series [][]float64

// parseSeries parses "0 1,2 3*-": a period with 0, one with 1 and 2, and three without
// values.
func parseSeries(t *testing.T, text string) series {
	t.Helper()
	var s series
	for _, word := range strings.Fields(text) {
		times := 1
		if n, repeated, ok := strings.Cut(word, "*"); ok {
			times, word = int(number(t, n)), repeated
		}
		var values []float64
		if word != "-" {
			for _, v := range strings.Split(word, ",") {
				values = append(values, number(t, v))
			}
		}
		s = append(s, slices.Repeat(series{values}, times)...)
	}
	return s
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// point is one value of each period, or none.
type point = *float64

func pointOf(v float64) point { return &v }

// aggregate returns the statistic of each period.
func aggregate(stat string, s series) ([]point, error) {
	points := make([]point, len(s))
	for i, values := range s {
		if len(values) == 0 {
			continue
		}
		sum := 0.0
		for _, v := range values {
			sum += v
		}
		switch stat {
		case "Sum":
			points[i] = pointOf(sum)
		case "Average":
			points[i] = pointOf(sum / float64(len(values)))
		case "Maximum":
			points[i] = pointOf(slices.Max(values))
		case "SampleCount":
			points[i] = pointOf(float64(len(values)))
		default:
			return nil, fmt.Errorf("no statistic %q", stat)
		}
	}
	return points, nil
}

// fill computes FILL(points, 0). CloudWatch user guide, "Using math expressions with
// CloudWatch metrics", says "when the metric values are sparse", and not what the
// result is for a metric without any value: both readings are tested.
func fill(points []point, evenEmpty bool) []point {
	if !evenEmpty && !slices.ContainsFunc(points, func(p point) bool { return p != nil }) {
		return points
	}
	filled := slices.Clone(points)
	for i, p := range filled {
		if p == nil {
			filled[i] = pointOf(0)
		}
	}
	return filled
}

var (
	quotient = regexp.MustCompile(`^(\w+) / (\d+)$`)
	filled   = regexp.MustCompile(`^FILL\((\w+), 0\)$`)
	multiple = regexp.MustCompile(`^(\w+) \* (-?\d+)$`)
	sumOf    = regexp.MustCompile(`^SUM\(\[(\w+), (\w+)\]\)$`)
)

// calculate supports the five forms of expressions in the template. The metrics have
// equal length.
func calculate(t *testing.T, expression string, metrics map[string][]point, evenEmpty bool) []point {
	t.Helper()
	metric := func(id string) []point {
		points, ok := metrics[id]
		if !ok {
			t.Fatalf("%s: no metric %s", expression, id)
		}
		return slices.Clone(points)
	}
	var result []point
	switch parts := quotient.FindStringSubmatch(expression); {
	case parts != nil:
		result = metric(parts[1])
		for i, p := range result {
			if p != nil {
				result[i] = pointOf(*p / number(t, parts[2]))
			}
		}
	case multiple.MatchString(expression):
		parts := multiple.FindStringSubmatch(expression)
		result = metric(parts[1])
		for i, p := range result {
			if p != nil {
				result[i] = pointOf(*p * number(t, parts[2]))
			}
		}
	case expression == "SUM(METRICS())":
		result = sum(slices.Collect(maps.Values(metrics)))
	case sumOf.MatchString(expression):
		parts := sumOf.FindStringSubmatch(expression)
		result = sum([][]point{metric(parts[1]), metric(parts[2])})
	case filled.MatchString(expression):
		result = fill(metric(filled.FindStringSubmatch(expression)[1]), evenEmpty)
	default:
		t.Fatalf("the expression %q is not known here", expression)
	}
	return result
}

// sum leaves out missing values.
func sum(all [][]point) []point {
	result := make([]point, len(all[0]))
	for _, points := range all {
		for i, p := range points {
			switch {
			case p != nil && result[i] != nil:
				result[i] = pointOf(*result[i] + *p)
			case p != nil:
				result[i] = p
			}
		}
	}
	return result
}

const (
	stateOK           = "OK"
	stateAlarm        = "ALARM"
	stateInsufficient = "INSUFFICIENT_DATA"
)

// condition is an alarm's rule for its values.
type condition struct {
	ComparisonOperator string
	Threshold          json.Number // the value of a parameter is a text
	EvaluationPeriods  int
	DatapointsToAlarm  int
	TreatMissingData   string
}

func (c condition) breaches(v float64) bool {
	threshold, err := c.Threshold.Float64()
	if err != nil {
		panic(err)
	}
	switch c.ComparisonOperator {
	case "GreaterThanThreshold":
		return v > threshold
	case "GreaterThanOrEqualToThreshold":
		return v >= threshold
	case "LessThanThreshold":
		return v < threshold
	case "LessThanOrEqualToThreshold":
		return v <= threshold
	}
	panic("no operator " + c.ComparisonOperator)
}

// next returns the state after the last point of the evaluation range (CloudWatch user
// guide, "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing
// data"): the newest real values decide, also ones older than EvaluationPeriods, and
// only values that are still missing are filled in. Not simulated are delays, late
// values, and high-resolution and composite alarms.
func (c condition) next(before string, points []point) string {
	needed := c.DatapointsToAlarm
	if needed == 0 {
		needed = c.EvaluationPeriods
	}
	var breaching []bool // of the real ones
	oldest := 0          // age of the oldest real value in periods
	for i, p := range points {
		if p == nil {
			continue
		}
		if breaching = append(breaching, c.breaches(*p)); oldest == 0 {
			oldest = len(points) - i
		}
	}
	breaching = breaching[max(0, len(breaching)-c.EvaluationPeriods):]
	bad := 0
	for _, b := range breaching {
		if b {
			bad++
		}
	}
	lacking := c.EvaluationPeriods - len(breaching)
	if c.TreatMissingData == "breaching" {
		bad += lacking
	}
	switch {
	case bad >= needed:
		return stateAlarm
	case c.TreatMissingData == "breaching", c.TreatMissingData == "notBreaching", lacking == 0, bad < len(breaching):
		return stateOK
	}
	// There are no real values, or too few, and these breach.
	switch {
	case c.TreatMissingData == "ignore":
		return before
	case len(breaching) == 0:
		return stateInsufficient
	case oldest >= needed: // "premature alarm state"
		return stateAlarm
	}
	return before
}

// The two tables of the user guide, "How alarm state is evaluated when data is
// missing": 0 is within the threshold, X not. "keeps" is the state before.
func TestAlarmsAreEvaluatedAsTheGuideSays(t *testing.T) {
	for _, c := range []struct {
		needed                                int
		points                                string
		missing, ignore, breaching, notBreach string
	}{
		{3, "0 - X - X", "OK", "OK", "OK", "OK"},
		{3, "0 - - - -", "OK", "OK", "OK", "OK"},
		{3, "- - - - -", "INSUFFICIENT_DATA", "keeps", "ALARM", "OK"},
		{3, "0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{3, "- - X - -", "ALARM", "keeps", "ALARM", "OK"},
		{2, "0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{2, "0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{2, "0 - X - -", "OK", "OK", "ALARM", "OK"},
		{2, "- - - - 0", "OK", "OK", "ALARM", "OK"},
		{2, "- - - X -", "ALARM", "keeps", "ALARM", "OK"},
	} {
		points, err := aggregate("Sum", parseSeries(t, strings.ReplaceAll(c.points, "X", "1")))
		if err != nil {
			t.Fatal(err)
		}
		for treat, want := range map[string]string{
			"missing": c.missing, "ignore": c.ignore, "breaching": c.breaching, "notBreaching": c.notBreach,
		} {
			got := condition{"GreaterThanThreshold", "0", 3, c.needed, treat}.next("keeps", points)
			if got != want {
				t.Errorf("%d of 3, %s, %s: got %s, want %s", c.needed, c.points, treat, got, want)
			}
		}
	}
}
