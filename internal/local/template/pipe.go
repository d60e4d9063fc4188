package template

import (
	"encoding/json"
	"strings"
)

// Pipe is an EventBridge pipe from a table's stream to the account's own bus.
type Pipe struct {
	LogicalID          string
	Table              string // logical ID
	Filters            []*Pattern
	Source, DetailType string // of the events that it makes
	InputTemplate      string // of their detail
}

// Matches tells whether a stream record goes through the pipe.
func (p Pipe) Matches(record json.RawMessage) (bool, error) {
	return StreamSource{Filters: p.Filters}.Matches(record)
}

func (t *Template) addPipe(p *properties) {
	pipe := Pipe{LogicalID: p.at, Table: t.resource(p, "Source", "StreamArn", "AWS::DynamoDB::Table")}
	p.physicalName("Name")
	p.ignore("Description", "RoleArn", "Tags")
	if target := p.required("Target"); !strings.HasSuffix(target, ":event-bus/default") {
		p.fail("Target", "%q is not the account's own bus", target)
	}
	source := p.object("SourceParameters")
	stream := source.object("DynamoDBStreamParameters")
	stream.choice("StartingPosition", "TRIM_HORIZON")
	if stream.within("BatchSize", 100, 1, 10000) != 1 {
		stream.fail("BatchSize", "only 1 is supported")
	}
	// Here the bus takes every event at once.
	stream.ignore("ParallelizationFactor", "MaximumRetryAttempts", "MaximumRecordAgeInSeconds")
	t.deadLetters(stream)
	stream.end()
	criteria := source.object("FilterCriteria")
	for _, filter := range criteria.objects("Filters") {
		pattern, err := ParsePattern([]byte(filter.required("Pattern")))
		if err != nil {
			filter.fail("Pattern", "%v", err)
		}
		pipe.Filters = append(pipe.Filters, pattern)
		filter.end()
	}
	criteria.end()
	source.end()
	target := p.object("TargetParameters")
	bus := target.object("EventBridgeEventBusParameters")
	pipe.Source, pipe.DetailType = bus.required("Source"), bus.required("DetailType")
	bus.end()
	pipe.InputTemplate = target.required("InputTemplate")
	target.end()
	t.pipes = append(t.pipes, pipe)
}

// Pipes are the EventBridge pipes, in the order of the template.
func (t *Template) Pipes() []Pipe { return t.pipes }
