package sim

import "dcv-session-broker/internal/session"

// heard tells whether the invocation has read this confirmation from the session's host:
// an answer to its current attempt, an inventory with another incarnation, or an idle
// command's result.
func (inv *invocation) heard(s session.Session, c session.Confirmation) bool {
	for _, on := range inv.reads {
		if on.machine.id != s.HostID || !on.over {
			continue
		}
		switch {
		case on.command.attempt != "" && on.command.attempt == s.AttemptID && on.said[s.ID] == string(c):
			return true
		case c == session.Replaced && on.command.document == inventoryDocument && on.has(s.NameOnHost()):
			return true
		case c == session.Closed && contains(on.closed, s.NameOnHost()):
			return true
		}
	}
	return false
}

func (on *onHost) has(name string) bool { return contains(on.lists, name) }

func contains(all []found, name string) bool {
	for _, f := range all {
		if f.name == name {
			return true
		}
	}
	return false
}

// inventoryOf returns the host's newest inventory, of those that the invocation has read,
// that lists a session of that name.
func (inv *invocation) inventoryOf(hostID, name string) *onHost {
	return inv.newest(hostID, func(on *onHost) bool { return on.has(name) })
}

// inventoryWithout returns the newest complete one that does not list it.
func (inv *invocation) inventoryWithout(hostID, name string) *onHost {
	return inv.newest(hostID, func(on *onHost) bool { return on.complete && !on.has(name) })
}

func (inv *invocation) newest(hostID string, fits func(*onHost) bool) (newest *onHost) {
	for _, on := range inv.reads {
		if on.machine.id == hostID && on.command.document == inventoryDocument && fits(on) &&
			(newest == nil || on.command.surveyOf.After(newest.command.surveyOf)) {
			newest = on
		}
	}
	return newest
}
