package template

import (
	"encoding/json"
	"slices"
	"time"
)

// QueueSource is an event source mapping that feeds a function from a queue.
type QueueSource struct {
	Event           string // the event's name in the function
	Queue           string // logical ID
	BatchSize       int
	Window          time.Duration // how long Lambda gathers messages before it invokes
	ReportsFailures bool          // the function tells which messages of a batch failed
	MaxConcurrency  int           // 0: no limit
	Enabled         bool
}

// StreamSource is an event source mapping that feeds a function from a table's stream.
type StreamSource struct {
	Event            string // the event's name in the function
	Table            string // logical ID
	Filters          []*Pattern
	BatchSize        int
	Window           time.Duration
	StartingPosition string        // TRIM_HORIZON or LATEST
	Bisect           bool          // a failed batch is split in two
	ReportsFailures  bool          // the function tells which record of a batch failed first
	MaxRetries       int           // -1: until the record expires
	MaxRecordAge     time.Duration // 0: until the record expires
	Parallel         int           // batches of one shard at the same time
	OnFailureQueue   string        // logical ID; "": records that cannot be processed are dropped
	Enabled          bool
}

// Matches tells whether the function receives a record: one of the filters matches, or there is none. The record is
// JSON in Lambda's form ("eventName", "dynamodb": {"NewImage": …}).
func (s StreamSource) Matches(record json.RawMessage) (bool, error) {
	if len(s.Filters) == 0 {
		return true, nil
	}
	return matchAny(s.Filters, record)
}

func (t *Template) queueSource(name string, p *properties) QueueSource {
	scaling := p.object("ScalingConfig")
	s := QueueSource{
		Event:           name,
		Queue:           t.resource(p, "Queue", "Arn", "AWS::SQS::Queue"),
		BatchSize:       p.within("BatchSize", 10, 1, 10000),
		Window:          p.seconds("MaximumBatchingWindowInSeconds", 0, 0, 300),
		ReportsFailures: reportsFailures(p),
		Enabled:         p.boolean("Enabled", true),
	}
	if scaling.has("MaximumConcurrency") {
		s.MaxConcurrency = scaling.within("MaximumConcurrency", 0, 2, 1000)
	}
	scaling.end()
	if s.BatchSize > 10 && s.Window == 0 {
		p.fail("BatchSize", "more than 10 needs MaximumBatchingWindowInSeconds of 1 or more")
	}
	return s
}

func (t *Template) streamSource(name string, p *properties) StreamSource {
	s := StreamSource{
		Event:            name,
		Table:            t.resource(p, "Stream", "StreamArn", "AWS::DynamoDB::Table"),
		BatchSize:        p.within("BatchSize", 100, 1, 10000),
		Window:           p.seconds("MaximumBatchingWindowInSeconds", 0, 0, 300),
		StartingPosition: p.required("StartingPosition"),
		Bisect:           p.boolean("BisectBatchOnFunctionError", false),
		ReportsFailures:  reportsFailures(p),
		MaxRetries:       p.within("MaximumRetryAttempts", -1, -1, 10000),
		Parallel:         p.within("ParallelizationFactor", 1, 1, 10),
		Enabled:          p.boolean("Enabled", true),
	}
	if s.StartingPosition != "" {
		p.choice("StartingPosition", "TRIM_HORIZON", "LATEST")
	}
	if p.integer("MaximumRecordAgeInSeconds", -1) != -1 {
		s.MaxRecordAge = p.seconds("MaximumRecordAgeInSeconds", 0, 60, 604800)
	}
	criteria := p.object("FilterCriteria")
	for _, filter := range criteria.objects("Filters") {
		pattern, err := ParsePattern([]byte(filter.required("Pattern")))
		if err != nil {
			filter.fail("Pattern", "%v", err)
		}
		s.Filters = append(s.Filters, pattern)
		filter.end()
	}
	criteria.end()
	if p.has("DestinationConfig") {
		destination := p.object("DestinationConfig")
		onFailure := destination.object("OnFailure")
		onFailure.choice("Type", "SQS")
		s.OnFailureQueue = t.resource(onFailure, "Destination", "Arn", "AWS::SQS::Queue")
		onFailure.end()
		destination.end()
	}
	return s
}

func reportsFailures(p *properties) bool {
	types := p.texts("FunctionResponseTypes")
	for _, kind := range types {
		if kind != "ReportBatchItemFailures" {
			p.fail("FunctionResponseTypes", "%q is not supported", kind)
		}
	}
	return slices.Contains(types, "ReportBatchItemFailures")
}
