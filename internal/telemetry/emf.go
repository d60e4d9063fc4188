package telemetry

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// Namespace is the metrics' namespace.
const Namespace = "DcvSessionBroker"

// maxValues is how many values of a metric one document may have (CloudWatch
// user guide, "Specification: Embedded metric format", which also allows at
// most 100 metrics and 30 dimensions).
const maxValues = 100

// sums holds the measured values by reason ("" is none) and metric.
type sums map[string]map[session.Metric][]float64

func (s *sums) add(m session.Measurement) {
	if !m.Alone && m.Value == 0 {
		return
	}
	if *s == nil {
		*s = sums{}
	}
	if (*s)[m.Reason] == nil {
		(*s)[m.Reason] = map[session.Metric][]float64{}
	}
	values := (*s)[m.Reason][m.Metric]
	if m.Alone || len(values) == 0 {
		values = append(values, m.Value)
	} else {
		values[0] += m.Value
	}
	(*s)[m.Reason][m.Metric] = values
}

type (
	metadata struct {
		Timestamp         int64       `json:"Timestamp"` // ms since 1970
		CloudWatchMetrics []directive `json:"CloudWatchMetrics"`
	}
	directive struct {
		Namespace  string       `json:"Namespace"`
		Dimensions [][]string   `json:"Dimensions"`
		Metrics    []definition `json:"Metrics"`
	}
	definition struct {
		Name string `json:"Name"`
		Unit string `json:"Unit"`
	}
)

// documents returns the values in the embedded metric format: one document for each
// reason, or more if a metric has many values.
func (s sums) documents(stack string, now time.Time) (documents [][]byte) {
	for _, reason := range slices.Sorted(maps.Keys(s)) {
		rest := maps.Clone(s[reason])
		for len(rest) > 0 {
			d := directive{Namespace: Namespace, Dimensions: [][]string{{"Stack"}}}
			document := map[string]any{"Stack": cmp.Or(stack, "none")} // a dimension's value cannot be empty
			if reason != "" {
				d.Dimensions = append(d.Dimensions, []string{"Stack", "Reason"})
				document["Reason"] = reason
			}
			for _, metric := range slices.Sorted(maps.Keys(rest)) {
				values := rest[metric]
				some := values[:min(len(values), maxValues)]
				document[string(metric)] = some
				d.Metrics = append(d.Metrics, definition{string(metric), Unit(metric)})
				if rest[metric] = values[len(some):]; len(rest[metric]) == 0 {
					delete(rest, metric)
				}
			}
			document["_aws"] = metadata{now.UnixMilli(), []directive{d}}
			text, err := json.Marshal(document)
			if err != nil {
				continue // a value has no JSON form; the program computes none
			}
			documents = append(documents, text)
		}
	}
	return documents
}

// Unit returns CloudWatch's name for a metric's unit.
func Unit(m session.Metric) string {
	if strings.HasSuffix(string(m), "Seconds") {
		return "Seconds"
	}
	return "Count"
}
