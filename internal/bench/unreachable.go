package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/bench/baseline/res"
	"dcv-session-broker/internal/bench/standin"
)

// Fifty hosts are one command of Systems Manager. Every fifth session has a
// client connected, that of the unreachable host too.
const (
	unreachableOf  = 50
	connectedEvery = 5
	unreachableOne = unreachableOf - 1
	// hostWork is how long a host takes from the command to its end: a guess,
	// the same for all.
	hostWork = time.Second
)

// A situation says how one of the fifty hosts cannot be reached.
type situation struct {
	name            string
	refused, silent bool
}

var situations = []situation{
	{name: "all are reachable"},
	{name: "Systems Manager refuses one", refused: true},
	{name: "Systems Manager takes commands for one that never answers", silent: true},
}

// An outcome is the result for the fifty sessions.
type outcome struct {
	answered time.Duration  // from the request to the answer
	accepted int            // told that they are deleted, or are being deleted
	reasons  map[string]int // told why they are not
	ended    map[string]time.Duration
	// inUse ended though a client was connected.
	inUse int
	// untrue are told that they are not deleted, and recorded as if they were.
	untrue int
}

// measureUnreachable deletes fifty sessions on fifty hosts, one of which cannot be
// reached. It counts the answers to callers. RES waits for a minute: its clock is
// simulated.
func measureUnreachable(ctx context.Context, r *report, server *standin.Server, contenders []*contender) error {
	var rows [][]string
	for _, situation := range situations {
		var ours outcome
		for _, c := range contenders {
			if c.slow { // its concurrent twin tells callers the same
				continue
			}
			var o outcome
			for round := range 3 { // what else the machine does can only add time
				again, err := c.deleteFifty(ctx, server, situation.hosts())
				if err != nil {
					return err
				}
				if round == 0 || again.answered < o.answered {
					o = again
				}
			}
			if c.ours {
				ours = o
			}
			rows = append(rows, o.row(r, situation.name, c.name, fmt.Sprintf("%d (it does not ask)", o.inUse)))
		}
		o, err := deleteFiftyAsRES(ctx, server, situation.hosts())
		if err != nil {
			return err
		}
		rows = append(rows, o.row(r, situation.name, "RES 2026.06", fmt.Sprint(o.inUse)))
		r.ratio("answer of RES 2026.06 against this system, "+situation.name, float64(o.answered)/float64(ours.answered))
	}
	head := []string{"50 sessions, each on its host", "", "answer after", "told", "ended", "the last of them after", "ended with a client connected", "told what is not so"}
	r.say("\n### One of fifty hosts cannot be reached\n\n%s", table(head, rows))
	r.brief["unreachable"] = table(head, rows)
	return nil
}

// hosts are the fifty.
func (s situation) hosts() *standin.Hosts {
	h := &standin.Hosts{Work: hostWork, Refused: map[string]bool{}, Silent: map[string]bool{}, Connections: map[string]int{}}
	for n := connectedEvery - 1; n < unreachableOf; n += connectedEvery {
		h.Connections[hostID(n)] = 1
	}
	h.Refused[hostID(unreachableOne)], h.Silent[hostID(unreachableOne)] = s.refused, s.silent
	return h
}

// row notes the outcome, and shows it.
func (o outcome) row(r *report, situation, name, inUse string) []string {
	last := time.Duration(0)
	for _, at := range o.ended {
		last = max(last, at)
	}
	note := func(what string, n int) {
		r.count(fmt.Sprintf("of 50 sessions, %s, %s: %s", situation, name, what), float64(n))
	}
	note("accepted", o.accepted)
	note("ended", len(o.ended))
	note("ended with a client connected", o.inUse)
	note("told what is not so", o.untrue)
	told := fmt.Sprintf("%d: accepted", o.accepted)
	for _, reason := range slices.Sorted(maps.Keys(o.reasons)) {
		told += fmt.Sprintf("; %d: “%s”", o.reasons[reason], reason)
	}
	return []string{situation, name, ms(o.answered), told, fmt.Sprint(len(o.ended)), ms(last), inUse, fmt.Sprint(o.untrue)}
}

// partUnreachable is measureUnreachable alone.
func partUnreachable(ctx context.Context, r *report) error {
	server, err := standin.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	contenders, err := buildContenders(ctx)
	if err != nil {
		return err
	}
	for _, c := range contenders {
		if c.slow {
			continue
		}
		if err := c.start(ctx, server); err != nil {
			return err
		}
		defer c.running.Stop()
	}
	return measureUnreachable(ctx, r, server, contenders)
}

// deleteFifty lets the function delete them.
func (c *contender) deleteFifty(ctx context.Context, server *standin.Server, hosts *standin.Hosts) (o outcome, err error) {
	event := fill(server.Table, unreachableOf, unreachableOf)
	server.BeginOn(hosts, settings[0])
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: awsenv.NewID()})
	text, err := c.running.Invoke(ctx, event)
	if err != nil {
		return o, fmt.Errorf("%s: %w", c.name, err)
	}
	o = outcomeOf(server, hosts)
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(text, &response); err != nil {
		return o, err
	}
	var answer struct {
		SuccessfulList   []struct{ SessionID string }
		UnsuccessfulList []struct {
			SessionID     string `json:"SessionId"`
			FailureReason string
		}
	}
	if err := json.Unmarshal([]byte(response.Body), &answer); err != nil {
		return o, fmt.Errorf("%s: %w: %s", c.name, err, response.Body)
	}
	o.accepted = len(answer.SuccessfulList)
	for _, failed := range answer.UnsuccessfulList {
		o.reasons[shortened(failed.FailureReason)]++
		if string(server.Table.Get(failed.SessionID)["State"]) != `{"S":"READY"}` {
			o.untrue++
		}
	}
	if o.accepted+len(answer.UnsuccessfulList) != unreachableOf {
		return o, fmt.Errorf("%s answered %d of %d: %s", c.name, o.accepted+len(answer.UnsuccessfulList), unreachableOf, response.Body)
	}
	return o, nil
}

// outcomeOf returns what the stand-in has seen.
func outcomeOf(server *standin.Server, hosts *standin.Hosts) outcome {
	o := outcome{answered: server.Elapsed(), ended: server.Ended(), reasons: map[string]int{}}
	for host := range o.ended {
		o.inUse += hosts.Connections[host]
	}
	return o
}

// deleteFiftyAsRES deletes them by RES's method.
func deleteFiftyAsRES(ctx context.Context, server *standin.Server, hosts *standin.Hosts) (o outcome, err error) {
	fill(server.Table, unreachableOf, unreachableOf)
	hosts.Simulated = true
	server.BeginOn(hosts, settings[0])
	config := aws.Config{
		Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "secret", ""),
	}
	deleter := &res.Deleter{
		DynamoDB: dynamodb.NewFromConfig(config), SystemsManager: ssm.NewFromConfig(config), EC2: ec2.NewFromConfig(config),
		Table: "Sessions", Sleep: server.Sleep,
	}
	var sessions []*res.Session
	for _, rec := range records(unreachableOf, unreachableOf) {
		s := rec.Session()
		sessions = append(sessions, &res.Session{ID: s.ID, Owner: s.Owner})
	}
	if err := deleter.Delete(ctx, sessions); err != nil {
		return o, fmt.Errorf("RES: %w", err)
	}
	o = outcomeOf(server, hosts)
	for _, s := range sessions {
		if s.FailureReason != "" {
			o.reasons[shortened(s.FailureReason)]++
			continue
		}
		o.accepted++
	}
	return o, nil
}

// shortened returns a reason without the names of a session, host or call.
func shortened(reason string) string {
	words := strings.Fields(reason)
	for i, word := range words {
		if strings.ContainsAny(word, "0123456789") && strings.Contains(word, "-") {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}
