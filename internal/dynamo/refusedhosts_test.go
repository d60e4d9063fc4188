package dynamo_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

// busyPuts is a table that accepts some items of a call, and leaves the rest.
type busyPuts struct {
	dynamo.HostsAPI
	takes int

	mu    sync.Mutex
	calls int
	items []map[string]types.AttributeValue
}

func (b *busyPuts) BatchWriteItem(_ context.Context, in *dynamodb.BatchWriteItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	asked := in.RequestItems["Hosts"]
	n := min(b.takes, len(asked))
	for _, r := range asked[:n] {
		b.items = append(b.items, r.PutRequest.Item)
	}
	out := &dynamodb.BatchWriteItemOutput{}
	if left := asked[n:]; len(left) > 0 {
		out.UnprocessedItems = map[string][]types.WriteRequest{"Hosts": left}
	}
	return out, nil
}

// Items that the table was too busy for are put again, since the call succeeds without them.
func TestNotesThatABusyTableLeftArePutAgain(t *testing.T) {
	for name, test := range map[string]struct {
		takes, calls, noted int
		err                 string
	}{
		"in one":          {7, 1, 7, ""},
		"in four":         {2, 4, 7, ""},
		"not in four":     {1, 4, 4, "too busy for 3 items of 7"},
		"nothing in four": {0, 4, 0, "too busy for 7 items of 7"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // so that the pauses take no time
				var hostIDs []string
				for n := range 7 {
					hostIDs = append(hostIDs, fmt.Sprint("i-", n))
				}
				b := &busyPuts{takes: test.takes}
				err := dynamo.Hosts{Client: b, Table: "Hosts"}.RecordRefused(t.Context(), hostIDs, time.Now())
				if told := err != nil && test.err != "" && strings.Contains(err.Error(), test.err); !told && (err != nil || test.err != "") {
					t.Error(err)
				}
				var noted []string
				for _, item := range b.items {
					noted = append(noted, item["HostId"].(*types.AttributeValueMemberS).Value)
				}
				if b.calls != test.calls || len(noted) != test.noted || len(slices.Compact(slices.Sorted(slices.Values(noted)))) != test.noted {
					t.Errorf("%d calls, noted %q", b.calls, noted)
				}
			})
		})
	}
}

// A note that is not removed expires.
func TestNoteOfARefusedHostExpires(t *testing.T) {
	b := &busyPuts{takes: 1}
	at := time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)
	if err := (dynamo.Hosts{Client: b, Table: "Hosts"}).RecordRefused(t.Context(), []string{"i-1"}, at); err != nil {
		t.Fatal(err)
	}
	expires, _ := b.items[0]["ExpiresAt"].(*types.AttributeValueMemberN)
	if want := fmt.Sprint(at.Add(24 * time.Hour).Unix()); session.KeepRefused != 24*time.Hour || expires == nil || expires.Value != want {
		t.Errorf("%v, want it to expire at %s", b.items[0], want)
	}
}
