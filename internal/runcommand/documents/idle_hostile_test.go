package documents_test

import (
	"slices"
	"strings"
	"testing"
)

// The limit is checked again here: a wrong one would close what is in use.
func TestInvalidLimitClosesNothing(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.used("s", ago(500, 0), "")
		for _, limit := range []string{"", "0", "000000", "-1", "1e1", "0x1", "1.5", " 1", "1 ", "x", "1\n", "$(touch ran)", `\61`} {
			h.wantFailed(h.idle(limit), "idleMinutes is no number of minutes")
		}
		h.wantSessions("s")
		h.wantNothingRun()
		h.wantSaid(h.idle("000060"), "s closed 500/0")
	})
}

func TestHostWithoutAClockClosesNothing(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.used("s", ago(500, 0), "")
		h.shim("date", "exit 1")
		h.wantFailed(h.idle(idleLimit), "no clock")
		h.wantSessions("s")
	})
}

// An ID, whatever is in it, is a name and nothing else, and comes out as it went in.
func TestHostileIdleSessionsAreClosedAlone(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(1_800_000_000, 0)
		for round := range 2 {
			var idle, fresh []string
			for i, id := range hostileIDs {
				if i%2 == round {
					h.hostileSession(id, i%4 < 2)
					idle = append(idle, id)
				} else {
					h.session(id, "2027-01-15T08:00:00Z") // the clock's time
					fresh = append(fresh, id)
				}
			}
			s := h.idle(idleLimit)
			slices.Sort(idle)
			if !slices.Equal(s.ids(), idle) || s.end != len(hostileIDs) {
				t.Errorf("told of %q, wanted %q, end %d", s.ids(), idle, s.end)
			}
			for _, l := range s.lines {
				if l.Result != "closed" || *l.Created != created {
					t.Errorf("%+v", l)
				}
			}
			h.wantSessions(fresh...)
		}
		h.wantNothingRun()
	})
}

func TestIdleSessionsThatDcvCannotBeGivenFail(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(1_800_000_000, 0)
		h.wrapDcv(`[ "$1" = list-sessions ] || printf '%s\n' "$@" >>"$DCV_STATE/given"`)
		ids := append([]string{""}, impossibleIDs...)
		var listed []string
		for _, id := range ids {
			listed = append(listed, described(escaped(id), created))
		}
		h.server("garbage", "["+strings.Join(listed, ",")+"]")
		s := h.idle(idleLimit)
		slices.Sort(ids)
		if !slices.Equal(s.ids(), ids) {
			t.Errorf("told of %q, wanted %q", s.ids(), ids)
		}
		for _, l := range s.lines {
			if l.Result != "failed" || l.Reason != "no ID for dcv, or named twice" {
				t.Errorf("%+v", l)
			}
		}
		if exists(t, h.state+"/given") {
			t.Errorf("dcv was given %q", read(t, h.state+"/given"))
		}
	})
}
