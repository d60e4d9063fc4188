package doctor_test

import (
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// What a host's inventories lack is told, and that it has lasted.
func TestAHostWhoseInventoriesAreNeverCompleteIsFound(t *testing.T) {
	const sessions, windows = "dcv list-sessions", `& 'C:\Program Files\NICE\DCV\Server\bin\dcv.exe' list-sessions`
	for _, c := range []struct {
		name     string
		answers  string // of one inventory every five minutes: c is complete, i is not, . is none
		platform string
		fault    bool
		says     string
		mends    string
	}{
		{"complete", "ccc", "", false, "", ""},
		{"complete again", "iiiic", "", false, "", ""},
		{"silent", "cc....", "", false, "", ""},
		{"none yet", "", "", false, "", ""},
		{"never complete", "i", "", true, "in any of its inventories, up to the one of 2026-11-23 12:05:00 UTC", sessions},
		{"never complete, Windows", "iii", "Windows", true, "in any of its inventories, up to the one of 2026-11-23 12:15:00 UTC", windows},
		{"one incomplete", "ci", "", false, "in its inventory of 2026-11-23 12:10:00 UTC; in that of 2026-11-23 12:05:00 UTC it did", ""},
		{"two incomplete", "cii", "", false, "in its inventory of 2026-11-23 12:15:00 UTC", ""},
		{"three incomplete", "ciii", "", true, "in any inventory after the one of 2026-11-23 12:05:00 UTC, up to that of 2026-11-23 12:20:00 UTC", sessions},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSurgery(t, well, ill)
			hosts := memtable.NewHosts()
			s.Notes = hosts
			if c.platform != "" {
				if err := (*fleet.Fleet).SetPlatform(s.Fleet, ill, c.platform); err != nil {
					t.Fatal(err)
				}
			}
			at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			for _, answer := range c.answers {
				at = at.Add(s.InventoryEvery)
				for id, complete := range map[string]bool{well: true, ill: answer == 'c'} {
					if id == ill && answer == '.' {
						continue
					}
					if _, err := hosts.RecordAnswer(t.Context(), session.HostAnswer{
						HostID: id, InventoryID: at.String(), SentAt: at, At: at, Sessions: 3, Complete: complete,
					}); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := s.examine(t)
			if c.says == "" {
				if len(r.Findings) > 0 {
					t.Errorf("found %+v", r.Findings)
				}
				return
			}
			if len(r.Findings) != 1 {
				t.Fatalf("found %+v", r.Findings)
			}
			got := r.Findings[0]
			if got.About != ill || got.Fault != c.fault || !strings.Contains(got.Says, c.says) || got.Mends != c.mends {
				t.Errorf("found %+v", got)
			}
		})
	}
}
