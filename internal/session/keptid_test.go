package session_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Promise 5: a repeated request for a session that has ended closes no other session, and
// its answer is true.
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

// An index shows a record late, and the plain ID, once another host's, may be free by
// then: the session keeps its one record.
func TestSessionHasOneRecordThoughTheIndexIsBehind(t *testing.T) {
	const listedAs = "s1-" + hostB
	expired := with(seen(deletedRecord), "ExpiresAt", at(3600).Unix())
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
			u.take(inventory(hostB, at(3600), changed(found("s1", alice), func(f *session.Found) { f.NumOfConnections = 1 })))
			u.has(listedAs, "NumOfConnections", int64(1))
			if r := u.table.Get("s1"); r["State"] == "READY" {
				t.Errorf("the session has a second record: %v", r)
			}
		})
	}
}

// The record with a session's plain ID expires, or is removed, while inventories of the
// session's host are applied: the first finds the ID taken, the second finds it free
// before the first has listed the session.
func TestSessionHasOneRecordThoughItsNameIsJustFree(t *testing.T) {
	for name, second := range map[string]session.Inventory{
		"a newer inventory":   inventory(hostB, at(60), found("s1", alice)),
		"the same, once more": inventory(hostB, at(55), found("s1", alice)),
	} {
		for _, removed := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", removed ", removed), func(t *testing.T) {
				u := newUpkeep(t, with(seen(deletedRecord), "ExpiresAt", at(65).Unix()))
				first := u.reconciler()
				first.Now = func() time.Time { return at(60) }
				first.Table = &interruptedTable{Table: u.table, after: func() {
					if removed {
						u.table.Delete("s1")
					}
					u.take(second)
				}}
				if _, err := first.Apply(context.Background(), inventory(hostB, at(55), found("s1", alice))); err != nil {
					t.Fatal(err)
				}
				u.has("s1", "HostId", hostB, "State", "READY")
				if r := u.table.Get("s1-" + hostB); r != nil {
					t.Errorf("the session has a second record: %v", r)
				}
			})
		}
	}
}

// A newer inventory arrives right after the first has looked for one.
func TestSessionHasOneRecordThoughANewerInventoryIsMissed(t *testing.T) {
	u := newUpkeep(t, with(seen(deletedRecord), "ExpiresAt", at(65).Unix()))
	first := u.reconciler()
	first.Now = func() time.Time { return at(60) }
	looks := 0
	first.HostTable = &interruptedHosts{Hosts: u.hostTable, after: func() {
		if looks++; looks == 2 {
			u.take(inventory(hostB, at(60), found("s1", alice)))
		}
	}}
	if _, err := first.Apply(context.Background(), inventory(hostB, at(55), found("s1", alice))); err != nil {
		t.Fatal(err)
	}
	u.take(inventory(hostB, at(300), found("s1", alice)))
	u.has("s1", "HostId", hostB, "State", "READY")
	if r := u.table.Get("s1-" + hostB); r != nil {
		t.Errorf("the session has a second record: %v", r)
	}
}

// An interruptedHosts calls a function after each read of the newest inventory.
type interruptedHosts struct {
	*memtable.Hosts
	after func()
}

func (i *interruptedHosts) Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error) {
	newest, err := i.Hosts.Newest(ctx, hostIDs)
	i.after()
	return newest, err
}

// A session whose ID is about to be free is listed as soon as it is free.
func TestSessionWaitsForItsNameSomeMinutesAtMost(t *testing.T) {
	const listedAs = "s1-" + hostB
	for left, want := range map[time.Duration]string{
		5*time.Minute + time.Second: listedAs, 5 * time.Minute: "", time.Second: "", 0: "s1",
	} {
		t.Run(left.String(), func(t *testing.T) {
			expires := at(0).Truncate(time.Second)
			u := newUpkeep(t, with(seen(deletedRecord), "DeletedAt", session.FormatTime(at(-3600)), "ExpiresAt", expires.Unix()))
			u.take(inventory(hostB, expires.Add(-left-10*time.Second), found("s1", alice)))
			for _, id := range []string{"s1", listedAs} {
				if lives := u.table.Get(id)["State"] == "READY"; lives != (id == want) {
					t.Errorf("%s is READY: %t", id, lives)
				}
			}
			u.take(inventory(hostB, expires.Add(time.Minute), found("s1", alice)))
			if want == "" {
				u.has("s1", "HostId", hostB, "State", "READY")
			}
		})
	}
}

// An interruptedTable calls a function after its first write.
type interruptedTable struct {
	session.Table
	after func()
}

func (i *interruptedTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := i.Table.Write(ctx, writes)
	if len(writes) > 0 && i.after != nil {
		after := i.after
		i.after = nil
		after()
	}
	return results
}
