package memtable_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Every feed shows every change once, in the same order, and each record's changes as a
// chain, also if it is read later.
func TestFeedLosesNothing(t *testing.T) {
	const writers, writes = 8, 50
	table := memtable.New()
	feeds := []*memtable.Feed{table.Feed(), table.Feed()}
	var all sync.WaitGroup
	for w := range writers {
		table.Put(session.Record{"SessionId": fmt.Sprint(w)})
		all.Go(func() {
			for n := range int64(writes) {
				table.Write(context.Background(), []session.Write{
					{SessionID: fmt.Sprint(w), Set: session.Record{"N": n}},
					{SessionID: "0", Set: session.Record{fmt.Sprint("W", w): n}},
				})
			}
		})
	}
	all.Wait()
	shown := feeds[0].Ready()
	if diff := cmp.Diff(shown, feeds[1].Ready()); diff != "" {
		t.Errorf("two feeds differ:\n%s", diff)
	}
	if want := writers + writers*writes*2; len(shown) != want {
		t.Errorf("%d changes, want %d", len(shown), want)
	}
	last := make(map[any]session.Record)
	for i, c := range shown {
		if i > 0 && c.Sequence <= shown[i-1].Sequence {
			t.Fatalf("sequence %s after %s", c.Sequence, shown[i-1].Sequence)
		}
		if diff := cmp.Diff(last[c.New["SessionId"]], c.Old); diff != "" {
			t.Fatalf("change %d does not go on where the one before ended (-want +got):\n%s", i, diff)
		}
		last[c.New["SessionId"]] = c.New
	}
	for _, r := range table.All() {
		if diff := cmp.Diff(r, last[r["SessionId"]]); diff != "" {
			t.Errorf("the last change is not the record (-want +got):\n%s", diff)
		}
	}
}

func TestFeedBeginsWhereItIsMade(t *testing.T) {
	table := memtable.New()
	table.Put(session.Record{"SessionId": "before"})
	feed := table.Feed()
	table.Put(session.Record{"SessionId": "after"})
	if got := feed.Ready(); len(got) != 1 || got[0].New["SessionId"] != "after" {
		t.Errorf("the feed shows %v", got)
	}
	if got := feed.Ready(); got != nil {
		t.Errorf("the feed shows again %v", got)
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := memtable.New()
		feed := table.Feed()
		go func() {
			time.Sleep(time.Hour)
			table.Put(session.Record{"SessionId": "a"})
		}()
		start := time.Now()
		c, err := feed.Next(t.Context())
		if err != nil || c.New["SessionId"] != "a" || time.Since(start) != time.Hour {
			t.Errorf("after %v: %v, %v", time.Since(start), c, err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if c, err := feed.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v, want the context's error", c, err)
		}
		// A change that is ready is still returned.
		table.Put(session.Record{"SessionId": "b"})
		if c, err := feed.Next(ctx); err != nil || c.New["SessionId"] != "b" {
			t.Errorf("%v, %v", c, err)
		}
	})
}

func TestChangeAsAnEvent(t *testing.T) {
	const arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/Sessions/stream/2026-11-23T19:01:02.123"
	table := memtable.New()
	feed := table.Feed()
	table.Put(session.Record{"SessionId": "a", "State": "READY"})
	table.Write(t.Context(), []session.Write{{
		SessionID: "a",
		Set:       session.Record{"State": "DELETED", "Attempts": int64(-2), "Force": false, "Name": ""},
	}})
	table.Put(session.Record{"SessionId": "a", "ExpiresAt": int64(1795460461)})
	table.Sweep(time.Unix(1795460462, 0))
	var got []json.RawMessage
	for _, c := range feed.Ready() {
		text, err := json.Marshal(c.Event(time.Unix(1795460462, 5e8), arn))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, text)
	}
	want := []string{
		`{"eventID": "100000000000000000001", "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
		  "awsRegion": "eu-west-1", "eventSourceARN": "` + arn + `", "dynamodb": {
		    "ApproximateCreationDateTime": 1795460462, "SequenceNumber": "100000000000000000001", "SizeBytes": 30,
		    "StreamViewType": "NEW_AND_OLD_IMAGES", "Keys": {"SessionId": {"S": "a"}},
		    "NewImage": {"SessionId": {"S": "a"}, "State": {"S": "READY"}}}}`,
		`{"eventID": "100000000000000000002", "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
		  "awsRegion": "eu-west-1", "eventSourceARN": "` + arn + `", "dynamodb": {
		    "ApproximateCreationDateTime": 1795460462, "SequenceNumber": "100000000000000000002", "SizeBytes": 72,
		    "StreamViewType": "NEW_AND_OLD_IMAGES", "Keys": {"SessionId": {"S": "a"}},
		    "OldImage": {"SessionId": {"S": "a"}, "State": {"S": "READY"}},
		    "NewImage": {"SessionId": {"S": "a"}, "State": {"S": "DELETED"}, "Attempts": {"N": "-2"},
		      "Force": {"BOOL": false}, "Name": {"S": ""}}}}`,
		``,
		`{"eventID": "100000000000000000004", "eventName": "REMOVE", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
		  "awsRegion": "eu-west-1", "eventSourceARN": "` + arn + `",
		  "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}, "dynamodb": {
		    "ApproximateCreationDateTime": 1795460462, "SequenceNumber": "100000000000000000004", "SizeBytes": 30,
		    "StreamViewType": "NEW_AND_OLD_IMAGES", "Keys": {"SessionId": {"S": "a"}},
		    "OldImage": {"SessionId": {"S": "a"}, "ExpiresAt": {"N": "1795460461"}}}}`,
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i := range want {
		if want[i] == "" {
			continue
		}
		if diff := cmp.Diff(decoded(t, want[i]), decoded(t, string(got[i]))); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
