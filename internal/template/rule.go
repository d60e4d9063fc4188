package template

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Rule is an EventBridge rule.
type Rule struct {
	LogicalID string
	Bus       string // DefaultBus, or the ARN of another
	Pattern   *Pattern
	Queues    []string // logical IDs of the queues that get the whole event
	LogGroups []string // logical IDs of the log groups that keep it
	Enabled   bool
}

func (t *Template) addRule(p *properties) {
	r := Rule{LogicalID: p.at, Bus: DefaultBus, Pattern: pattern(p, "EventPattern"), Enabled: enabled(p)}
	p.physicalName("Name")
	if p.text("EventBusName") != DefaultBus && p.has("EventBusName") { // a name or an ARN
		r.Bus = busOf(p, "EventBusName")
	}
	p.ignore("Description", "Tags")
	for _, target := range p.objects("Targets") {
		target.required("Id")
		if group, ok := t.logGroup(target); ok {
			r.LogGroups = append(r.LogGroups, group)
		} else {
			r.Queues = append(r.Queues, t.resource(target, "Arn", "Arn", "AWS::SQS::Queue"))
		}
		t.deadLetters(target)
		target.end()
	}
	if len(r.Queues)+len(r.LogGroups) == 0 {
		p.fail("Targets", "missing")
	}
	t.rules = append(t.rules, r)
}

// logGroup returns the log group of a target, if it is one.
func (t *Template) logGroup(target *properties) (logicalID string, is bool) {
	_, logicalID, _ = strings.Cut(target.required("Arn"), ":log-group:")
	r, found := t.Resource(logicalID)
	return logicalID, found && r.Type == "AWS::Logs::LogGroup"
}

// deadLetters checks the settings for events that cannot be delivered. Here every event can be.
func (t *Template) deadLetters(target *properties) {
	target.ignore("RetryPolicy")
	if target.has("DeadLetterConfig") {
		config := target.object("DeadLetterConfig")
		t.resource(config, "Arn", "Arn", "AWS::SQS::Queue")
		config.end()
	}
}

func enabled(p *properties) bool {
	return p.choice("State", "ENABLED", "DISABLED") == "ENABLED"
}

// pattern reads a property that is a pattern, written as YAML.
func pattern(p *properties, name string) *Pattern {
	v, ok := p.get(name)
	if !ok {
		p.fail(name, "missing")
		return nil
	}
	src, err := json.Marshal(v)
	if err == nil {
		var parsed *Pattern
		if parsed, err = ParsePattern(src); err == nil {
			return parsed
		}
	}
	p.fail(name, "%s", fmt.Sprint(err))
	return nil
}
