package template

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Pipe is an EventBridge pipe from a table's stream through a function to an event bus.
type Pipe struct {
	LogicalID  string
	Stream     StreamSource
	Enrichment string // logical ID of the function that makes details of the records
	Bus        string // as in Rule
	Source     string // of the events
	DetailType string // of the events, or the path of the detail's field with it
}

// fieldPath is a path to a field of the detail. Pipes know more paths. (EventBridge user guide, "Amazon EventBridge Pipes
// targets", dynamic path parameters: all of a text parameter, except an EndpointId, may be a path into the payload; and
// "Amazon EventBridge Pipes input transformation": a target's payload is what the enrichment answers.)
var fieldPath = regexp.MustCompile(`^\$\.\w+$`)

// TypeOf returns the detail-type of the event with that detail.
func (p Pipe) TypeOf(detail json.RawMessage) (string, error) {
	if !fieldPath.MatchString(p.DetailType) {
		return p.DetailType, nil
	}
	var fields map[string]any
	if err := json.Unmarshal(detail, &fields); err != nil {
		return "", fmt.Errorf("detail: %w", err)
	}
	detailType, _ := fields[strings.TrimPrefix(p.DetailType, "$.")].(string)
	if detailType == "" {
		return "", fmt.Errorf("detail: %s is no text", p.DetailType)
	}
	return detailType, nil
}

// Matches tells whether a stream record matches the pipe's filter.
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
	// Without an input template, which is not supported, the target gets the function's answer.
	target := p.object("TargetParameters")
	bus := target.object("EventBridgeEventBusParameters")
	pipe.Source, pipe.DetailType = bus.required("Source"), bus.required("DetailType")
	if strings.HasPrefix(pipe.Source, "$.") {
		bus.fail("Source", "%q: a path is not supported", pipe.Source)
	}
	if strings.HasPrefix(pipe.DetailType, "$.") && !fieldPath.MatchString(pipe.DetailType) {
		bus.fail("DetailType", "%q: only the path of one field is supported", pipe.DetailType)
	}
	bus.end()
	target.end()
	t.pipes = append(t.pipes, pipe)
}

// Pipes returns the EventBridge pipes, in the order of the template.
func (t *Template) Pipes() []Pipe { return t.pipes }

// DefaultBus is the account's own bus, on which AWS's services put their events.
const DefaultBus = "default"

// busOf reads a property that is an event bus: DefaultBus, or the ARN of another one, which need not be in this
// template.
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
