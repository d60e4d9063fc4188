package delivery

import (
	"encoding/json"
	"log/slog"

	"dcv-session-broker/internal/template"
)

// A Bus simulates all event buses of the account: it puts each event into the queues of
// the matching rules of the event's bus.
type Bus struct {
	Rules  []template.Rule
	Queues map[string]*Queue // by logical ID
	// Keep receives the events for log groups, by their logical IDs; it may be nil.
	Keep func(logGroup string, event json.RawMessage)
	Log  *slog.Logger
}

// Publish delivers an event on the default bus, as AWS's services do.
func (b *Bus) Publish(event json.RawMessage) { b.PublishOn(template.DefaultBus, event) }

// PublishOn delivers an event on a bus, which has the name in template.Rule.
func (b *Bus) PublishOn(bus string, event json.RawMessage) {
	for _, rule := range b.Rules {
		if !rule.Enabled || rule.Bus != bus {
			continue
		}
		matches, err := rule.Pattern.Match(event)
		if err != nil {
			orDiscard(b.Log).Error("event not understood", "Rule", rule.LogicalID, "Cause", err)
			continue
		}
		if !matches {
			continue
		}
		for _, id := range rule.LogGroups {
			if b.Keep != nil {
				b.Keep(id, event)
			}
		}
		for _, id := range rule.Queues {
			b.Queues[id].Send(string(event))
		}
	}
}
