package doctor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/operate/doctor"
)

// A host whose last inventories were incomplete is reported, with the time since which they are.
func TestAHostWhoseInventoriesAreNeverCompleteIsFound(t *testing.T) {
	const sessions, windows = "dcv list-sessions", `& 'C:\Program Files\NICE\DCV\Server\bin\dcv.exe' list-sessions`
	for _, c := range []struct {
		name     string
		answers  string // to inventories five minutes apart: c complete, i incomplete, . no answer
		platform string
		fault    bool
		says     string
		fix      string
	}{
		{"complete", "ccc", "", false, "", ""},
		{"complete again", "iiiic", "", false, "", ""},
		{"one or two unanswered", "cc..", "", false, "", ""},
		{"three unanswered", "cc...", "", true, "has answered no inventory that was sent after 2026-11-23 12:10:00 UTC (16 minutes ago)", ""},
		{"none yet", "...", "", false, "has answered no inventory, so nobody knows whether its dcv answers. One is sent every 5 minutes", ""},
		{"never complete", "i", "", true, "in any of its inventories, up to the one of 2026-11-23 12:05:00 UTC", sessions},
		{"never complete, Windows", "iii", "Windows", true, "in any of its inventories, up to the one of 2026-11-23 12:15:00 UTC", windows},
		{"one incomplete", "ci", "", false, "in its inventory of 2026-11-23 12:10:00 UTC; in that of 2026-11-23 12:05:00 UTC it did", ""},
		{"two incomplete", "cii", "", false, "in its inventory of 2026-11-23 12:15:00 UTC", ""},
		{"three incomplete", "ciii", "", true, "in any inventory after the one of 2026-11-23 12:05:00 UTC, up to that of 2026-11-23 12:20:00 UTC", sessions},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSimulated(t, healthyHost, faulty)
			s.hosts = memtable.NewHosts()
			s.Notes = s.hosts
			if c.platform != "" {
				if err := (*fleet.Fleet).SetPlatform(s.Fleet, faulty, c.platform); err != nil {
					t.Fatal(err)
				}
			}
			at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
			for _, answer := range c.answers {
				at = at.Add(s.InventoryEvery)
				for id, complete := range map[string]bool{healthyHost: true, faulty: answer == 'c'} {
					if id == faulty && answer == '.' {
						continue
					}
					s.answer(t, id, at, complete)
				}
			}
			s.Now = func() time.Time { return at.Add(time.Minute) }
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
			if got.About != faulty || got.Fault != c.fault || !strings.Contains(got.Says, c.says) || got.Fix != c.fix {
				t.Errorf("found %+v", got)
			}
		})
	}
}

// If no host answers any more, the fault is not the hosts'.
func TestAFleetThatAnswersNoInventoriesIsFound(t *testing.T) {
	s := newSimulated(t, healthyHost, faulty)
	now := time.Now()
	s.Now = func() time.Time { return now.Add(14 * time.Minute) }
	if r := s.examine(t); len(r.Findings) > 0 {
		t.Errorf("found %+v", r.Findings)
	}
	s.Now = func() time.Time { return now.Add(16 * time.Minute) }
	if r := s.examine(t); len(r.Findings) != 1 || r.Findings[0].About != "" || !r.Findings[0].Fault || !strings.Contains(r.Findings[0].Says, "has answered no inventory that was sent after") {
		t.Errorf("found %+v", r.Findings)
	}
}

// A finding of many hosts is written once, with the names of all.
func TestFindingOfManyHostsIsWrittenOnce(t *testing.T) {
	r := doctor.Report{}
	for n := range 200 {
		id := fmt.Sprintf("i-%017d", n)
		r.Findings = append(r.Findings,
			doctor.Finding{About: id, Says: "has answered no inventory, so nobody knows whether its dcv answers. One is sent every 5 minutes"},
			doctor.Finding{About: id, Fault: true, Says: "lacks the tag", Fix: "aws ec2 create-tags --resources " + id})
	}
	r.Findings = append(r.Findings, doctor.Finding{About: healthyHost, Fault: true, Says: "lacks the tag, too", Fix: "aws ec2 create-tags --resources " + healthyHost})
	var out strings.Builder
	r.Print(&out)
	said := out.String()
	for _, want := range []string{
		"note    each of these 200 has answered", "FAULT   each of these 200 lacks the tag\n          i-00000000000000000, i-", "create-tags --resources HOST\n",
		"FAULT   " + healthyHost + " lacks the tag, too\n          aws ec2 create-tags --resources " + healthyHost + "\n", "\n201 faults\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in it", want)
		}
	}
	if ids, lines := strings.Count(said, "i-0"), strings.Count(said, "\n"); ids != 402 || lines > 150 {
		t.Errorf("%d IDs in %d lines", ids, lines)
	}
	if t.Failed() {
		t.Log(said)
	}
}
