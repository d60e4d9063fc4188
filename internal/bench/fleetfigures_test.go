package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/session"
)

var (
	fleetFigures = flag.String("fleet", "", "print the tables of a large fleet: `what` is inventories, deletion, rule, memory, or all but memory")
	fleetRates   = flag.String("fleet.rates", "40 10 5", "calls a second of each operation of Systems Manager")
	fleetFrom    = flag.Duration("fleet.from", inventoryPeriod, "when the inventory is sent that is measured")
	fleetSizes   = flag.String("fleet.hosts", "10 100 1000 10000", "hosts, for inventories")
	fleetRules   = flag.Int("fleet.rules", 1, "rules that run at the same time")
	fleetLimits  = flag.String("fleet.limits", fmt.Sprint(session.MaxRuleLimit), "limits, for rules")
)

func numbers(text string) (all []int) {
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.Atoi(field)
		if err != nil {
			panic(err)
		}
		all = append(all, n)
	}
	return all
}

// begin fills the table with what runs on the hosts.
func (w *fleetWorld) begin() {
	for n := range len(w.ssm.hostIDs) {
		for i := range w.sessions {
			w.table.Put(session.Listed(session.Session{
				ID: sessionID(n*w.sessions + i), Owner: fleetOwner(n), HostID: hostID(n), Type: "virtual", CreationTime: fleetCreated,
			}))
		}
	}
}

// schedule runs cleanup's tasks as the template says, until it is stopped.
func (w *fleetWorld) schedule(ctx context.Context) (wait func()) {
	var running sync.WaitGroup
	every := func(input string, period time.Duration) {
		running.Go(func() {
			for ; ; time.Sleep(period) {
				if ctx.Err() != nil {
					return
				}
				running.Go(func() { _, _ = w.functions["cleanup"].invoke(json.RawMessage(input)) })
			}
		})
	}
	for _, s := range w.functions["cleanup"].Schedules {
		if s.Enabled && s.Every > 0 {
			every(s.Input, s.Every)
		}
	}
	return running.Wait
}

// inFleet measures a fleet from that time of its schedules on. measure returns what waits for
// what it has begun, once ctx has ended.
func inFleet(t *testing.T, hosts, sessions int, rate float64, from time.Duration, measure func(ctx context.Context, w *fleetWorld) (wait func())) {
	synctest.Test(t, func(t *testing.T) {
		w := newFleetWorld(t, hosts, sessions, rate)
		defer w.stop()
		w.begin()
		ctx, cancel := context.WithCancel(t.Context())
		wait := w.schedule(ctx)
		time.Sleep(from)
		w.ssm.forget()
		waitForMeasured := measure(ctx, w)
		cancel()
		waitForMeasured()
		wait()
	})
}

// An inventoryFigure is what one inventory of a fleet took.
type inventoryFigure struct {
	hosts       int
	rate        float64
	applied     int           // hosts whose answers were applied before the next inventory was sent
	allAfter    time.Duration // 0: they were not all
	calls       fleetCalls
	table       map[string]int
	waits       []time.Duration
	asked       int // confirmations that were to come
	deadLetters int // since the first inventory
	unknown     int // sessions that are UNKNOWN, though all hosts answer
	peak        int
	batches     int
}

// callsOfInventory are the calls of Systems Manager, without those of the deletions meanwhile.
func (f inventoryFigure) callsOfInventory() float64 {
	return float64(f.calls.calls - f.calls.ofClosing)
}

const inventoryPeriod = 5 * time.Minute

// measureInventory measures the inventory that is sent then, while a session is deleted every
// five seconds.
func measureInventory(t *testing.T, hosts, sessions int, rate float64, from time.Duration) (f inventoryFigure) {
	f.hosts, f.rate = hosts, rate
	inFleet(t, hosts, sessions, rate, from-time.Second, func(ctx context.Context, w *fleetWorld) func() {
		w.mu.Lock()
		clear(w.calls)
		w.mu.Unlock()
		host := w.functions["host-events"]
		host.mu.Lock()
		host.invocations, host.peak = 0, 0
		host.mu.Unlock()
		began := time.Now().Add(time.Second)
		var requests sync.WaitGroup
		for n := range 50 {
			if n*7 >= hosts*sessions {
				break
			}
			f.asked++
			requests.Go(func() {
				time.Sleep(time.Duration(n) * 5 * time.Second)
				if _, err := w.functions["delete-sessions"].invoke(w.deleteRequest(n*7%hosts, 1, 1)); err != nil {
					t.Error(err)
				}
			})
		}
		for time.Since(began) < inventoryPeriod-time.Second {
			time.Sleep(time.Second)
			newest, err := w.hostTable.Newest(ctx, w.ssm.hostIDs)
			if err != nil {
				t.Fatal(err)
			}
			if f.applied = w.ssm.applied(newest, began); f.applied == hosts && f.allAfter == 0 {
				f.allAfter = time.Since(began)
			}
		}
		f.calls, f.deadLetters = w.ssm.total(), w.deadLetters()
		for _, r := range w.table.All() {
			if r.Session().State == session.Unknown {
				f.unknown++
			}
		}
		w.mu.Lock()
		f.table, f.waits = maps.Clone(w.calls), slices.Sorted(slices.Values(w.waits))
		w.mu.Unlock()
		host.mu.Lock()
		f.peak, f.batches = host.peak, host.invocations
		host.mu.Unlock()
		return requests.Wait
	})
	return f
}

// A deletionFigure is what a mass deletion took.
type deletionFigure struct {
	ended        int
	took         time.Duration // until the last of them was DELETED
	sends, reads fleetCalls
	deadLetters  int
	failed       int // requests that had another answer than 200, and runs of a rule
	runs         int // of a rule, that marked sessions
	longest      time.Duration
}

// measureDeletion has all sessions of a fleet deleted, from between two inventories on.
func measureDeletion(t *testing.T, hosts, sessions int, rate float64, begin func(ctx context.Context, w *fleetWorld, f *deletionFigure) (wait func())) (f deletionFigure) {
	inFleet(t, hosts, sessions, rate, inventoryPeriod+150*time.Second, func(ctx context.Context, w *fleetWorld) func() {
		began := time.Now()
		wait := begin(ctx, w, &f)
		for time.Since(began) < 12*time.Hour {
			time.Sleep(time.Second)
			w.mu.Lock()
			f.ended, f.took = w.ended, w.endedAt.Sub(began)
			w.mu.Unlock()
			if f.ended == hosts*sessions {
				break
			}
		}
		f.sends, f.reads = w.ssm.total("SendCommand"), w.ssm.total("ListCommandInvocations", "GetCommandInvocation")
		f.deadLetters = w.deadLetters()
		return wait
	})
	return f
}

// byRequests deletes the sessions by so many requests at the same time.
func byRequests(requests int) func(context.Context, *fleetWorld, *deletionFigure) func() {
	return func(_ context.Context, w *fleetWorld, f *deletionFigure) func() {
		var asking sync.WaitGroup
		hosts := len(w.ssm.hostIDs) / requests
		for n := range requests {
			asking.Go(func() {
				answer, err := w.functions["delete-sessions"].invoke(w.deleteRequest(n*hosts, hosts, w.sessions))
				var response struct{ StatusCode int }
				if err != nil || json.Unmarshal(answer, &response) != nil || response.StatusCode != 200 {
					w.mu.Lock()
					f.failed++
					w.mu.Unlock()
				}
			})
		}
		return asking.Wait
	}
}

// byRules deletes the sessions by so many rules that are run every minute.
func byRules(rules, limit int) func(context.Context, *fleetWorld, *deletionFigure) func() {
	return func(ctx context.Context, w *fleetWorld, f *deletionFigure) func() {
		rule := json.RawMessage(fmt.Sprintf(`{"task":"close","name":"nightly","select":{"all":true},"limit":%d}`, limit))
		var running sync.WaitGroup
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if n%rules == 0 && n > 0 {
					time.Sleep(time.Minute)
				}
				running.Go(func() {
					began := time.Now()
					answer, err := w.functions["cleanup"].invoke(rule)
					var ran cleanup.RuleAnswer
					if err == nil {
						err = json.Unmarshal(answer, &ran)
					}
					w.mu.Lock()
					defer w.mu.Unlock()
					f.longest = max(f.longest, time.Since(began))
					if err != nil {
						f.failed++
					}
					if len(ran.Sessions) > 0 {
						f.runs++
					}
				})
			}
		})
		return running.Wait
	}
}

func retries(c fleetCalls) string {
	if c.calls == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(c.tries-c.calls)/float64(c.calls))
}

// TestFleetFigures prints the tables of make bench-fleet. Without its flag it prints nothing.
func TestFleetFigures(t *testing.T) {
	if *fleetFigures == "memory" {
		printFleetMemory(t)
	}
	is := func(what string) bool { return *fleetFigures == what || *fleetFigures == "all" }
	if is("inventories") {
		var rows [][]string
		for _, rate := range numbers(*fleetRates) {
			for _, hosts := range numbers(*fleetSizes) {
				f := measureInventory(t, hosts, 5, float64(rate), *fleetFrom)
				all := "not all"
				if f.allAfter > 0 {
					all = fmt.Sprintf("%.0f s", f.allAfter.Seconds())
				}
				longest, median := time.Duration(0), time.Duration(0)
				if n := len(f.waits); n > 0 {
					longest, median = f.waits[n-1], f.waits[n/2]
				}
				rows = append(rows, []string{
					fmt.Sprint(rate), fmt.Sprint(hosts), fmt.Sprint(f.applied), all,
					fmt.Sprintf("%.2f", f.callsOfInventory()/float64(hosts)), fmt.Sprintf("%.2f", f.callsOfInventory()/inventoryPeriod.Seconds()), fmt.Sprint(f.calls.most()), retries(f.calls),
					fmt.Sprintf("%.2f", float64(f.calls.ofClosing)/float64(max(1, f.asked))),
					fmt.Sprintf("%.2f", float64(f.table["RecordAnswer"])/float64(hosts)), fmt.Sprintf("%.2f", float64(f.table["OnHost"])/float64(hosts)),
					fmt.Sprintf("%d of %d", len(f.waits), f.asked), fmt.Sprintf("%.1f, %.1f s", median.Seconds(), longest.Seconds()), fmt.Sprint(f.deadLetters), fmt.Sprint(f.unknown), fmt.Sprintf("%d, %d", f.batches, f.peak),
				})
				fmt.Println(rows[len(rows)-1])
			}
		}
		fmt.Println(table([]string{"calls a second", "hosts", "applied", "all after", "calls a host", "calls a second", "most, with deletions", "retries a call", "calls a deletion", "writes a host", "reads a host", "confirmed", "wait: median, longest", "dead letters", "UNKNOWN", "batches, at the same time"}, rows))
	}
	if is("deletion") {
		hosts := slices.Max(numbers(*fleetSizes))
		var rows [][]string
		for _, rate := range numbers(*fleetRates) {
			f := measureDeletion(t, hosts, 5, float64(rate), byRequests(hosts/200)) // each of 1,000 sessions
			rows = append(rows, slices.Concat([]string{fmt.Sprint(rate)}, f.row()))
			fmt.Println(rows[len(rows)-1])
		}
		fmt.Println(table(slices.Concat([]string{"calls a second"}, deletionHead), rows))
	}
	if is("rule") {
		printRuns(5 * slices.Max(numbers(*fleetSizes)))
		hosts := slices.Max(numbers(*fleetSizes))
		var rows [][]string
		for _, limit := range numbers(*fleetLimits) {
			for _, rate := range numbers(*fleetRates) {
				f := measureDeletion(t, hosts, 5, float64(rate), byRules(*fleetRules, limit))
				rows = append(rows, slices.Concat([]string{fmt.Sprint(limit), fmt.Sprint(rate)}, f.row(), []string{fmt.Sprint(f.runs), f.longest.Round(time.Second / 10).String()}))
				fmt.Println(rows[len(rows)-1])
			}
		}
		fmt.Println(table(slices.Concat([]string{"limit", "calls a second"}, deletionHead, []string{"runs", "longest run"}), rows))
	}
}

// countRuns is after how many minutes so many rules have marked all sessions of a table, and 90 %
// of them: each run begins at a place of its own, looks at 10,000 records, and marks as many as its limit.
func countRuns(chance *rand.Rand, records, limit, rules int) (all, most int) {
	const looked = 10_000
	marked := make([]bool, records)
	for left := records; left > 0; all++ {
		for range rules {
			first := chance.IntN(records)
			for n, marks := 0, 0; n < looked && marks < limit; n++ {
				if place := (first + n) % records; !marked[place] {
					marked[place] = true
					marks, left = marks+1, left-1
				}
			}
		}
		if left > records/10 {
			most = all + 2
		}
	}
	return all, most
}

// printRuns prints the middle of 20 tries of it.
func printRuns(records int) {
	var rows [][]string
	for _, of := range []struct{ limit, rules int }{{1000, 1}, {5000, 1}, {1000, 5}} {
		chance := rand.New(rand.NewPCG(1, 2))
		var all, most []int
		for range 20 {
			a, m := countRuns(chance, records, of.limit, of.rules)
			all, most = append(all, a), append(most, m)
		}
		rows = append(rows, []string{fmt.Sprint(of.rules), fmt.Sprint(of.limit), fmt.Sprint(median(most)), fmt.Sprintf("%d, %d to %d", median(all), slices.Min(all), slices.Max(all))})
	}
	fmt.Println(table([]string{"rules", "limit", "minutes until 90 % are marked", "all: median, range of 20 tries"}, rows))
}

var deletionHead = []string{"ended", "after", "commands", "retries a command", "reads", "retries a read", "dead letters", "failed"}

func (f deletionFigure) row() []string {
	return []string{
		fmt.Sprint(f.ended), f.took.Round(time.Second).String(), fmt.Sprint(f.sends.calls), retries(f.sends), fmt.Sprint(f.reads.calls), retries(f.reads), fmt.Sprint(f.deadLetters), fmt.Sprint(f.failed),
	}
}

// A rule with a limit of 100 that runs every minute ends 200 sessions in two runs.
func TestRuleEndsTheSessionsOfAFleet(t *testing.T) {
	f := measureDeletion(t, 40, 5, 10, byRules(1, 100))
	if f.ended != 200 || f.failed > 0 || f.deadLetters > 0 || f.runs != 2 || f.took > 2*time.Minute {
		t.Errorf("%d sessions ended after %s by %d runs; %d runs failed, %d dead letters", f.ended, f.took, f.runs, f.failed, f.deadLetters)
	}
}

// All hosts answer an inventory at the same time, and Systems Manager takes two calls of each
// operation a second: with one queue for all, a confirmation waited for 36 s.
func TestConfirmationsDoNotWaitBehindInventories(t *testing.T) {
	f := measureInventory(t, 400, 5, 2, inventoryPeriod)
	if f.applied != f.hosts || len(f.waits) != f.asked || f.deadLetters > 0 {
		t.Errorf("%d of %d hosts' answers applied, %d of %d deletions confirmed, %d dead letters", f.applied, f.hosts, len(f.waits), f.asked, f.deadLetters)
	}
	if longest := slices.Max(f.waits); longest > 10*time.Second {
		t.Errorf("a confirmation waited for %s", longest)
	}
	if calls, most := f.callsOfInventory(), 1.1*float64(f.hosts); calls > most || f.table["RecordAnswer"] != f.hosts {
		t.Errorf("%.0f calls of Systems Manager and %d writes for the answers of %d hosts", calls, f.table["RecordAnswer"], f.hosts)
	}
}

// Systems Manager takes fewer calls than a fleet's inventories need, for 25 minutes.
func TestThrottledInventoriesAreNoDeadLetters(t *testing.T) {
	f := measureInventory(t, 1000, 1, 0.5, 5*inventoryPeriod)
	t.Logf("%d of %d applied, %d dead letters, %d UNKNOWN, confirmed %d of %d", f.applied, f.hosts, f.deadLetters, f.unknown, len(f.waits), f.asked)
	if f.applied == f.hosts {
		t.Error("nothing was throttled for long: all answers were applied")
	}
	if f.deadLetters > 0 {
		t.Errorf("%d messages became dead letters", f.deadLetters)
	}
}
