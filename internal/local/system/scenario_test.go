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
// DynamoDB Local. A line "#parameter NAME=VALUE" sets a parameter of the template.
// Their conditions are [dynamodb]; [functions]: the functions are built; [all]:
// everything is run, as in CI; [large]: the same, with the table in memory. Their
// commands:
//
//	start SESSION on HOST for OWNER [console] [unlisted]
//	fleet HOSTS SESSIONS [random|short|angled]  hosts i-00000000000000001... with sessions s-<host>-<n> of user1; random:
//	                                  with UUIDs for IDs, short: s<host>-<n>, angled: the same and 100 "<"; and not in the table
//	end SESSION on HOST               without the broker
//	host HOST|all ACTION              stop, start, hibernate, disconnect, reconnect, untag, tag, break, mend,
//	                                  stop-when-empty, keep-when-empty,
//	                                  lose-events, deliver-events, silence, speak, and the others of control.go
//	clock HOST DURATION               sets the host's clock ahead or behind
//	says HOST FILE                    what its dcv prints for list-sessions -j; without FILE what runs there
//	advance DURATION                  sets the clock of the whole system forward
//	run TASK [N]                      deletions, inventory, idle, stop or close; N runs at the same time
//	rule FILE [N]                     runs the rule, N runs at the same time, and prints what each did with each session,
//	                                  a line each, sorted, and where it stopped
//	connect SESSION on HOST AWAY      a user is connected, and did nothing for that long; "nobody": no user
//	await-screen HOST [PATTERN...]    waits until users see just these windows, the oldest first: "SESSION: TEXT"
//	notices HOST                      prints all windows that users have seen, in this form
//	await-host HOST STATE             waits until it is running or stopped
//	await-running HOST SESSION...     waits until just these run there
//	delete SESSION/OWNER[/force]...   prints one answer in each line, in the lists' order; "all" are all sessions,
//	                                  first=N and last=N are N of the READY ones, by ID
//	dry-run [hits] SESSION/OWNER[/force]...  prints the same for a dry run; with hits the session that each entry would delete
//	cancel [dry] SESSION/OWNER[/REQUEST]...  prints the same for a cancel, or a dry run of one; REQUEST is the deletion's
//	                                  RequestId; "own" is the one in the table
//	post FILE [CONTENT-TYPE]          prints status and body of POST /deleteSessions
//	describe [SESSION...] [owner=OWNER] [tag:NAME=VALUE] [max=N]
//	                                  prints a page, one session in each line, and "more" if another follows;
//	                                  "all" are the IDs of all sessions
//	describe-on                       prints the next page
//	described                         compares all pages since describe with the table
//	ask FILE [CONTENT-TYPE]           prints status and body of POST /describeSessions
//	large FILE BYTES                  makes a file of valid JSON, an object of that size
//	await STATE SESSION...            waits for the records' state
//	record SESSION [ATTR...]          prints the record, one attribute in each line
//	running HOST                      prints the sessions that really run there
//	calls FUNCTION                    prints the function's calls of the services
//	await-calls FUNCTION N OPERATION...  waits until there were N of these together
//	attempts                          prints how many records have how many attempts
//	sent-once FUNCTION                compares its SendCommand calls with what the hosts ran for the current attempts:
//	                                  each session's host must have answered once
//	await-quiet                       waits until every command has ended and its events are handled
//	forget-calls
//	deploy earlier                    ends the system, and starts the earlier version on the same tables and hosts
//	deploy today [FUNCTION...]        the same with this version, except that these functions are the earlier version's
//	indexes STEP, update STEP         moves the table's indexes to that IndexStep while the system runs; then the functions
//	age SESSION DURATION              makes all times of its record earlier by that much: the
//	                                  clock of a built function cannot be set
//	refuse FUNCTION FAULT, allow FUNCTION FAULT  a service refuses the function's calls: "writes" of the Sessions
//	                                  table, "commands", or "outputs", the reads of long answers
//	message QUEUE FILE                puts a message into a queue of the template
//	swallow FUNCTION, deliver FUNCTION  holds back events for the function; delivers them
//	seen FUNCTION N                   waits until it has handled N events
//	logged FUNCTION PATTERN           waits until it has written a line of JSON that matches the pattern; with "!"
//	                                  checks that there is none now
//	metric NAME[/REASON] N|>=N|none   waits until the functions' values of the metric add up to that
//	announced SESSION N PATTERN...    waits until N events announce changes of it, and matches the last against the
//	                                  patterns; the audit trail has them, too
//	story SESSION [ATTR...]           prints what the template's StoryQuery finds for the session; without ATTR the level and the message
//	replay FUNCTION all|reversed|together|N [TIMES]  brings events that were seen once more (N from 1), as if the queue
//	                                  delivered them for that many times;
//	                                  together: all their records as one event
func TestScenariosInMemory(t *testing.T) {
	needs := &needed{}
	all := runScenarios(t, Options{observe: needs.observe}, scenarios(t, "testdata"))
	if all && !t.Failed() {
		t.Run("policies", func(t *testing.T) { policiesFit(t, needs) })
	}
}

// onSlowSystems are the scenarios that `make test` also runs on the systems that are
// much slower than the one in memory. They use every function, and every operation on
// the tables. `make ci` runs all scenarios there.
var onSlowSystems = []string{
	"announced", "cancel", "describe", "example", "forced", "idle", "refused_host", "repeat", "stopped_host", // without a clock that is set
	"back", // in testdata/versions
	"again", "gave_up", "inventory", "lost_confirmation", "silent_host", "stop_empty_late",
}

func TestScenariosOnDynamoDB(t *testing.T) {
	t.Parallel()
	runScenarios(t, Options{DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "stories"}, chosen(scenarios(t, "testdata")))
}

// The functions as they are deployed: built, and called through the Lambda Runtime API.
func TestScenariosWithBuiltFunctions(t *testing.T) {
	t.Parallel()
	opts := Options{DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "built", Bootstraps: buildFunctions(t)}
	possible := slices.DeleteFunc(scenarios(t, "testdata"), func(s scenario) bool { return s.advances })
	runScenarios(t, opts, chosen(possible))
}

// chosen returns the scenarios to run on a slow system.
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
	advances   bool // it sets the clock, which is not possible in another process
	fleet      bool // it starts many hosts
}

var parameterLine = regexp.MustCompile(`(?m)^#parameter (\w+)=(\S+)$`)

// scenarios returns the scenarios of the folder, the longest first.
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

// parallel is how many scenarios run at the same time, of all tests together: most of their time is waiting.
const parallel = 8

// running has an entry for each scenario that runs.
var running = make(chan struct{}, parallel)

// runScenarios runs them in parallel, and tells whether all of them ran. Only -run and -skip can leave out some. Each
// has its own tables: its access key for DynamoDB Local is made of the options and its name.
func runScenarios(t *testing.T, opts Options, some []scenario) (all bool) {
	var ran atomic.Int64
	next := make(chan scenario)
	var workers sync.WaitGroup
	for range min(parallel, len(some)) {
		workers.Go(func() {
			for s := range next {
				running <- struct{}{}
				t.Run(s.name, func(t *testing.T) {
					ran.Add(1)
					s.run(t, opts)
				})
				<-running
			}
		})
	}
	for _, s := range some {
		next <- s
	}
	close(next)
	workers.Wait()
	if ran.Load() == 0 && os.Getenv("REQUIRE_ALL") == "1" {
		t.Errorf("no such story, or none that can run here: make story takes a NAME of internal/local/system/testdata, without .txtar")
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
			system, err := newTestSystem(opts, filepath.Join(env.WorkDir, ".hosts"))
			if err != nil {
				return err
			}
			env.Defer(func() {
				system.close()
				system.checkOutput(t)
				if !t.Failed() {
					system.checkFailings(t, s.name)
				}
			})
			env.Values[testSystemKey] = system
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

// inTurn is a test in which testscript's tests run one after the other, whatever -parallel says: the constant parallel
// decides how many run at the same time.
type inTurn struct{ *testing.T }

func (t inTurn) Parallel() {}

func (t inTurn) Verbose() bool { return testing.Verbose() }

func (t inTurn) Run(name string, test func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { test(inTurn{t}) })
}
