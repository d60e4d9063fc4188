package doctor

import (
	"time"

	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// examineFleet looks whether inventories are sent and their answers arrive at all.
func (d *Doctor) examineFleet(r *Report, f *fleet) {
	if !f.newest.IsZero() && d.Now().Sub(f.newest) > 3*d.InventoryEvery {
		r.fault("", "", "has answered no inventory that was sent after %s: none is sent, or no answer arrives. See \"Inventory missing\" in the runbook",
			screen.Clock(f.newest, d.Now()))
	}
}

// examineInventories judges by a host's newest complete inventory whether its dcv answers. One answer may be cut, or missing,
// for a reason that passes. Where three in a row are, no session that ends on the host ends in the table.
func (d *Doctor) examineInventories(r *Report, f *fleet, h *host, note session.HostNote) {
	const (
		lacks = "did not list all of its sessions"
		means = "What ends there does not end in the table. End sessions, or spread them over more hosts: one answer holds some 370 " +
			"with random IDs, 600 with short ones. With fewer, its dcv takes too long, or prints what cannot be read. On the host, as root:"
	)
	online := h.managed.PingStatus == types.PingStatusOnline // else another finding is about that
	switch incomplete := note.SentAt.Sub(note.CompleteAt); {
	case note.SentAt.IsZero():
		if online {
			r.note(h.id, "", "has answered no inventory, so nobody knows whether its dcv answers. One is sent every %s: look again after the next one",
				screen.Length(d.InventoryEvery))
		}
	case online && f.newest.Sub(note.SentAt) > 2*d.InventoryEvery:
		r.fault(h.id, "", "is online, and has left each inventory unanswered that was sent after %s; others have answered since. "+
			"Its agent cannot run the script (is /var mounted noexec, is its disk full?), or what it answers is lost", screen.Clock(note.SentAt, d.Now()))
	case incomplete <= 0:
	case note.CompleteAt.IsZero():
		r.fault(h.id, listSessions(h.managed.PlatformType), lacks+" in any of its inventories, up to the one of %s. "+means, clock(note.SentAt))
	case incomplete > 2*d.InventoryEvery:
		r.fault(h.id, listSessions(h.managed.PlatformType), lacks+" in any inventory after the one of %s, up to that of %s. "+means,
			clock(note.CompleteAt), clock(note.SentAt))
	default:
		r.note(h.id, "", lacks+" in its inventory of %s; in that of %s it did. Look again after the next one", clock(note.SentAt), clock(note.CompleteAt))
	}
}

// listSessions is to be typed on the host.
func listSessions(platform types.PlatformType) string {
	if platform == types.PlatformTypeWindows {
		return `& 'C:\Program Files\NICE\DCV\Server\bin\dcv.exe' list-sessions`
	}
	return "dcv list-sessions"
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }
