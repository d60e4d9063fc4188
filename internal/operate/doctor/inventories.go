package doctor

import (
	"time"

	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// examineFleet checks whether inventories are sent and any answers arrive.
func (d *Doctor) examineFleet(r *Report, f *fleet) {
	if !f.newest.IsZero() && d.Now().Sub(f.newest) > 3*d.InventoryEvery {
		r.fault("", "", "has answered no inventory that was sent after %s: none is sent, or no answer arrives. See \"Inventory missing\" in the runbook",
			screen.Clock(f.newest, d.Now()))
	}
}

// examineInventories checks by the newest complete inventory whether the host's dcv answers. A single answer may be cut or
// missing for a temporary reason. Three in a row are a fault: sessions that end on the host do not end in the table.
func (d *Doctor) examineInventories(r *Report, f *fleet, h *host, note session.HostNote) {
	const (
		lacks = "did not list all of its sessions"
		means = "Sessions that end there stay in the table. End sessions, or spread them over more hosts: one answer holds some 370  " +
			"with random IDs, 600 with short ones. With fewer, its dcv takes too long, or prints what cannot be read. On the host, as root:"
	)
	online := h.managed.PingStatus == types.PingStatusOnline // else there is another finding about it
	switch incomplete := note.SentAt.Sub(note.CompleteAt); {
	case note.SentAt.IsZero():
		if online {
			r.note(h.id, "", "has answered no inventory, so nobody knows whether its dcv answers. One is sent every %s: look again after the next one. "+
				"If it does not answer that either, its dcv fails, or its agent cannot run the script (is /var mounted noexec, is its disk full?)",
				screen.Length(d.InventoryEvery))
		}
	case online && f.newest.Sub(note.SentAt) > 2*d.InventoryEvery:
		r.fault(h.id, "", "is online, but has answered no inventory that was sent after %s; other hosts have. "+
			"Its agent cannot run the script (is /var mounted noexec, is its disk full?), or its answers are lost", screen.Clock(note.SentAt, d.Now()))
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

// listSessions returns the command that lists sessions, to type on the host.
func listSessions(platform types.PlatformType) string {
	if platform == types.PlatformTypeWindows {
		return `& 'C:\Program Files\NICE\DCV\Server\bin\dcv.exe' list-sessions`
	}
	return "dcv list-sessions"
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }
