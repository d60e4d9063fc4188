package doctor_test

import (
	"slices"
	"testing"

	"dcv-session-broker/internal/operate/doctor"
)

func TestReleasesOfStackAndProgramAreCompared(t *testing.T) {
	s := newSimulated(t, healthyHost)
	for _, c := range []struct{ release, program, well, note string }{
		{"v1.1.0", "v1.1.0", "the stack and this dcvbroker are release v1.1.0", ""},
		{"v1.1.0", "v1.2.0", "", "is release v1.1.0, this dcvbroker is v1.2.0: use the dcvbroker of the stack's release"},
		{"v1.1.0", doctor.Devel, "", "is release v1.1.0, this dcvbroker is devel: use the dcvbroker of the stack's release"},
		{"", "v1.2.0", "", "does not say its release: it is older than the output Version. This dcvbroker is v1.2.0"},
		{doctor.Devel, doctor.Devel, "the stack and this dcvbroker are built from checkouts: their commits are not known", ""},
		{"", "", "", ""}, // a system on one machine
	} {
		s.Release, s.Program = c.release, c.program
		r := s.examine(t)
		var want []doctor.Finding
		if c.note != "" {
			want = []doctor.Finding{{About: "the stack", Says: c.note}}
		}
		if !slices.Equal(r.Findings, want) {
			t.Errorf("%q and %q: %+v", c.release, c.program, r.Findings)
		}
		if c.well != "" && r.Healthy[0] != c.well {
			t.Errorf("%q and %q: %q", c.release, c.program, r.Healthy[0])
		}
	}
}
