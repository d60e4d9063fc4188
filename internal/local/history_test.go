package main

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/session/tabletest"
	"dcv-session-broker/internal/streamevent"
)

// wantEndedOnce checks all changes of the table: each accepted deletion has ended once,
// other deletions at most once, none was put back, and no incarnation was listed again.
func wantEndedOnce(t *testing.T, endpoint string, table dynamodblocal.Store, clients []*client) (ended int) {
	t.Helper()
	ends := map[incarnation]int{}
	for _, change := range history(t, endpoint, table) {
		was, is := change.Old.Session(), change.New.Session()
		own := incarnation{is.ID, is.CreationTime}
		switch {
		case change.New == nil:
			t.Errorf("removed: %v", change.Old)
		case was.State != session.Deleted && is.State == session.Deleted:
			if ends[own]++; was.State != session.Deleting || is.Confirmation == "" {
				t.Errorf("ended, but nobody asked for it, or it is not confirmed: %v", change.New)
			}
		case was.State == session.Deleting && is.State != session.Deleting:
			t.Errorf("taken back: %v\nis now %v", change.Old, change.New)
		case ends[own] > 0 && is.State != session.Deleted:
			t.Errorf("listed again: %v\nis now %v", change.Old, change.New)
		}
	}
	for own, n := range ends {
		if n > 1 {
			t.Errorf("%v ended %d times", own, n)
		}
	}
	for _, c := range clients {
		for own := range c.accepted {
			if ends[own] == 0 {
				t.Errorf("%v was accepted, and did not end", own)
			}
		}
	}
	return len(ends)
}

// history returns every change of the table, those of each record in order.
func history(t *testing.T, endpoint string, table dynamodblocal.Store) []tabletest.Change {
	t.Helper()
	const last = "the last record"
	if err := table.Put(t.Context(), session.Record{session.AttrSessionID: last}); err != nil {
		t.Fatal(err)
	}
	described, err := table.Client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &table.TableName})
	if err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithTimeout(t.Context(), 5*time.Minute)
	defer done()
	var changes []tabletest.Change
	reader := &dynamodblocal.StreamReader{
		Client:    dynamodbstreams.NewFromConfig(dynamodblocal.Config(endpoint)),
		StreamARN: aws.ToString(described.Table.LatestStreamArn),
		Log:       slog.New(slog.DiscardHandler),
		Handle: func(records []streamevent.Record) {
			some, err := tabletest.FromEvents(records)
			if err != nil {
				t.Error(err)
			}
			for _, c := range some {
				if c.New[session.AttrSessionID] == last {
					done()
					return
				}
				changes = append(changes, c)
			}
		},
	}
	if err := reader.Run(ctx); ctx.Err() != context.Canceled {
		t.Fatalf("%d changes, and then %v", len(changes), err)
	}
	return changes
}
