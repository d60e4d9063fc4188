package documents_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const (
	created = "2026-03-02T16:08:50.123456Z"
	earlier = "2026-03-02T16:08:50.123455Z"
	later   = "2026-03-02T16:08:50.123457Z"
)

// Every result at the same time, with agents of both ages.
func TestEachSessionGetsItsResult(t *testing.T) {
	t.Parallel()
	for oldAgent, onHosts := range map[bool]func(*testing.T, func(*testing.T, *host)){false: alwaysOnEveryHost, true: onEveryHost} {
		t.Run(fmt.Sprintf("old agent %t", oldAgent), func(t *testing.T) {
			onHosts(t, func(t *testing.T, h *host) {
				h.oldAgent = oldAgent
				h.noSleep()
				for _, id := range []string{"closes", "older", "newer", "stuck", "not-named", "new-enough", "too-new"} {
					h.session(id, created)
				}
				h.session("console", created)
				h.session("undated", "yesterday")
				h.server(fileOf("stuck")+".stuck", "a client \"holds\" it\n")
				lines := h.closes(
					incarnation("closes", created), incarnation("older", earlier), incarnation("newer", later),
					incarnation("gone", created), incarnation("stuck", created), incarnation("undated", created),
					until("new-enough", created), until("too-new", earlier), until("gone-too", created),
					"console-"+hostID+"/"+incarnation("console", created))
				h.want(lines, "closes closed, console-"+hostID+" closed, gone absent, gone-too absent, new-enough closed, "+
					"newer replaced, older replaced, stuck failed, too-new replaced, undated failed")
				h.wantSessions("newer", "not-named", "older", "stuck", "too-new", "undated")
				if got := lines[7].Reason; got != "Could not close session: a client holds it (exit 1)" {
					t.Errorf("stuck: %s", got)
				}
				if got := lines[9].Reason; got != "creation-time unreadable" {
					t.Errorf("undated: %s", got)
				}
			})
		})
	}
}

// Which creation times are the recorded incarnation, and which are no later than a limit.
func TestIncarnationsAreComparedExactly(t *testing.T) {
	const whole = "2026-03-02T16:08:50Z"
	type row struct{ listed, sign, recorded, want string }
	rows := []row{
		{created, "@", created, "closed"},
		{created, "@", earlier, "replaced"},
		{created, "@", later, "replaced"},
		// One of the two has no decimals.
		{whole, "@", whole, "closed"},
		{whole, "@", created, "closed"},
		{whole, "@", "2026-03-02T16:08:50.999999Z", "closed"},
		{"2026-03-02T16:08:50.999999Z", "@", whole, "closed"},
		{"2026-03-02T16:08:51Z", "@", "2026-03-02T16:08:50.999999Z", "replaced"},
		{"2026-03-02T16:08:49.999999Z", "@", whole, "replaced"},
		{"2026-03-02T16:08:51Z", "@", whole, "replaced"},
		{"2026-03-02T16:08:50.000000Z", "@", created, "closed"},
		// Decimals, as many as there are.
		{"2026-03-02T16:08:50.1Z", "@", "2026-03-02T16:08:50.100000Z", "closed"},
		{"2026-03-02T16:08:50.1Z", "@", "2026-03-02T16:08:50.000001Z", "replaced"},
		{"2026-03-02T16:08:50.123456789Z", "@", created, "closed"},
		{"2026-03-02T16:08:50.000001Z", "@", "2026-03-02T16:08:50.000001Z", "closed"},
		// A limit.
		{created, "~", created, "closed"},
		{created, "~", later, "closed"},
		{created, "~", earlier, "replaced"},
		{whole, "~", created, "closed"},
		{"2026-03-02T16:08:51Z", "~", created, "replaced"},
		{created, "~", "2106-01-01T00:00:00Z", "closed"},
		// The calendar.
		{"2024-02-29T23:59:59.999999Z", "@", "2024-02-29T23:59:59.999999Z", "closed"},
		{"2000-03-01T00:00:00.000001Z", "@", "2000-03-01T00:00:00.000001Z", "closed"},
		{"2025-12-31T23:59:59.5Z", "@", "2025-12-31T23:59:59.5Z", "closed"},
		{"2025-10-01T08:09:08.5Z", "@", "2025-10-01T08:09:08.5Z", "closed"},
		{"2104-02-28T01:01:01.000007Z", "@", "2104-02-28T01:01:01.000007Z", "closed"},
		{"1970-01-01T00:00:01Z", "@", "1970-01-01T00:00:01Z", "closed"},
		// What is no time, or none of dcv's, which are UTC.
		{"", "~", created, "failed"},
		{"2026-03-02", "~", created, "failed"},
		{"2026-03-02 16:08:50Z", "~", created, "failed"},
		{"2026-03-02T16:08:50", "~", created, "failed"},
		{"2026-03-02T16:08:50+01:00", "~", created, "failed"},
		{"2026-03-02T16:08:50.Z", "~", created, "failed"},
		{"2026-03-02T16:08:50.123456Zx", "@", created, "failed"},
		{"2026-13-02T16:08:50Z", "~", created, "failed"},
		{"2026-00-02T16:08:50Z", "~", created, "failed"},
		{"2026-03-32T16:08:50Z", "~", created, "failed"},
		{"2026-03-02T24:08:50Z", "~", created, "failed"},
		{"2026-03-02T16:08:50.12e456Z", "@", created, "failed"},
	}
	// And some of all times, to the microsecond and one next to it.
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		at := time.UnixMicro(1 + random.Int64N(1<<52)/1_000_000*1_000_000 + random.Int64N(999_998)).UTC()
		rows = append(rows,
			row{at.Format("2006-01-02T15:04:05.000000Z"), "@", at.Format(time.RFC3339Nano), "closed"},
			row{at.Format("2006-01-02T15:04:05.000000Z"), "@", at.Add(time.Microsecond).Format(time.RFC3339Nano), "replaced"})
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(1_800_000_000, 0) // so many sessions take longer on a busy machine than the script would wait
		var asked []string
		for i, r := range rows {
			id := fmt.Sprintf("s%03d", i)
			h.session(id, r.listed)
			asked = append(asked, id+r.sign+base36(r.recorded))
		}
		lines := h.closes(asked...)
		if len(lines) != len(rows) {
			t.Fatalf("%d lines for %d sessions", len(lines), len(rows))
		}
		var left []string
		for i, r := range rows {
			if lines[i].Result != r.want {
				t.Errorf("listed %q, asked %s%s: %+v, wanted %s", r.listed, r.sign, r.recorded, lines[i], r.want)
			}
			if r.want != "closed" {
				left = append(left, lines[i].ID)
			}
		}
		h.wantSessions(left...)
	})
}

// An automatic console session comes back under the same ID as soon as it is closed.
func TestConsoleThatCameBackIsClosedOnce(t *testing.T) {
	t.Parallel()
	again := "2026-03-02T16:08:53.5Z"
	for name, one := range map[string]string{
		"recorded": incarnation("console", created),
		// The limit lets the new one through too: it has come back within the tolerance.
		"not recorded": until("console", "2026-03-02T16:08:55Z"),
	} {
		t.Run(name, func(t *testing.T) {
			onEveryHost(t, func(t *testing.T, h *host) {
				h.session("console", again)
				back := h.state + "/" + fileOf("console") + ".next"
				rename(t, h.state+"/"+fileOf("console")+".json", back)
				h.session("console", created)
				// The session twice: the second must not be taken for an order to close what came back.
				lines := h.closes(one, one)
				if got := results(lines); got != "console closed, console failed" && got != "console failed, console closed" {
					t.Errorf("the script said %s", got)
				}
				h.wantSessions("console")
				if name == "recorded" {
					h.want(h.closes(one), "console replaced") // the same command, late
					h.wantSessions("console")
				}
			})
		})
	}
}

func TestOnlyTheGroupOfThisHostCounts(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		other := func(host string) string {
			return host + "=" + incarnation("a", created) + "," + incarnation("b", created)
		}
		h.session("a", created)
		h.session("b", created)
		others := []string{
			other(hostID + "0"), other(hostID[:len(hostID)-1]), other("m" + hostID), other(strings.ToUpper(hostID)), other(""),
		}
		h.want(h.run(strings.Join(others, ";"), never), "")
		h.wantSessions("a", "b")
		h.want(h.run("", never), "")
		h.want(h.run(hostID+"=", never), "")

		mixed := strings.Join(others[:2], ";") + ";" + hostID + "=" + incarnation("b", created) + ";" + strings.Join(others[2:], ";")
		h.want(h.run(mixed, never), "b closed")
		h.wantSessions("a")

		h.env = []string{"AWS_SSM_INSTANCE_ID="}
		h.want(h.run(mixed, never), "")
		h.env = []string{"AWS_SSM_INSTANCE_ID=mi-0123456789abcdef0"}
		h.want(h.run("mi-0123456789abcdef0="+incarnation("a", created), never), "a closed")
	})
}

func TestCommandThatIsVoidClosesNothing(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		h.wrapDcv(`echo asked >"$DCV_STATE/asked"`)
		asked := hostID + "=" + incarnation("a", created) + "," + incarnation("gone", created) + ",-bad@1"
		const now = 1_800_000_000
		for _, voidAfter := range []string{fmt.Sprint(now - 1), "0", ""} {
			h.clock(now, 0)
			h.want(h.run(asked, voidAfter), "-bad expired, a expired, gone expired")
		}
		h.clock(0, 0) // no clock to go by
		h.want(h.run(asked, fmt.Sprint(now)), "-bad expired, a expired, gone expired")
		if exists(t, h.state+"/asked") {
			t.Error("dcv was asked")
		}
		h.wantSessions("a")

		// It becomes void while dcv makes its list.
		h.clock(now, 1)
		h.want(h.run(hostID+"="+incarnation("a", created), fmt.Sprint(now)), "a expired")
		h.wantSessions("a")

		// Its last second.
		h.clock(now, 0)
		h.want(h.run(asked, fmt.Sprint(now)), "-bad failed, a closed, gone absent")
	})
}

func TestSessionsThatBreakTheGrammarFailAlone(t *testing.T) {
	bad := []string{
		"", "x", "x@", "x~", "@1", "/@1", "x/@1", "/x@1", "x/y/z@1", "x@1@2", "x@A", "x@1.5", "x@-1", "%4@1", "%@1", "%a1@1",
		"%0A%@1", "%G0@1", "x@123456789012", "a=b@1",
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		h.session("x", created)
		lines := h.closes(append(bad, incarnation("a", created))...)
		if len(lines) != len(bad)+1 {
			t.Fatalf("%d lines for %d sessions: %+v", len(lines), len(bad)+1, lines)
		}
		for _, l := range lines {
			if wanted := map[bool]string{true: "closed", false: "failed"}[l.ID == "a"]; l.Result != wanted {
				t.Errorf("%+v, wanted %s", l, wanted)
			}
		}
		h.wantSessions("x")
	})
}

// The most that one host can have. How long that takes is told only: what it costs is a call of dcv for each session, and
// two lists. The clock stands still, since a busy machine could take longer than the script would wait.
func TestHostWithManySessions(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(1_800_000_000, 0)
		var asked, wanted []string
		for i := range 150 {
			id := fmt.Sprintf("session-%03d-%026d", i, i)
			h.session(id, created)
			asked = append(asked, incarnation(id, created))
			wanted = append(wanted, id+" closed")
		}
		h.session("not-named", created)
		h.wrapDcv(`echo >>"$DCV_STATE/calls"`)
		start := time.Now()
		h.want(h.closes(asked...), strings.Join(wanted, ", "))
		h.wantSessions("not-named")
		if n := strings.Count(read(t, h.state+"/calls"), "\n"); n != 152 {
			t.Errorf("dcv was called %d times", n)
		}
		t.Logf("150 sessions in %v", time.Since(start).Round(time.Millisecond))
	})
}
