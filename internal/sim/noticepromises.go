package sim

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/session"
)

// noticeTried notes that the broker tries to send a notice's command.
func (w *world) noticeTried(inv *invocation, in *ssm.SendCommandInput) {
	if aws.ToString(in.DocumentName) != notifyDocument {
		return
	}
	cmd := newCommand(in, w.now())
	w.mu.Lock()
	defer w.mu.Unlock()
	inv.notifies = true
	for _, asks := range cmd.asks {
		for _, a := range asks {
			if n := w.model.notices[cmd.noticeKey(a)]; n != nil {
				n.tried = true
			}
		}
	}
}

func (c *command) noticeKey(a ask) noticeKey {
	if c.closeAt.IsZero() {
		return noticeKey{sessionID: a.sessionID, cancel: a.order}
	}
	return noticeKey{sessionID: a.sessionID, warning: c.notice}
}

// noticeTaken compares a notice with its write: it names the same session in the same
// incarnation (5), and no time later than the CloseAt that the write set or found; it
// expires two minutes later, or at CloseAt (12).
func (w *world) noticeTaken(inv *invocation, cmd *command) {
	for _, on := range cmd.on {
		for _, a := range cmd.asks[on.machine.id] {
			n := w.model.notices[cmd.noticeKey(a)]
			if n == nil {
				w.breaks(12, "%s sends users of %s a notice that is not recorded (%s)", inv, a.sessionID, cmd.comment)
				continue
			}
			if at := w.model.attempts[cmd.notice][a.sessionID]; at != nil {
				at.sent = true
			}
			created, err := time.Parse(time.RFC3339Nano, n.creation)
			void := n.at.Add(2 * time.Minute)
			if !n.closeAt.IsZero() && n.closeAt.Before(void) {
				void = n.closeAt
			}
			switch {
			case n.hostID != on.machine.id || n.name != a.name:
				w.breaks(5, "%s has %s tell the users of %q, but %s is %q on %s", inv, on.machine.id, a.name, a.sessionID, n.name, n.hostID)
			case err == nil && (a.latest || !a.created.Equal(created)):
				w.breaks(5, "%s has users of %s of %s told, not those of %s", inv, a.sessionID, a.created, n.creation)
			case err != nil && (!a.latest || a.created.After(n.requestedAt.Add(session.CreationTolerance))):
				w.breaks(5, "%s has users of %s told, as of %s, and its deletion was requested at %s", inv, a.sessionID, a.created, n.requestedAt)
			case cmd.closeAt.After(n.closeAt), cmd.closesAt > n.closeAt.Add(time.Second).Unix() && !n.closeAt.IsZero(), cmd.saysAt().After(n.closeAt) && !n.closeAt.IsZero():
				w.breaks(12, "%s has users of %s told that it is closed at %s (%q), and its write has %s", inv, a.sessionID, cmd.closeAt, cmd.text, n.closeAt)
			case a.order != n.at.UnixMilli():
				w.breaks(12, "%s has users of %s told, as of %d, and its write is of %d", inv, a.sessionID, a.order, n.at.UnixMilli())
			case cmd.voidAfter > void.Unix():
				w.breaks(12, "the notice of %s to %s is valid until %d, and should be void at %s", inv, a.sessionID, cmd.voidAfter, void)
			}
		}
	}
}

// saysAt returns the time that the text of a notice names; zero: none.
func (c *command) saysAt() (at time.Time) {
	_, after, _ := strings.Cut(c.text, "This session will be closed at ")
	text, _, _ := strings.Cut(after, " UTC")
	at, _ = time.Parse("2006-01-02 15:04", text)
	return at
}

// runsNotice notes that a host has accepted a notice, and checks the order: none is
// accepted after the notice of a later write (12).
func (w *world) runsNotice(on *onHost, a ask, d *desktop) *notice {
	n := w.model.notices[on.command.noticeKey(a)]
	if n == nil {
		w.breaks(12, "%s shows the users of %s a notice that is not recorded (%s)", on.machine.id, a.sessionID, on.command.comment)
		return &notice{of: &deletion{}}
	}
	if n.n < d.newestRun {
		w.breaks(12, "%s accepts a notice to %s after a later one (%s)", on.machine.id, a.sessionID, on.command.comment)
	}
	d.newestRun = max(d.newestRun, n.n)
	return n
}

// showsWarning puts a warning on a session's screen.
func (w *world) showsWarning(on *onHost, d *desktop, n *notice) {
	m, closeAt := on.machine, on.command.closeAt
	if n.of.untold {
		w.breaks(12, "%s warns the users of %q, whose deletion was cancelled, and nobody is told of that", m.id, d.name)
	}
	d.window = &window{of: n, closeAt: closeAt}
	w.say(m.id, "the users of %q read that it is closed at %s", d.name, closeAt.Format(time.TimeOnly))
}

// onScreen notes that a warning is still on the screen two seconds later.
func (d *deletion) onScreen(closeAt time.Time) {
	if d.shown == nil {
		d.shown = map[time.Time]bool{}
	}
	d.shown[closeAt] = true
}

// closesInTime checks a close command: it is not sent before the close time (12), and not
// for a deletion that was cancelled (2).
func (w *world) closesInTime(inv *invocation, a ask, at *asked) {
	switch d := at.of; {
	case at.notice:
		w.breaks(12, "%s asks to close %s, by an attempt that is to tell its users", inv, a.sessionID)
	case d == nil:
	case d.cancelled:
		w.breaks(2, "%s asks to close %s, whose deletion was cancelled", inv, a.sessionID)
	case w.now().Before(d.closeAt):
		w.breaks(12, "%s asks to close %s, which has time until %s", inv, a.sessionID, d.closeAt)
	}
}
