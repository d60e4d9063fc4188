package system

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"dcv-session-broker/internal/session"
)

// A failing is a failure under which a promise must hold, or that shows that it does
// not, with the log line and the metric that an operator sees.
type failing struct {
	promise  int // internal/session/README.md, "Promises"
	wrong    string
	function string
	level    string
	line     string // the log line's message
	metric   session.Metric
	reason   string // the metric's reason, if it has reasons
	scenario string // which asserts both: testdata/<scenario>.txtar
}

// failings are by promise.
var failings = []failing{
	{1, "the table refuses the mark", "delete-sessions", "WARN",
		"entry failed: the caller must repeat it", session.EntriesRefused, session.RefusedNotRecorded, "refused_writes"},
	{1, "Systems Manager takes no command after the mark", "delete-sessions", "WARN",
		"deletion accepted, but its command was not accepted: cleanup sends it again when the lease ends", session.AttemptsFailed, "", "throttled"},

	{2, "no host confirms in time", "cleanup", "ERROR",
		"deletion given up: the session may still run on its host", session.DeletionsGivenUp, "", "gave_up"},
	{2, "a deletion has been open for long", "host-events", "WARN",
		"attempt failed: it is tried again", session.OldestOpenDeletionSeconds, "", "gave_up"},
	{2, "a deletion waits for an answer that was lost", "cleanup", "INFO",
		"deletion tried again: waiting for the host's answer", session.OpenDeletions, "", "lost_events"},
	{2, "a command cannot be delivered", "host-events", "WARN",
		"host's answer is incomplete", session.HostsUnreachable, "", "gave_up"},
	{2, "Systems Manager still takes no command", "cleanup", "WARN",
		"deletion tried again, but its command was not accepted: cleanup sends it again when the lease ends", session.AttemptsFailed, "", "throttled"},
	{2, "it takes more than one attempt", "cleanup", "INFO",
		"deletion tried again: waiting for the host's answer", session.AttemptsPerDeletion, "", "lost_events"},

	{3, "the host could not close the session", "host-events", "WARN",
		"attempt failed: it is tried again", session.AttemptsFailed, "", "broken_dcv"},
	{3, "what confirms it is written, DELETED is not", "session-stream", "WARN",
		"stream record failed: Lambda delivers it again", session.RecordsReturned, "", "refused_writes"},
	{3, "session-stream has let a confirmed deletion go", "cleanup", "INFO",
		"confirmed deletion written again, so that session-stream ends it", session.DeletedAfterSeconds, "", "lost_confirmation"},

	{4, "another owner's session is asked for", "delete-sessions", "INFO",
		"entry refused: the owner has no such session", session.EntriesRefused, session.RefusedNoSuchSession, "wrong_owner"},

	{5, "a command reaches its host after the deletion's end", "host-events", "WARN",
		"attempt failed: it is tried again", session.AttemptsFailed, "", "void_command"},

	{5, "a host says that sessions of others run on it than the owner's whom its tag names", "host-events", "WARN",
		"host reports sessions of owners that its tag DcvOwner does not name: they are not listed", session.SessionsOfOtherOwners, "", "held_host"},

	{6, "the host of a session that was removed by force is refused", "cleanup", "WARN",
		"deletion tried again, but its host was refused: cleanup tries again when the lease ends", session.HostsUnreachable, "", "best_effort"},
	{6, "it never answers", "cleanup", "ERROR",
		"session removed by force may still run on its host", session.DeletionsGivenUp, "", "best_effort"},

	{7, "an entry cannot be done: its host is not connected", "delete-sessions", "WARN",
		"entry refused: the caller must repeat it when the host is back, or force it", session.EntriesRefused, session.RefusedByHost, "refused_host"},

	{7, "a precondition of an entry does not hold", "delete-sessions", "INFO",
		"entry refused: the record does not match the request", session.EntriesRefused, session.RefusedNotAsAsked, "preconditions"},

	{8, "one host of fifty is not connected", "delete-sessions", "WARN",
		"entry refused: the caller must repeat it when the host is back, or force it", session.HostsUnreachable, "", "refused_host"},
	{8, "a message that nobody understands", "host-events", "ERROR",
		"message not understood: it goes to the dead-letter queue", session.MessagesReturned, "", "refused_writes"},

	{9, "a host leaves inventories unanswered: nothing of it is listed", "cleanup", "WARN",
		"host is silent: its sessions are UNKNOWN until it answers again", session.HostsFellSilent, "", "silent_host"},

	{9, "no host had the last inventory", "cleanup", "WARN",
		"inventory ended before any host received it: it is ignored, and another is sent in parts", session.InventoriesUndelivered, "", "undelivered_inventory"},
	{9, "a host's answer does not hold all of its sessions", "host-events", "WARN",
		"inventory is incomplete: its sessions are listed, and no session ends", session.InventoriesIncomplete, "", "many_sessions"},

	{11, "Systems Manager throttles, so that answers to inventories cannot be read in time", "host-events", "WARN",
		"answer dropped: Systems Manager throttles, and the next inventory says what runs on the host", session.FleetAnswersDropped, "", "throttled_answers"},

	{11, "a host has more sessions than one may have in the table", "host-events", "WARN",
		"host has reached its bound: its other sessions are not listed until some end", session.SessionsNotListed, "", "flooding_host"},

	{11, "a rule selects more sessions than one run may mark", "cleanup", "WARN",
		"rule stopped at a bound: the next run goes on", session.RuleRunsAtBound, "", "rule"},

	{12, "a host answers no notice before the close time", "cleanup", "WARN",
		"session is closed without a warning to its user", session.UsersNotWarned, "", "grace_outage"},
	{12, "the host of a session whose deletion is cancelled is not connected", "cancel-deletions", "WARN",
		"user may still see that the session will be closed: its host did not get the new notice", session.HostsUnreachable, "", "cancel_refused"},

	{10, "host-events cannot write what it was told: it is told again", "host-events", "WARN",
		"message goes back to the queue", session.MessagesReturned, "", "refused_writes"},
	{10, "session-stream cannot write what it was shown: it is shown again", "session-stream", "WARN",
		"stream record failed: Lambda delivers it again", session.RecordsReturned, "", "refused_writes"},
}

// noFailure are the metrics that show no failure, with the scenario that asserts each.
var noFailure = map[session.Metric]string{
	session.DeletionsAccepted:   "refused_host",
	session.DeletionsForced:     "forced",
	session.DeletionsCancelled:  "cancel",
	session.WaitingDeletions:    "cancel_late",
	session.HostsStopped:        "stop_empty",
	session.InventoriesSent:     "inventory", // and none in throttled, for which there is an alarm
	session.InventorySessions:   "inventory",
	session.InventoryLagSeconds: "inventory",
}

// assertedLine matches a scenario's command for a log line: the function, the level if
// there is one, and a pattern of the message.
var assertedLine = regexp.MustCompile(`(?m)^logged (\S+) '(?:"level":"(\w+)",)?"msg":"([^"]+)"`)

func assertsLine(scenario string, f failing) bool {
	return slices.ContainsFunc(assertedLine.FindAllStringSubmatch(scenario, -1), func(said []string) bool {
		message, err := regexp.Compile("^(?:" + said[3] + ")$")
		return err == nil && said[1] == f.function && (said[2] == "" || said[2] == f.level) && message.MatchString(f.line)
	})
}

// assertsMetric tells whether the scenario requires a value of the metric. "0" and
// "none" are for what must not happen.
func assertsMetric(scenario string, m session.Metric, reason, values string) bool {
	name := string(m)
	if reason != "" {
		name += "/" + reason
	}
	return regexp.MustCompile(`(?m)^(\[!?all\] )?metric ` + name + ` ` + values + `\S*$`).MatchString(scenario)
}

func TestEachPromisesFailureIsSeen(t *testing.T) {
	scenario := func(name string) string {
		text, err := os.ReadFile(filepath.Join("testdata", name+".txtar"))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	promises := map[int]bool{}
	measured := map[string]bool{}
	for _, f := range failings {
		promises[f.promise] = true
		measured[string(f.metric)] = true
		measured[f.reason] = true
		text := scenario(f.scenario)
		if !assertsLine(text, f) {
			t.Errorf("promise %d, %s: %s does not look for the line %q of %s", f.promise, f.wrong, f.scenario, f.line, f.function)
		}
		if !assertsMetric(text, f.metric, f.reason, "(>=)?[1-9]") {
			t.Errorf("promise %d, %s: %s does not look for the metric %s %s", f.promise, f.wrong, f.scenario, f.metric, f.reason)
		}
	}
	for promise := 1; promise <= 12; promise++ {
		if !promises[promise] {
			t.Errorf("nothing shows that promise %d is at risk", promise)
		}
	}
	for m, name := range noFailure {
		if measured[string(m)] {
			t.Errorf("%s shows a failure, and does not", m)
		}
		measured[string(m)] = true
		if !assertsMetric(scenario(name), m, "", "(>=)?[0-9]") {
			t.Errorf("%s does not look for the metric %s", name, m)
		}
	}
	for name, value := range metricConstants(t) {
		if !measured[value] {
			t.Errorf("no scenario looks for %s: it belongs in failings, or in noFailure", name)
		}
	}
}

// metricConstants returns the metrics and the reasons by the names of their constants.
func metricConstants(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../session/metric.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		declared, ok := n.(*ast.GenDecl)
		if !ok || declared.Tok != token.CONST {
			return true
		}
		for _, spec := range declared.Specs {
			constant := spec.(*ast.ValueSpec)
			value, ok := constant.Values[0].(*ast.BasicLit)
			if !ok {
				t.Fatalf("%s is no literal", constant.Names[0])
			}
			if all[constant.Names[0].Name], err = strconv.Unquote(value.Value); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	if len(all) < len(session.Metrics) {
		t.Fatalf("only %d constants were found: %v", len(all), all)
	}
	return all
}

// checkFailings compares what the functions have written in a scenario with failings.
func (s *testSystem) checkFailings(t *testing.T, scenario string) {
	for _, f := range failings {
		if f.scenario != scenario {
			continue
		}
		if !slices.ContainsFunc(s.output(f.function), func(text string) bool {
			var line struct{ Level, Msg string }
			return json.Unmarshal([]byte(text), &line) == nil && line.Level == f.level && line.Msg == f.line
		}) {
			t.Errorf("promise %d, %s: %s has not written %s %q", f.promise, f.wrong, f.function, f.level, f.line)
		}
		sum := 0.0
		values, err := s.values(string(f.metric), f.reason)
		for _, v := range values {
			sum += v
		}
		if err != nil || sum == 0 {
			t.Errorf("promise %d, %s: the metric %s %s has no value (%v)", f.promise, f.wrong, f.metric, f.reason, err)
		}
	}
}
