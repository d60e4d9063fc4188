package runcommand

import (
	"strconv"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// A command's comment says what it is and what it belongs to:
//
//	close ATTEMPT-ID
//	inventory ID SENDING-TIME
//	idle ID SENDING-TIME
//	notify NOTICE-ID CLOSE-AT NOTICE-ORDER
//	cancelled NOTICE-ID (of any of its notices)
//
// Each invocation shows it, no host can write it, and it has at most 100
// characters. A command has no other data of its sender.
const (
	closeKind     = "close"
	inventoryKind = "inventory"
	idleKind      = "idle"
	notifyKind    = "notify"
	cancelledKind = "cancelled" // the notice of a cancel
)

type comment struct {
	kind, id string
	at       time.Time // of the kinds that have one
	noticeAt time.Time // of notifyKind: NoticeAt of its notices, the earliest
}

// fieldsOf is how many fields our comments have, by their kinds.
var fieldsOf = map[string]int{closeKind: 2, inventoryKind: 3, idleKind: 3, notifyKind: 4, cancelledKind: 2}

func (c comment) String() string {
	text := c.kind + " " + c.id
	if fieldsOf[c.kind] > 2 {
		text += " " + session.FormatTime(c.at)
	}
	if fieldsOf[c.kind] > 3 {
		text += " " + encodeOrder(c.noticeAt)
	}
	return text
}

func parseComment(text string) (comment, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 || len(fields) != fieldsOf[fields[0]] {
		return comment{}, ErrNotOurs
	}
	c := comment{kind: fields[0], id: fields[1]}
	var atErr, orderErr error
	if len(fields) > 2 {
		c.at, atErr = time.Parse(session.TimeFormat, fields[2])
	}
	if len(fields) > 3 {
		c.noticeAt, orderErr = decodeOrder(fields[3])
	}
	if atErr != nil || orderErr != nil {
		return comment{}, ErrNotOurs
	}
	return c, nil
}

// encodeOrder returns NoticeAt, which orders notices, in milliseconds since 1970, in
// base 36.
func encodeOrder(noticeAt time.Time) string {
	return strconv.FormatInt(max(noticeAt.UnixMilli(), 0), 36)
}

func decodeOrder(text string) (noticeAt time.Time, err error) {
	millis, err := strconv.ParseInt(text, 36, 64)
	if err == nil && millis < 0 {
		err = strconv.ErrRange
	}
	return time.UnixMilli(millis).UTC(), err
}

// AttemptOf returns the attempt of a command, a close or a notice, from its comment.
func AttemptOf(text string) (attemptID string, ok bool) {
	c, err := parseComment(text)
	if err != nil || c.kind != closeKind && c.kind != notifyKind {
		return "", false
	}
	return c.id, true
}
