package delivery_test

import (
	"encoding/json"
	"testing"

	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/template"
)

func TestEventGoesToTheQueuesOfTheRulesThatMatch(t *testing.T) {
	queues := map[string]*delivery.Queue{}
	for _, id := range []string{"A", "B", "C", "Off"} {
		queues[id] = &delivery.Queue{Queue: template.Queue{LogicalID: id}}
	}
	rule := func(pattern string, enabled bool, to ...string) template.Rule {
		p, err := template.ParsePattern([]byte(pattern))
		if err != nil {
			t.Fatal(err)
		}
		return template.Rule{LogicalID: pattern, Bus: template.DefaultBus, Pattern: p, Queues: to, Enabled: enabled}
	}
	bus := &delivery.Bus{Queues: queues, Rules: []template.Rule{
		rule(`{"source": ["aws.ssm"], "detail": {"status": ["Success", "Failed"]}}`, true, "A", "B"),
		rule(`{"source": ["aws.ssm"]}`, true, "C"),
		rule(`{"source": ["aws.ssm"]}`, false, "Off"),
	}}
	const success = `{"source": "aws.ssm", "detail": {"status": "Success"}}`
	const pending = `{"source": "aws.ssm", "detail": {"status": "Pending"}}`
	for _, event := range []string{success, pending, `{"source": "aws.ec2"}`, `not an event`, `[]`} {
		bus.Publish(json.RawMessage(event))
	}
	want(t, "A", queues["A"].Bodies(), success)
	want(t, "B", queues["B"].Bodies(), success)
	want(t, "C", queues["C"].Bodies(), success, pending)
	want(t, "of a rule that is off", queues["Off"].Bodies())

	// A rule sees only what is on its bus.
	const other = "arn:aws:events:us-east-1:000000000000:event-bus/other"
	bus.Rules[2].Bus, bus.Rules[2].Enabled = other, true
	bus.PublishOn(other, json.RawMessage(success))
	bus.Publish(json.RawMessage(pending))
	want(t, "of a rule on another bus", queues["Off"].Bodies(), success)
	want(t, "A", queues["A"].Bodies(), success)
}
