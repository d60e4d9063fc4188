package runcommand

import (
	"context"
	"encoding/base64"
	"strconv"
	"time"

	"dcv-session-broker/internal/session"
)

// The parameters of the notify document:
//
//	sessions   as the close document's, with ":" and the order of the notice
//	           (encodeOrder) behind each session
//	text       what is shown, UTF-8 in base64: nothing in it means anything on its way
//	closeAt    when closing begins, in seconds since 1970, rounded up; "0" in the
//	           notice of a cancel
//	voidAfter  in seconds since 1970

// Notify implements session.Notifier. Notices with the same text share a command. Its
// comment has the earliest time of their writes, so that an answer cannot look like the
// answer to a later notice. Notices of cancels share a command, too, also of several
// requests: the answer is not recorded, so the comment may have the ID of any of them.
func (s *Sender) Notify(ctx context.Context, notices []session.Notice) []error {
	which, errs := sendable(notices, func(n session.Notice) string { return n.HostID })
	var batches []batch
	placeOf := map[[4]string]int{}
	for _, i := range which {
		n := notices[i]
		parameters := noticeParameters(n)
		key := [...]string{n.ID, session.FormatTime(n.CloseAt), parameters["text"], parameters["voidAfter"]}
		if n.CloseAt.IsZero() {
			key[0] = ""
		}
		place, known := placeOf[key]
		if !known {
			place = len(batches)
			placeOf[key] = place
			batches = append(batches, batch{document: s.NotifyDocument, comment: noticeComment(n), parameters: parameters, maxChars: maxNoticeChars})
		}
		b := &batches[place]
		b.items = append(b.items, item{i, n.HostID, encodeNotice(n)})
		if n.At.Before(b.comment.noticeAt) {
			b.comment.noticeAt = n.At
		}
	}
	s.send(ctx, batches, errs)
	return errs
}

func noticeComment(n session.Notice) comment {
	if n.CloseAt.IsZero() {
		return comment{kind: cancelledKind, id: n.ID}
	}
	return comment{kind: notifyKind, id: n.ID, at: n.CloseAt, noticeAt: n.At}
}

func noticeParameters(n session.Notice) map[string]string {
	closeAt := int64(0)
	if !n.CloseAt.IsZero() {
		closeAt = n.CloseAt.Add(time.Second - 1).Unix()
	}
	return map[string]string{
		"text":      base64.StdEncoding.EncodeToString([]byte(n.Text)),
		"closeAt":   strconv.FormatInt(closeAt, 10),
		"voidAfter": strconv.FormatInt(n.VoidAfter.Unix(), 10),
	}
}

func encodeNotice(n session.Notice) string {
	return encodeIncarnation(n.Incarnation) + ":" + encodeOrder(n.At)
}
