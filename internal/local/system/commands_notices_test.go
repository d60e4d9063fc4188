package system

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/fleet"
)

func cmdConnect(s *testSystem, ts *testscript.TestScript, args []string) {
	path := "/local/hosts/" + args[2] + "/sessions/" + args[0] + "/connections"
	if args[3] == "nobody" {
		s.must(ts, "DELETE", path, nil, nil)
		return
	}
	s.must(ts, "PUT", path, map[string]string{"Away": args[3]}, nil)
}

// notices returns a line for each window that users of a host were shown: the session,
// and the text in one line.
func (s *testSystem) notices(ts *testscript.TestScript, host string, stillShown bool) (lines []string) {
	var all []fleet.Notice
	s.must(ts, "GET", "/local/notices", nil, &all)
	for _, n := range all {
		if n.HostID == host && (n.Shown || !stillShown) {
			lines = append(lines, n.SessionID+": "+strings.ReplaceAll(n.Text, "\n", " "))
		}
	}
	return lines
}

func cmdNotices(s *testSystem, ts *testscript.TestScript, args []string) {
	for _, line := range s.notices(ts, args[0], false) {
		fmt.Fprintln(ts.Stdout(), line)
	}
}

func cmdAwaitScreen(s *testSystem, ts *testscript.TestScript, args []string) {
	var patterns []*regexp.Regexp
	for _, arg := range args[1:] {
		pattern, err := regexp.Compile(arg)
		ts.Check(err)
		patterns = append(patterns, pattern)
	}
	var shown []string
	until(ts, func() bool {
		shown = s.notices(ts, args[0], true)
		for i, line := range shown {
			if i >= len(patterns) || !patterns[i].MatchString(line) {
				return false
			}
		}
		return len(shown) == len(patterns)
	}, func() string { return fmt.Sprintf("the screen shows %q, not %q", shown, args[1:]) })
}
