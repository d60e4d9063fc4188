package sim

import (
	"time"

	"dcv-session-broker/internal/session"
)

// Promise 7, honestly: a caller is refused because a host is gone, of which there was no
// event. A repeat two minutes later is answered that the session does not exist: cleanup
// has asked EC2 meanwhile.
func (w *world) refusedEndAsNotFound() {
	entries := w.onGoneHosts()
	if w.broken != nil || len(entries) == 0 || !w.dice.chance(50*percent) {
		return
	}
	first := w.ask(entries, false)
	w.until(func() bool { return true }, w.now().Add(time.Minute))
	var refused []entry
	for _, e := range entries {
		if g := (group{e.SessionID, e.Owner}); first.denied[g] && !first.gone[g] {
			refused = append(refused, e)
		}
	}
	if len(refused) == 0 {
		return
	}
	w.seen.effects[goneRefused]++
	again := w.now().Add(2 * time.Minute)
	w.until(func() bool { return !w.now().Before(again) }, again)
	w.ask(refused, false).ofGone = true
	w.until(func() bool { return true }, w.now().Add(time.Minute))
}

// onGoneHosts returns entries for at most three sessions that the table has on terminated
// hosts.
func (w *world) onGoneHosts() (entries []entry) {
	for _, r := range w.records() {
		s := r.Session()
		m := w.machine(s.HostID)
		lives := s.State == session.Ready || s.State == session.Unknown && s.Confirmation == ""
		if m != nil && m.state == terminated && lives && len(entries) < 3 {
			entries = append(entries, entry{SessionID: s.ID, Owner: s.Owner})
		}
	}
	return entries
}
