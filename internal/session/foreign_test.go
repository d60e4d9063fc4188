package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// Promise 5: whatever a host reports, in any order and any number of times, no record of
// another host's session changes unless it is DELETED; and all sessions that the host
// runs are listed.
func TestHostSpeaksForItselfOnly(t *testing.T) {
	hostIDs := []string{hostA, hostB, "mi-0123456789abcdef0"}
	names := []string{"s1", "s2", "console"}
	for _, h := range hostIDs {
		names = append(names, "s1-"+h, "console-"+h, "s1-"+h+"-"+hostA)
	}
	anyHost, anyName := rapid.SampledFrom(hostIDs), rapid.SampledFrom(names)
	anyFound := rapid.Custom(func(t *rapid.T) session.Found {
		return session.Found{
			NameOnHost: anyName.Draw(t, "name"), Owner: rapid.SampledFrom([]string{alice, mallory, ""}).Draw(t, "owner"),
			CreationTime: rapid.SampledFrom([]string{"2026-11-23T19:00:00Z", "2026-11-23T19:00:00.5Z", "2026-11-23T20:00:00.5Z", ""}).Draw(t, "created"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		u := newUpkeep(t)
		feed := u.table.Feed()
		var said []func()
		clock := t0
		speaker := ""
		say := func(what func()) {
			said = append(said, what)
			what()
		}
		check := func() {
			for _, c := range feed.Ready() {
				was := c.Old.Session()
				if speaker != "" && c.Old != nil && was.HostID != speaker && was.State != session.Deleted {
					rt.Fatalf("%s changed a record of %s:\n%s", speaker, was.HostID, cmp.Diff(c.Old, c.New))
				}
				if speaker != "" && c.New["State"] == "DELETED" {
					rt.Fatalf("%s has ended a record by itself: %v", speaker, c.New)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"inventory": func(rt *rapid.T) {
				clock = clock.Add(time.Duration(rapid.IntRange(0, 400).Draw(rt, "seconds")) * time.Second)
				host := anyHost.Draw(rt, "host")
				inv := inventory(host, clock.Add(-time.Duration(rapid.IntRange(0, 60).Draw(rt, "late"))*time.Second),
					rapid.SliceOfN(anyFound, 0, 6).Draw(rt, "sessions")...)
				inv.Complete = rapid.IntRange(0, 3).Draw(rt, "cut") > 0
				say(func() {
					speaker, u.now = host, clock
					if _, err := u.reconciler().Apply(context.Background(), inv); err != nil {
						rt.Fatal(err)
					}
				})
			},
			"idle": func(rt *rapid.T) {
				host, f := anyHost.Draw(rt, "host"), anyFound.Draw(rt, "session")
				say(func() {
					speaker, u.now = host, clock
					if err := u.idle(host, session.IdleSession{NameOnHost: f.NameOnHost, CreationTime: f.CreationTime, Outcome: session.OutcomeClosed}); err != nil {
						rt.Fatal(err)
					}
				})
			},
			"again": func(rt *rapid.T) {
				if len(said) == 0 {
					rt.Skip("nothing was said")
				}
				rapid.SampledFrom(said).Draw(rt, "which")()
			},
			"delete": func(rt *rapid.T) {
				speaker = ""
				all := u.table.All()
				if len(all) == 0 {
					rt.Skip("nothing is listed")
				}
				r := rapid.SampledFrom(all).Draw(rt, "record").Session()
				e := session.Entry{SessionID: r.ID, Owner: r.Owner, Force: rapid.Bool().Draw(rt, "force")}
				u.delete(request("r-"+session.FormatTime(clock), clock, e))
			},
			"finish": func(*rapid.T) {
				speaker = ""
				u.finish(clock, u.table.All()...)
			},
			"": func(*rapid.T) { check() },
		})

		// Then each host's complete inventory: all its sessions are listed.
		speaker = ""
		u.finish(clock, u.table.All()...)
		check()
		clock = clock.Add(time.Minute)
		for _, host := range hostIDs {
			speaker = host
			u.take(inventory(host, clock, found("s1", alice), found("console", alice), found("console-"+hostB, alice)))
			check()
		}
		lives := map[string]int{}
		for _, r := range u.table.All() {
			if s := r.Session(); s.State == session.Ready {
				lives[s.HostID+" "+s.NameOnHost()]++
			}
		}
		for _, host := range hostIDs {
			for _, name := range []string{"s1", "console", "console-" + hostB} {
				if lives[host+" "+name] != 1 && !u.busy(host, name) {
					rt.Fatalf("%s of %s is listed %d times: %v", name, host, lives[host+" "+name], u.table.All())
				}
			}
		}
	})
}

// busy tells whether the session has a deletion of its own.
func (u *upkeep) busy(hostID, name string) bool {
	for _, r := range u.table.All() {
		if s := r.Session(); s.HostID == hostID && s.NameOnHost() == name && s.State != session.Ready && s.State != session.Deleted {
			return true
		}
	}
	return false
}
