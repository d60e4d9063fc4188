package documents_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What a command costs its host: `make bench-hosts` measures it, and these hold what no machine changes.

// counted makes the programs that a script finds note that they are started. What awk starts for them, /bin/sh, does not.
func (h *host) counted() (started func() []string) {
	h.t.Helper()
	notes := filepath.Join(h.dir, "started")
	h.shim("count", `echo "${0##*/}" >>`+notes+`; [ ! -x "/bin/${0##*/}" ] || exec "/bin/${0##*/}" "$@"; exec "/usr/bin/${0##*/}" "$@"`)
	for _, dir := range []string{"/bin", "/usr/bin"} {
		programs, err := os.ReadDir(dir)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, p := range programs {
			err := os.Symlink("count", filepath.Join(h.bin, p.Name()))
			if err != nil && !os.IsExist(err) { // awk is, and a program that is in both
				h.t.Fatal(err)
			}
		}
	}
	remove(h.t, filepath.Join(h.bin, "dcv"))
	h.shim("dcv", "echo dcv >>"+notes+"; exec /bin/cat "+filepath.Join(h.state, "garbage"))
	return func() []string {
		names := strings.Fields(read(h.t, notes))
		remove(h.t, notes)
		slices.Sort(names)
		return names
	}
}

// list makes dcv list so many sessions, which are alike.
func (h *host) list(sessions int) {
	listed := make([]string, sessions)
	for n := range listed {
		listed[n] = described(fmt.Sprintf(`"session-%04d"`, n), created)
	}
	h.server("garbage", "["+strings.Join(listed, ",\n")+"]")
}

// No program is started for each session, unless it is closed or was near its limit.
func TestManySessionsStartNoMoreProgramsThanOne(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.twin = false
		started := h.counted()
		programs := []string{"date", "dcv", "env", "timeout"}
		packing := []string{"base64", "base64", "gzip", "gzip", "tr"} // to try them, and to pack
		for name, command := range map[string]struct {
			run  func()
			more []string // in addition to programs, on any host, and on one with 150 sessions
			many []string
		}{
			"inventory": {func() { h.inventory() }, nil, packing},
			"idle":      {func() { h.idle("999999") }, []string{"date"}, nil},
			"close":     {func() { h.closes(incarnation("none", created)) }, []string{"date"}, nil},
		} {
			for sessions, many := range map[int][]string{1: nil, 150: command.many} {
				h.list(sessions)
				command.run()
				want := slices.Sorted(slices.Values(slices.Concat(programs, command.more, many)))
				if got := started(); !slices.Equal(got, want) {
					t.Errorf("%s of %d sessions starts %q, wanted %q", name, sessions, got, want)
				}
			}
		}
	})
}

// Twice the sessions are twice the work for awk: gawk counts how often each statement is run.
func TestWorkOfAwkGrowsWithTheSessionsAndNoFaster(t *testing.T) {
	t.Parallel()
	on(t, kind{"dash", "", "gawk"}, func(t *testing.T, h *host) {
		h.twin = false
		profile := filepath.Join(h.dir, "profile")
		remove(t, filepath.Join(h.bin, "awk"))
		h.shim("awk", `exec `+program(t, "gawk")+` --profile=`+profile+` "$@"`)
		for name, run := range map[string]func(){
			"inventory": func() { h.inventory() },
			"idle":      func() { h.idle("999999") },
			"close":     func() { h.closes(incarnation("none", created)) },
		} {
			work := func(sessions int) int {
				h.list(sessions)
				run()
				return statements(t, profile)
			}
			none := work(0)
			some, twice := work(50)-none, work(100)-none
			if some < 1000 || twice > 2*some+some/100 {
				t.Errorf("%s: %d statements for 50 sessions, %d for 100", name, some, twice)
			}
		}
	})
}

// statements adds up the counts of a profile of gawk: each line begins with how often it was run.
func statements(t *testing.T, profile string) (sum int) {
	t.Helper()
	for lines := bufio.NewScanner(strings.NewReader(read(t, profile))); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 0 {
			if n, err := strconv.Atoi(words[0]); err == nil {
				sum += n
			}
		}
	}
	return sum
}
