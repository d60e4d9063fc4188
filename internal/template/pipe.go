package template

import (
	"encoding/json"
	"strings"
)

// Pipe is an EventBridge pipe from a table's stream by way of a function to an event bus.
type Pipe struct {
	LogicalID          string
	Stream             StreamSource
	Enrichment         string // logical ID of the function that makes details of the records
	Bus                string // as a Rule's
	Source, DetailType string // of the events
}

// Matches tells whether a stream record goes through the pipe.
func (p Pipe) Matches(record json.RawMessage) (bool, error) { return p.Stream.Matches(record) }

func (t *Template) addPipe(p *properties) {
	pipe := Pipe{
		LogicalID:  p.at,
		Enrichment: t.resource(p, "Enrichment", "Arn", "AWS::Serverless::Function"),
		Bus:        busOf(p, "Target"),
	}
	p.physicalName("Name")
	p.ignore("Description", "RoleArn", "Tags")
	table := t.resource(p, "Source", "StreamArn", "AWS::DynamoDB::Table")
	source := p.object("SourceParameters")
	stream := source.object("DynamoDBStreamParameters")
	pipe.Stream = StreamSource{
		Table:            table,
		BatchSize:        stream.within("BatchSize", 100, 1, 10),
		Window:           stream.seconds("MaximumBatchingWindowInSeconds", 0, 0, 300),
		StartingPosition: stream.choice("StartingPosition", "TRIM_HORIZON"),
		MaxRetries:       stream.within("MaximumRetryAttempts", -1, -1, 10000),
		Parallel:         stream.within("ParallelizationFactor", 1, 1, 10),
		Enabled:          p.choice("DesiredState", "RUNNING", "STOPPED") == "RUNNING",
	}
	if stream.integer("MaximumRecordAgeInSeconds", -1) != -1 {
		pipe.Stream.MaxRecordAge = stream.seconds("MaximumRecordAgeInSeconds", 0, 60, 604800)
	}
	if stream.has("DeadLetterConfig") {
		config := stream.object("DeadLetterConfig")
		pipe.Stream.OnFailureQueue = t.resource(config, "Arn", "Arn", "AWS::SQS::Queue")
		config.end()
	}
	stream.end()
	criteria := source.object("FilterCriteria")
	for _, filter := range criteria.objects("Filters") {
		pattern, err := ParsePattern([]byte(filter.required("Pattern")))
		if err != nil {
			filter.fail("Pattern", "%v", err)
		}
		pipe.Stream.Filters = append(pipe.Stream.Filters, pattern)
		filter.end()
	}
	criteria.end()
	source.end()
	// Without an input template, which nothing here fills in, the target gets what the function answers.
	target := p.object("TargetParameters")
	bus := target.object("EventBridgeEventBusParameters")
	pipe.Source, pipe.DetailType = bus.required("Source"), bus.required("DetailType")
	bus.end()
	target.end()
	t.pipes = append(t.pipes, pipe)
}

// Pipes are the EventBridge pipes, in the order of the template.
func (t *Template) Pipes() []Pipe { return t.pipes }

// DefaultBus is the account's own bus, on which AWS's services put their events.
const DefaultBus = "default"

// busOf is a property that is an event bus: DefaultBus, or the ARN of another, which this template need not make.
func busOf(p *properties, name string) string {
	text := p.required(name)
	_, bus, isARN := strings.Cut(text, ":event-bus/")
	switch {
	case isARN && bus == DefaultBus:
		return DefaultBus
	case !isARN:
		p.fail(name, "%q is not the ARN of an event bus", text)
	}
	return text
}
