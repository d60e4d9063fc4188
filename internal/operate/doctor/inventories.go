package doctor

import (
	"time"

	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// examineInventories looks for a host that answers inventories, but not with all of its sessions. One answer may be cut
// for a reason that passes; where three in a row are, no session that ends on the host ends in the table.
func (d *Doctor) examineInventories(r *Report, h *host, note session.HostNote) {
	const (
		lacks = "did not list all of its sessions"
		means = "What ends there does not end in the table. End sessions, or spread them over more hosts: one answer holds some 370 " +
			"with random IDs, 600 with short ones. With fewer, its dcv takes too long, or prints what cannot be read. On the host, as root:"
	)
	switch incomplete := note.SentAt.Sub(note.CompleteAt); {
	case note.SentAt.IsZero() || incomplete <= 0: // it has never answered: other findings are about that
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
