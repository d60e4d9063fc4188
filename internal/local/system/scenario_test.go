package system

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/dynamodblocal"
)

// The scenarios of testdata run the whole system, on the in-memory table and on
// DynamoDB Local. A line "#parameter NAME=VALUE" sets a parameter of the
// template. Their conditions are [dynamodb], [functions]: the functions are built,
// [all]: all is to be run, as in CI, and [large]: so it is, and the table is in
// memory. Their commands:
//
//	start SESSION on HOST for OWNER [console] [unlisted]
//	fleet HOSTS SESSIONS [random|short|angled]  hosts i-00000000000000001... with sessions s-<host>-<n> of user1; random:
//	                                  with UUIDs for IDs, short: s<host>-<n>, angled: the same and 100 "<"; and not in the table
//	end SESSION on HOST               behind the broker's back
//	host HOST|all ACTION              stop, start, hibernate, disconnect, reconnect, untag, tag, break, mend,
//	                                  stop-when-empty, keep-when-empty,
//	                                  lose-events, deliver-events, silence, speak, and the others of control.go
//	clock HOST DURATION               sets the host's clock off
//	says HOST FILE                    what its dcv prints for list-sessions -j; without FILE what runs there
//	advance DURATION                  sets the clock of the whole system on
//	run TASK [N]                      deletions, inventory, idle, stop or close, now; N runs at once
//	rule FILE [N]                     carries the rule out, N runs at once, and prints what each did with each session,
//	                                  a line each, sorted, and where it stopped
//	connect SESSION on HOST AWAY      somebody is connected, and did nothing for that long; "nobody" leaves it
//	await-screen HOST [PATTERN...]    waits until that is what users are shown, a window each, by age: "SESSION: TEXT"
//	notices HOST                      prints all that they ever were shown, in this form
//	await-host HOST STATE             waits until it is running or stopped
//	await-running HOST SESSION...     waits until just these run there
//	delete SESSION/OWNER[/force]...   prints an answer a line, in the lists' order; "all" are all sessions,
//	                                  first=N and last=N, by ID, the N of those that are READY
//	dry-run [hits] SESSION/OWNER[/force]...  prints the same, of a dry run; with hits what each entry would hit
//	cancel [dry] SESSION/OWNER[/REQUEST]...  prints the same, of a cancel, or of a dry run of one; REQUEST is the deletion's
//	                                  RequestId, or "own", which it has in the table
//	post FILE [CONTENT-TYPE]          prints status and body of POST /deleteSessions
//	describe [SESSION...] [owner=OWNER] [tag:NAME=VALUE] [max=N]
//	                                  prints a page, a session a line, and "more" if another follows;
//	                                  "all" are the IDs of all sessions
//	describe-on                       prints the page that follows
//	described                         compares all pages since describe with the table
//	ask FILE [CONTENT-TYPE]           prints status and body of POST /describeSessions
//	large FILE BYTES                  makes a file of valid JSON, an object of that size
//	await STATE SESSION...            waits for the records' state
//	record SESSION [ATTR...]          prints the record, an attribute a line
//	running HOST                      prints the sessions that really run there
//	calls FUNCTION                    prints what the function asked of the services
//	await-calls FUNCTION N OPERATION...  waits until there were N of them together
//	attempts                          prints how many records have how many attempts
//	sent-once FUNCTION                compares its SendCommand calls with what the hosts ran of the current attempts:
//	                                  each session's host answered for it once
//	await-quiet                       waits until every command has ended and all news of it is dealt with
//	forget-calls
//	deploy earlier                    ends the system, and starts the earlier version on the same tables and hosts
//	deploy today [FUNCTION...]        the same with this version, of which these functions are the earlier version's
//	indexes STEP, update STEP         gives the table the indexes of that IndexStep, while all goes on; and then the functions
//	age SESSION DURATION              makes all times of its record so much earlier, as if that time had gone by: the
//	                                  clock of a built function cannot be set on
//	refuse FUNCTION FAULT, allow FUNCTION FAULT  a service refuses what the function asks: "writes" of the Sessions
//	                                  table, or "commands"
//	message QUEUE FILE                puts a message into a queue of the template
//	swallow FUNCTION, deliver FUNCTION  events for the function are put aside; or brought again
//	seen FUNCTION N                   waits until it has worked on N events
//	logged FUNCTION PATTERN           waits until it has written a line, as JSON, that the pattern fits; with "!"
//	                                  there is none by now
//	metric NAME[/REASON] N|>=N|none   waits until the functions' values of the metric add up to that
//	announced SESSION N PATTERN...    waits until N events announce what becomes of it, and holds the last against the
//	                                  patterns; the audit trail has them, too
//	story SESSION [ATTR...]           prints what the template's StoryQuery finds of the session; without ATTR's
//	                                  the level and the message
//	replay FUNCTION all|reversed|together|N  brings events that were seen once more (N from 1);
//	                                  together: all their records as one event
func TestScenariosInMemory(t *testing.T) {
	needs := &needed{}
	all := runScenarios(t, Options{observe: needs.observe}, scenarios(t, "testdata"))
	if all && !t.Failed() {
		t.Run("policies", func(t *testing.T) { policiesFit(t, needs) })
	}
}

// onSlowSystems are the scenarios that run in `make test` also where each takes
// far longer than in memory: they use every function, and the table in each way
// that the functions do. `make ci` runs all scenarios there.
var onSlowSystems = []string{
	"announced", "cancel", "describe", "example", "forced", "idle", "refused_host", "repeat", "stopped_host", // no clock is set on
	"back", // of testdata/versions
	"again", "gave_up", "inventory", "lost_confirmation", "silent_host", "stop_empty_late",
}

func TestScenariosOnDynamoDB(t *testing.T) {
	runScenarios(t, Options{DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "stories"}, chosen(scenarios(t, "testdata")))
}

// The functions as they are deployed: built, and driven through the Lambda
// Runtime API.
func TestScenariosWithBuiltFunctions(t *testing.T) {
	opts := Options{DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "built", Bootstraps: buildFunctions(t)}
	possible := slices.DeleteFunc(scenarios(t, "testdata"), func(s scenario) bool { return s.advances })
	runScenarios(t, opts, chosen(possible))
}

// chosen are the scenarios to run on a slow system.
func chosen(all []scenario) []scenario {
	if os.Getenv("REQUIRE_ALL") == "1" {
		return all
	}
	return slices.DeleteFunc(all, func(s scenario) bool { return !slices.Contains(onSlowSystems, s.name) })
}

// A scenario is a file of testdata.
type scenario struct {
	name, file string
	parameters map[string]string
	advances   bool // it sets the clock on, which that of another process cannot be
	fleet      bool // it starts many hosts
}

var parameterLine = regexp.MustCompile(`(?m)^#parameter (\w+)=(\S+)$`)

// scenarios are those of the folder, those first that take long.
func scenarios(t *testing.T, folder string) (all []scenario) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := scenario{
			name:       strings.TrimSuffix(filepath.Base(file), ".txtar"),
			file:       file,
			parameters: map[string]string{"CloseIdleAfterMinutes": "60"},
			advances:   bytes.Contains(source, []byte("\nadvance ")),
			fleet:      bytes.Contains(source, []byte("\nfleet ")),
		}
		for _, parameter := range parameterLine.FindAllStringSubmatch(string(source), -1) {
			s.parameters[parameter[1]] = parameter[2]
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b scenario) int {
		switch {
		case a.fleet == b.fleet:
			return 0
		case a.fleet:
			return -1
		}
		return 1
	})
	return all
}

// sideBySide is how many scenarios run at the same time: most of each is waiting.
const sideBySide = 8

// runScenarios runs them side by side, and tells whether all of them ran. Only
// -run and -skip can leave out some. Each has tables of its own: its access key
// for DynamoDB Local is that of the options and its name.
func runScenarios(t *testing.T, opts Options, some []scenario) (all bool) {
	var ran atomic.Int64
	next := make(chan scenario)
	var workers sync.WaitGroup
	for range sideBySide {
		workers.Go(func() {
			for s := range next {
				t.Run(s.name, func(t *testing.T) {
					ran.Add(1)
					s.run(t, opts)
				})
			}
		})
	}
	for _, s := range some {
		next <- s
	}
	close(next)
	workers.Wait()
	if ran.Load() == 0 && os.Getenv("REQUIRE_ALL") == "1" {
		t.Errorf("no such scenario, or none that can run here")
	}
	filters := flag.Lookup("test.run").Value.String() + flag.Lookup("test.skip").Value.String()
	if all = int(ran.Load()) == len(some); !all && !strings.Contains(filters, "/") {
		t.Errorf("%d of %d scenarios ran", ran.Load(), len(some))
	}
	return all
}

func (s scenario) run(t *testing.T, opts Options) {
	opts.Parameters, opts.DynamoDBKey = s.parameters, opts.DynamoDBKey+strings.ReplaceAll(s.name, "_", "")
	testscript.RunT(inTurn{t}, testscript.Params{
		Files: []string{s.file},
		Setup: func(env *testscript.Env) error {
			stage, err := newStage(opts, filepath.Join(env.WorkDir, ".hosts"))
			if err != nil {
				return err
			}
			env.Defer(func() {
				stage.close()
				stage.checkOutput(t)
				if !t.Failed() {
					stage.checkFailings(t, s.name)
				}
			})
			env.Values[stageKey] = stage
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "dynamodb":
				return opts.DynamoDB != "", nil
			case "all":
				return os.Getenv("REQUIRE_ALL") == "1", nil
			case "functions":
				return opts.Bootstraps != nil, nil
			case "large":
				return os.Getenv("REQUIRE_ALL") == "1" && opts.DynamoDB == "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: commands(),
	})
}

// inTurn is a test in which testscript's own run one after the other, whatever
// -parallel says: how many run side by side is said above.
type inTurn struct{ *testing.T }

func (t inTurn) Parallel() {}

func (t inTurn) Verbose() bool { return testing.Verbose() }

func (t inTurn) Run(name string, test func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { test(inTurn{t}) })
}
