package main

import (
	"fmt"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

const month = 30 * 24 * time.Hour

// deployingFile has what a stack costs, as `KEEP=1 make cost` writes it.
var deployingFile = "internal/operate/DEPLOYING.md"

// fleets are the numbers of hosts that the cost of a stack is worked out for;
// none is an idle stack.
var fleets = []int{0, 10, 100, 1000, 10_000}

// restingSessions is how many sessions a host has there, of which none begins or
// ends.
const restingSessions = 2

// The functions' calls of the tables; TestCountsOfAStack compares them with a running
// system.
var (
	inDeletionsRun = map[string]int{"table:Due": 8, "table:Open": 8, "table:RefusedHosts": 1}
	inInventoryRun = map[string]int{
		"table:HostsAfter": 2, "table:AnsweredBefore": 1, "table:LastInventories": 1, "table:Silences": 1, "table:WalkedTo": 1,
		"table:RecordInventorySent": 1, "table:RecordWalkedTo": 1,
	}
	inAnswer = map[string]int{"table:OnHost": 1, "table:RecordAnswer": 1} // of one host to one inventory
)

// writeUnitsOf are the write units of a call that writes. RecordAnswer moves the
// host in the index by-answered, which is written twice for that (see writeUnits).
// Every other call reads: half a read unit for each 4 KB, since it may be a
// moment behind, and no less (DynamoDB developer guide, "DynamoDB read and write
// operations").
var writeUnitsOf = map[string]float64{"table:RecordInventorySent": 1, "table:RecordWalkedTo": 1, "table:RecordAnswer": 3}

func tableCost(calls map[string]int) (cost float64) {
	for call, n := range calls {
		if units, writes := writeUnitsOf[call]; writes {
			cost += float64(n) * units * writeUnit
		} else {
			cost += float64(n) * 0.5 * readUnit
		}
	}
	return cost
}

// Metrics that have values while no session is deleted.
var (
	restingMetrics   = []session.Metric{session.InventoriesSent, session.OldestOpenDeletionSeconds, session.OpenDeletions}
	answeringMetrics = []session.Metric{session.InventoryLagSeconds, session.InventorySessions}
)

// byReason is how many metrics more EntriesRefused is, which has a dimension.
const byReason = 4

// Bytes of the functions' log at level info, Lambda's own lines among them;
// TestCountsOfAStack compares the functions' own with a running system.
const (
	loggedByLambda = 300 // START, END and REPORT of an invocation
	loggedByRun    = 500
	loggedByBatch  = 300 // of host-events: the metrics
	loggedByAnswer = 15  // a value of two of them
)

// pollers are the processes of Lambda that wait for messages of a queue, 20 s at a time
// (Lambda developer guide, "Using Lambda with Amazon SQS": long polling, five
// of them at first).
const pollers, poll = 5, 20 * time.Second

// sessionRecord is about the size of a session's record, in KB.
const sessionRecord = 0.5

// A share of what a stack costs in a month.
type share struct {
	what string
	cost float64
}

// stackCost is what the stack costs in a month whose hosts answer every
// inventory, while nobody calls it.
func stackCost(t *template.Template, hosts int) (shares []share, sum float64) {
	add := func(what string, cost float64) { shares, sum = append(shares, share{what, cost}), sum+cost }
	add(fmt.Sprintf("alarms, which look at %.0f metrics", alarmMetrics(t)), alarmMetrics(t)*alarmMonth)
	metrics := len(restingMetrics)
	if hosts > 0 {
		metrics += len(answeringMetrics)
	}
	add("the functions' metrics that have values", float64(metrics)*metricMonth)
	add("the dashboard, which is too large to be one of an account's free ones", count(t, "AWS::CloudWatch::Dashboard")*dashboardMonth)
	add("the user pool's client; nothing with an `Issuer` of your own", count(t, "AWS::Cognito::UserPoolClient")*cognitoClient)

	runs, inventories := 0.0, 0.0
	polls, tables := 0.0, 0.0
	for _, f := range t.Functions() {
		polls += float64(len(f.Queues)) * pollers * float64(month/poll)
		for _, s := range f.Schedules {
			if !s.Enabled {
				continue
			}
			n := float64(month / s.Every)
			runs += n
			switch s.Event {
			case "Deletions":
				tables += n * tableCost(inDeletionsRun)
			case "Inventory":
				inventories = n
				tables += n * tableCost(inInventoryRun)
			}
		}
	}
	of := memories(t)
	add(fmt.Sprintf("schedules, %.0f runs of cleanup", runs), runs*(schedulerRun+invocation(60*time.Millisecond, 5*time.Millisecond, of["cleanup"])))
	add("Lambda's long polls of the queue", polls*sqsRequest)

	answers := inventories * float64(hosts)
	// They come within some ten seconds, and are taken in batches of a second.
	batches := inventories * min(float64(hosts), 10)
	inBatch := 0.0
	if batches > 0 {
		inBatch = answers / batches
	}
	reads := settings[0].SystemsManager*time.Duration(1+inBatch/50) + 2*settings[0].Table
	work := batches * invocation(reads, 2*time.Millisecond+time.Duration(inBatch*float64(300*time.Microsecond)), of["host-events"])
	add("the hosts' answers to inventories: queue and host-events", work+(answers+2*max(batches, answers/10))*sqsRequest)

	walked := min(float64(hosts*restingSessions)*sessionRecord, 1000*sessionRecord) // of the index by-live-host, in KB
	tables += float64(month/time.Hour) * float64(hosts) * writeUnit                 // each host's tag, once an hour: session.rereadTag
	tables += inventories*(walked/4+min(float64(hosts), 1000/restingSessions))*0.5*readUnit + answers*tableCost(inAnswer)
	add("the tables, read and written", tables)
	add("requests for the tables' key, at most", count(t, "AWS::DynamoDB::Table")*tableReaders*float64(month/keyCached)*keyRequest)
	logged := runs*(loggedByRun+loggedByLambda) + batches*(loggedByBatch+loggedByLambda) + answers*loggedByAnswer
	add("logs", logged/1e9*logGigabyte)
	return shares, sum
}

// DynamoDB keeps a table's key for each principal that reads the table, and asks
// KMS again after five minutes in which it did not (DynamoDB developer guide,
// "DynamoDB encryption at rest usage notes" and "How it works"). Taken here: every
// five minutes, for cleanup and host-events.
const keyCached, tableReaders = 5 * time.Minute, 2

// count is how many resources of that type the stack has.
func count(t *template.Template, kind string) (n float64) {
	for _, r := range t.Resources() {
		if r.Type == kind {
			n++
		}
	}
	return n
}

// alarmMetrics is how many metrics the template's alarms look at. Such an alarm names one, or has expressions over several.
func alarmMetrics(t *template.Template) (n float64) {
	for _, r := range t.Resources() {
		if r.Type != "AWS::CloudWatch::Alarm" {
			continue
		}
		if _, one := r.Properties["MetricName"]; one {
			n++
		}
		metrics, _ := r.Properties["Metrics"].([]any)
		for _, m := range metrics {
			if _, read := m.(map[string]any)["MetricStat"]; read {
				n++
			}
		}
	}
	return n
}

// stackCosts is the section of DEPLOYING.md: the one number, and its parts.
func stackCosts(t *template.Template) string {
	head := []string{"$ a month"}
	var rows [][]string
	total := []string{"**all of it**"}
	without := []string{"**with an `Issuer` of your own**"}
	for i, hosts := range fleets {
		head = append(head, map[bool]string{true: "idle", false: fmt.Sprintf("%d hosts", hosts)}[hosts == 0])
		shares, sum := stackCost(t, hosts)
		for j, p := range shares {
			if i == 0 {
				rows = append(rows, []string{p.what})
			}
			rows[j] = append(rows[j], fmt.Sprintf("%.2f", p.cost))
		}
		total = append(total, fmt.Sprintf("**%.2f**", sum))
		without = append(without, fmt.Sprintf("**%.2f**", sum-cognitoClient))
	}
	_, idle := stackCost(t, 0)
	tokens := float64(month/time.Hour) * cognitoToken
	all := len(session.Metrics) + byReason
	return fmt.Sprintf("An idle stack costs **%s a month**. List prices of us-east-1 and arm64, %s, without free tiers:\n\n%s\n"+
		"A client of the user pool that keeps its token for the hour pays %s a month for tokens. Metrics are billed by the hours in\n"+
		"which they have values: all of the functions' %d, where something always happens, cost %s.\n",
		dollars(idle), pricesOf, table(head, append(rows, total, without)), dollars(tokens), all, dollars(float64(all)*metricMonth))
}

// reportStackCosts prints the section, and keeps it if asked to.
func reportStackCosts(keep bool) error {
	t, err := template.Load(templateFile, nil)
	if err != nil {
		return err
	}
	text := stackCosts(t)
	fmt.Print(text)
	if !keep {
		return nil
	}
	return writeSection(deployingFile, "make cost", text)
}
