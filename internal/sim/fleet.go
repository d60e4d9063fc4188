package sim

import (
	"time"

	"dcv-session-broker/internal/session"
)

// fleetIsListed runs the first inventory of a large fleet before the faults begin:
// otherwise it would take all steps of the run.
func (w *world) fleetIsListed() {
	if w.setup.large() {
		said := w.now().Add(20 * time.Second)
		w.until(func() bool { return w.now().After(said) && len(w.queue) == 0 }, said.Add(time.Minute))
	}
}

// fleetIsHalfTagged removes the tag of some hosts of a large fleet after the first
// inventory, and lets clients delete sessions on as many hosts as one command can name.
// The hosts at fault are found in few calls, even if the fleet is too large to be listed
// (promise 8).
func (w *world) fleetIsHalfTagged() {
	if w.setup.untagged == 0 {
		return
	}
	for _, m := range w.machines {
		if w.other.chance(w.setup.untagged * percent) {
			w.ill(m, hostUntagged, func() { m.tagged = false }, false)
		}
	}
	for range 3 {
		w.after(w.other.between(0, 20*time.Second), func() {
			if entries := w.onManyHosts(20 + w.other.below(31)); len(entries) > 0 {
				w.ask(entries, false)
			}
		})
	}
}

// onManyHosts asks for one session of each of so many hosts.
func (w *world) onManyHosts(most int) (entries []entry) {
	asked := map[string]bool{}
	records := w.records()
	if len(records) == 0 {
		return nil
	}
	first := w.other.below(len(records))
	for i := range records {
		s := records[(first+i)%len(records)].Session()
		if s.State == session.Ready && !asked[s.HostID] && len(entries) < most {
			asked[s.HostID] = true
			entries = append(entries, entry{SessionID: s.ID, Owner: s.Owner})
		}
	}
	return entries
}
