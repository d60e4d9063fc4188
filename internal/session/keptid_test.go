package session_test

import (
	"testing"

	"dcv-session-broker/internal/session"
)

// Promise 5: who repeats a request for a session that has ended closes nobody
// else's, and is told what is true.
func TestEndedRecordKeepsItsID(t *testing.T) {
	const listedAs = "s1-" + hostB
	for name, ended := range map[string]session.Record{
		"closed":             seen(deletedRecord),
		"purged":             with(seen(deletedRecord), "Confirmation", "forced", "Force", true),
		"still to be closed": seen(closingRecord),
	} {
		t.Run(name, func(t *testing.T) {
			ended := aMinuteOld(with(ended, "DeletedAt", session.FormatTime(at(-40))))
			u := newUpkeep(t, ended)
			u.take(inventory(hostB, t0, found("s1", alice)))
			u.is("s1", ended)
			u.has(listedAs, "State", "READY")
			if _, lives := ended["CloseUntil"]; lives {
				return // a repeat goes on with the closing
			}
			answers := u.delete(request("r2", at(60), entry("s1", alice)))
			if answers[0].FailureReason != session.NotFound {
				t.Errorf("the repeat is answered %q", answers[0].FailureReason)
			}
			u.is("s1", ended)
			u.has(listedAs, "State", "READY")
		})
	}
}

// An index shows a record late, and the name that was another's may be free by
// then: the session keeps the one record that it has.
func TestSessionHasOneRecordThoughTheIndexIsBehind(t *testing.T) {
	const listedAs = "s1-" + hostB
	expired := with(seen(deletedRecord), "ExpiresAt", at(65).Unix())
	for name, expire := range map[string]func(*upkeep){
		"expired": func(*upkeep) {},
		"removed": func(u *upkeep) { u.table.Delete("s1") },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, expired)
			u.take(inventory(hostB, t0, found("s1", alice)))
			u.has(listedAs, "State", "READY")
			expire(u)
			u.onHost = func() []session.Record { return nil }
			u.take(inventory(hostB, at(60), changed(found("s1", alice), func(f *session.Found) { f.NumOfConnections = 1 })))
			u.has(listedAs, "NumOfConnections", int64(1))
			if r := u.table.Get("s1"); r["State"] == "READY" {
				t.Errorf("the session has a second record: %v", r)
			}
		})
	}
}
