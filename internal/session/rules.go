package session

import (
	"hash/fnv"
	"strconv"
	"time"
)

const (
	// Lease is how long an attempt stays the only one: long enough for its command
	// to be delivered and to run (DeliveryTimeout plus the close document's
	// own time-out), so that when the lease ends no host still works on it.
	Lease = 2 * time.Minute

	// failedPause is the least time between an attempt that its host says has
	// failed, and the next one; it doubles from attempt to attempt.
	failedPause = 30 * time.Second

	// RepeatPause is the least time between two attempts that callers bring
	// about by repeating a request.
	RepeatPause = 10 * time.Second

	// KeepDeleted is how long a DELETED record can be looked at.
	KeepDeleted = 48 * time.Hour

	// KeepUnknown is how long a record is kept whose host is not heard of.
	KeepUnknown = 30 * 24 * time.Hour

	// MaxIDBytes bounds a session's ID and its owner, in bytes of UTF-8. DCV's
	// own IDs have at most 128 characters; a listed ID may have a host's ID
	// behind it.
	MaxIDBytes = 256

	// CreationTolerance is how much later than the request a session may have
	// been created, by its host's clock, and still be taken for the one that
	// was meant, where no incarnation was recorded. Hosts that keep time are
	// off by milliseconds; five seconds forgive one that keeps it badly, and
	// are less than it takes to log out and get a new console session.
	CreationTolerance = 5 * time.Second

	dueShards = 4
)

func is(attr string, values ...any) Condition {
	c := Condition{Attr: attr, Op: Is}
	for _, v := range values {
		c.Values = append(c.Values, value(v))
	}
	return c
}

func missing(attr string) Condition { return Condition{Attr: attr, Op: Missing} }

func exists(attr string) Condition { return Condition{Attr: attr, Op: Exists} }

// same is the condition that an attribute is as it was seen, there or not.
func same(seen Record, attr string) Condition {
	if v, ok := seen[attr]; ok {
		return is(attr, v)
	}
	return missing(attr)
}

func set(w *Write, attr string, v any) { w.Set[attr] = value(v) }

// lease makes the attempt of that name the current one.
func lease(w *Write, sessionID, attemptID string, now time.Time) {
	set(w, AttrAttemptID, attemptID)
	set(w, AttrAttemptedAt, now)
	set(w, AttrNextAttemptAt, now.Add(Lease))
	set(w, AttrDueShard, dueShard(sessionID))
}

func dueShard(sessionID string) string {
	h := fnv.New32a()
	h.Write([]byte(sessionID))
	return strconv.Itoa(int(h.Sum32() % dueShards))
}
