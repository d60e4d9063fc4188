package delivery

import (
	"encoding/json"
	"log/slog"

	"dcv-session-broker/internal/template"
)

// A Bus is all event buses of the account: it puts each event into the queues of
// its bus's rules that match it.
type Bus struct {
	Rules  []template.Rule
	Queues map[string]*Queue // by logical ID
	// Keep is told what log groups are to keep, by their logical IDs; it may be
	// nil.
	Keep func(logGroup string, event json.RawMessage)
	Log  *slog.Logger
}

// Publish delivers an event on the default bus, as AWS's services do.
func (b *Bus) Publish(event json.RawMessage) { b.PublishOn(template.DefaultBus, event) }

// PublishOn delivers an event on a bus, as template.Rule names it.
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
