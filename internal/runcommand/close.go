package runcommand

import (
	"context"
	"strconv"

	"dcv-session-broker/internal/session"
)

// Close implements session.SessionCloser. Deletions whose time to try ends about the
// same time share commands (voidafter.go).
func (s *Sender) Close(ctx context.Context, attempt session.Attempt) []error {
	which, errs := sendable(attempt.Closings, func(c session.Closing) string { return c.HostID })
	var batches []batch
	for _, part := range partsByVoidAfter(attempt, which) {
		batches = append(batches, batch{
			document:   s.CloseDocument,
			comment:    comment{kind: closeKind, id: attempt.ID},
			parameters: map[string]string{"voidAfter": strconv.FormatInt(part.voidAfter.Unix(), 10)},
			items:      closingItems(attempt.Closings, part.closings),
			maxChars:   maxClosingChars,
			onSent:     attempt.OnSent,
		})
	}
	s.send(ctx, batches, errs)
	return errs
}

func closingItems(closings []session.Closing, which []int) []item {
	items := make([]item, len(which))
	for n, i := range which {
		c := closings[i]
		items[n] = item{i, c.HostID, encodeIncarnation(c.Incarnation)}
	}
	return items
}
