package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

// marksOf writes the marks of 1,000 sessions and nothing else: as the system
// does, 25 a call, or each by an UpdateItem of its own, 64 at once. The latter
// is spared the old item in the answer and half of the conditions.
func marksOf(single bool) func(context.Context, events.APIGatewayV2HTTPRequest) (string, error) {
	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	table := dynamo.New(db, "Sessions")
	all := records(1000, 100)
	return func(ctx context.Context, _ events.APIGatewayV2HTTPRequest) (string, error) {
		if !single {
			d := &session.Deleter{Table: table, Closer: obedient{}, GiveUp: time.Hour, ForceMode: session.Purge, Log: quiet}
			req := session.Request{ID: awsenv.NewID(), By: "bench", At: time.Now()}
			for _, r := range all {
				s := r.Session()
				req.Entries = append(req.Entries, session.Entry{SessionID: s.ID, Owner: s.Owner})
			}
			answers, err := d.Delete(ctx, req)
			return fmt.Sprint(len(answers)), err
		}
		now := session.FormatTime(time.Now())
		var (
			group sync.WaitGroup
			mu    sync.Mutex
			errs  error
			slots = make(chan struct{}, 64)
		)
		for _, r := range all {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
				s := r.Session()
				_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
					TableName: aws.String("Sessions"),
					Key:       map[string]types.AttributeValue{"SessionId": text(s.ID)},
					UpdateExpression: aws.String("SET #state = :deleting, DeletionRequestedAt = :now, DeletionRequestId = :id, DeletionRequestedBy = :by, " +
						"AttemptId = :id, Attempts = :one, AttemptedAt = :now, NextAttemptAt = :now, DueLane = :lane, #force = :by"),
					ConditionExpression:      aws.String("#owner = :owner AND #state = :ready"),
					ExpressionAttributeNames: map[string]string{"#state": "State", "#owner": "Owner", "#force": "Force"},
					ExpressionAttributeValues: map[string]types.AttributeValue{
						":deleting": text("DELETING"), ":ready": text("READY"), ":owner": text(s.Owner), ":now": text(now),
						":id": text("11111111-2222-4333-8444-555555555555"), ":by": text("bench"), ":lane": text("0"),
						":one": &types.AttributeValueMemberN{Value: "1"},
					},
					ReturnValues:                        types.ReturnValueAllOld,
					ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
				})
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = err
				}
			})
		}
		group.Wait()
		return "", errs
	}
}

// measureInside looks at handlers from inside: what they allocate, and how
// marks are written best.
func measureInside(ctx context.Context, r *report, server *standin.Server, quick bool) error {
	n := 1000
	repeats := 20
	if quick {
		repeats = 5
	}
	var rows [][]string
	var ours inner
	for _, who := range []string{"this system", "sequential", "concurrent"} {
		a, err := runInside(ctx, server, who, n, 100, max(1, repeats/4), "")
		if err != nil {
			return err
		}
		if who == "this system" {
			ours = a
		} else {
			r.ratio("allocations of "+who+" against this system, N=1000", float64(a.Objects)/float64(ours.Objects))
			r.ratio("CPU inside of "+who+" against this system, N=1000", float64(a.CPU)/float64(ours.CPU))
		}
		rows = append(rows, []string{
			who, times(float64(a.CPU) / float64(ours.CPU)), times(float64(a.Objects) / float64(ours.Objects)), times(float64(a.Bytes) / float64(ours.Bytes)),
			fmt.Sprintf("%d µs", a.CPU.Microseconds()/int64(n)), fmt.Sprint(a.Objects / uint64(n)), fmt.Sprintf("%.1f KB", float64(a.Bytes)/1e3/float64(n)),
		})
	}
	head := []string{"in the handler, N = 1,000", "CPU", "objects", "bytes", "CPU a session", "objects a session", "bytes a session"}
	r.say("\n### Processor time and allocations in the handler\n\n%s", table(head, rows))
	r.brief["inside"] = table(head, rows)

	rows = nil
	for _, latency := range []standin.Latency{{}, settings[0]} {
		var batched inner
		for _, who := range []string{"marks, 25 a PartiQL batch", "marks, single UpdateItems"} {
			innerLatency = latency
			a, err := runInside(ctx, server, who, n, 100, repeats, "")
			innerLatency = standin.Latency{}
			if err != nil {
				return err
			}
			if who == "marks, 25 a PartiQL batch" {
				batched = a
			} else {
				r.ratio(fmt.Sprintf("CPU of single UpdateItems against PartiQL batches, %v", latency.Table), float64(a.CPU)/float64(batched.CPU))
			}
			rows = append(rows, []string{
				who, latency.Table.String(), times(float64(a.Wall) / float64(batched.Wall)), times(float64(a.CPU) / float64(batched.CPU)), ms(a.Wall), ms(a.CPU),
			})
		}
	}
	head = []string{"1,000 marks", "latency", "wall", "CPU", "wall", "CPU"}
	r.say("\n### PartiQL batches or single conditional updates\n\n%s", table(head, rows))
	r.brief["marks"] = table(head, rows)
	return nil
}
