package dynamodblocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// readUntil reads the stream until it has n records, and a little longer.
func readUntil(t *testing.T, endpoint, streamARN string, n int) []streamevent.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var got []streamevent.Record
	reader := &dynamodblocal.StreamReader{
		Client:    dynamodbstreams.NewFromConfig(dynamodblocal.ConfigOf(endpoint, dynamodblocal.TestKey)),
		StreamARN: streamARN,
		Every:     time.Millisecond,
		Handle: func(records []streamevent.Record) {
			if got = append(got, records...); len(got) >= n {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}
	if err := reader.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v after %d of %d records", err, len(got), n)
	}
	return got
}

func TestStreamOfDynamoDBLocal(t *testing.T) {
	endpoint := dynamodblocal.ForTest(t)
	s, streamARN := store(t, endpoint, "Stream")
	item := map[string]types.AttributeValue{
		"SessionId": &types.AttributeValueMemberS{Value: "a"},
		"N":         &types.AttributeValueMemberN{Value: "1.5"},
		"Bool":      &types.AttributeValueMemberBOOL{Value: true},
		"Null":      &types.AttributeValueMemberNULL{Value: true},
		"B":         &types.AttributeValueMemberB{Value: []byte("abc")},
		"SS":        &types.AttributeValueMemberSS{Value: []string{"x"}},
		"NS":        &types.AttributeValueMemberNS{Value: []string{"1"}},
		"BS":        &types.AttributeValueMemberBS{Value: [][]byte{[]byte("abc")}},
		"L":         &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: "x"}}},
		"M":         &types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"k": &types.AttributeValueMemberS{Value: "x"}}},
	}
	start := time.Now()
	if _, err := s.Client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &s.TableName, Item: item}); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), session.Record{"SessionId": "a", "State": "READY"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}

	const first = `{"SessionId": {"S": "a"}, "N": {"N": "1.5"}, "Bool": {"BOOL": true}, "Null": {"NULL": true}, "B": {"B": "YWJj"},
		"SS": {"SS": ["x"]}, "NS": {"NS": ["1"]}, "BS": {"BS": ["YWJj"]}, "L": {"L": [{"S": "x"}]}, "M": {"M": {"k": {"S": "x"}}}}`
	const second = `{"SessionId": {"S": "a"}, "State": {"S": "READY"}}`
	want := []struct{ name, images string }{
		{"INSERT", `"NewImage": ` + first},
		{"MODIFY", `"OldImage": ` + first + `, "NewImage": ` + second},
		{"REMOVE", `"OldImage": ` + second},
	}
	// Every reader begins at the oldest record.
	for range 2 {
		got := readUntil(t, endpoint, streamARN, len(want))
		if len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for i, r := range got {
			data := r.DynamoDB
			if age := time.Unix(int64(data.ApproximateCreationDateTime), 0).Sub(start); age.Abs() > 10*time.Minute {
				t.Errorf("record %d is of another time, by %v", i, age)
			}
			if data.SequenceNumber == "" || data.SizeBytes == 0 || r.EventID == "" ||
				i > 0 && data.SequenceNumber <= got[i-1].DynamoDB.SequenceNumber {
				t.Errorf("record %d: %+v", i, r)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(object(t, fmt.Sprintf(
				`{"eventID": %q, "eventName": %q, "eventVersion": %q, "eventSource": "aws:dynamodb", "awsRegion": %q, "eventSourceARN": %q,
				  "dynamodb": {"Keys": {"SessionId": {"S": "a"}}, %s, "SequenceNumber": %q, "StreamViewType": "NEW_AND_OLD_IMAGES",
				  "SizeBytes": %d, "ApproximateCreationDateTime": %.0f}}`,
				r.EventID, want[i].name, r.EventVersion, r.AWSRegion, streamARN,
				want[i].images, data.SequenceNumber, data.SizeBytes, data.ApproximateCreationDateTime,
			)), object(t, string(text))); diff != "" {
				t.Errorf("record %d (-want +got):\n%s", i, diff)
			}
		}
	}
}

func object(t *testing.T, text string) (o map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

// A stream simulates the HTTP API of DynamoDB Streams, with shards that DynamoDB Local
// would have only after hours.
type stream struct {
	shards []fakeShard
	// fail returns the error of a call, or "".
	fail func(operation string, n int) string

	mu     sync.Mutex
	calls  map[string]int
	ended  map[string]bool
	oldest int // older records are trimmed
	unseen int // calls of GetRecords while a late shard was there and not listed
}

type fakeShard struct {
	id, parent string
	first      int // its sequence numbers
	last       int
	open       bool
	late       bool // created when its parent ended
	listed     bool
}

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct {
		ExclusiveStartShardId, ShardId, ShardIteratorType, SequenceNumber, ShardIterator string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return // the reader has closed the connection
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.calls[operation]
	s.calls[operation]++
	if s.fail != nil {
		if code := s.fail(operation, n); code != "" {
			refuse(w, code)
			return
		}
	}
	type object = map[string]any
	var out object
	switch operation {
	case "DescribeStream": // one shard a page
		made := slices.DeleteFunc(slices.Clone(s.shards), func(f fakeShard) bool { return f.late && !s.ended[f.parent] })
		for i, f := range s.shards {
			s.shards[i].listed = !f.late || s.ended[f.parent]
		}
		i := 1 + slices.IndexFunc(made, func(f fakeShard) bool { return f.id == in.ExclusiveStartShardId })
		about := object{"Shards": []object{{"ShardId": made[i].id, "ParentShardId": made[i].parent}}}
		if i+1 < len(made) {
			about["LastEvaluatedShardId"] = made[i].id
		}
		out = object{"StreamDescription": about}
	case "GetShardIterator":
		at := max(s.shard(in.ShardId).first, s.oldest)
		if in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" {
			fmt.Sscan(in.SequenceNumber, &at)
			if at++; at < s.oldest {
				refuse(w, "TrimmedDataAccessException")
				return
			}
		}
		out = object{"ShardIterator": fmt.Sprintf("%s %d", in.ShardId, at)}
	case "GetRecords": // two a call
		if slices.ContainsFunc(s.shards, func(f fakeShard) bool { return f.late && s.ended[f.parent] && !f.listed }) {
			s.unseen++
		}
		var (
			id string
			at int
		)
		fmt.Sscan(in.ShardIterator, &id, &at)
		shard := s.shard(id)
		records := []object{}
		for ; at <= shard.last && len(records) < 2; at++ {
			records = append(records, object{"dynamodb": object{"SequenceNumber": fmt.Sprint(at)}})
		}
		out = object{"Records": records}
		if at <= shard.last || shard.open {
			out["NextShardIterator"] = fmt.Sprintf("%s %d", id, at)
		} else {
			s.ended[id] = true
		}
	}
	json.NewEncoder(w).Encode(out)
}

func refuse(w http.ResponseWriter, code string) {
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type": "com.amazonaws.dynamodb.v20120810#%s", "message": "so it is"}`, code)
}

func (s *stream) shard(id string) fakeShard {
	return s.shards[slices.IndexFunc(s.shards, func(f fakeShard) bool { return f.id == id })]
}

func TestShardsAndTheirFailures(t *testing.T) {
	family := []fakeShard{
		// A child that is listed before its parent, and one whose parent is gone.
		{id: "child-b", parent: "parent", first: 206, last: 207},
		{id: "parent", parent: "trimmed", first: 101, last: 105},
		{id: "child-a", parent: "parent", first: 201, last: 203},
		{id: "grandchild", parent: "child-a", first: 301, last: 303, open: true, late: true},
		{id: "cousin", first: 401, last: 401, open: true},
	}
	all := []int{101, 102, 103, 104, 105, 201, 202, 203, 206, 207, 301, 302, 303, 401}
	dice := rand.New(rand.NewPCG(1, 2))
	for name, fail := range map[string]func(operation string, n int) string{
		"none": func(string, int) string { return "" },
		"expired iterators": func(operation string, _ int) string {
			if operation == "GetRecords" && dice.IntN(2) == 0 {
				return "ExpiredIteratorException"
			}
			return ""
		},
		"server errors": func(string, int) string {
			if dice.IntN(4) == 0 {
				return "SomethingElse"
			}
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &stream{shards: slices.Clone(family), fail: fail, calls: map[string]int{}, ended: map[string]bool{}}
			server := httptest.NewServer(s)
			defer server.Close()
			got := numbers(t, readUntil(t, server.URL, "arn:aws:dynamodb:eu-west-1:0:table/T/stream/1", len(all)))
			// The reader looks for children when a parent ends, not only every two seconds, in which it reads the others
			// some hundred times.
			if s.mu.Lock(); name == "none" && s.unseen > 10 {
				t.Errorf("the others were read %d times before it looked for children", s.unseen)
			}
			s.mu.Unlock()
			// Parents before children; there is no other order between shards.
			for parent, child := range map[int]int{105: 201, 104: 206, 203: 301} {
				if slices.Index(got, parent) > slices.Index(got, child) {
					t.Errorf("%d is before %d: %v", child, parent, got)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(all, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

// A reader that stopped for longer than records are kept goes on with the oldest
// record.
func TestTrimmedRecords(t *testing.T) {
	s := &stream{
		shards: []fakeShard{{id: "one", first: 1, last: 2, open: true}},
		calls:  map[string]int{},
		ended:  map[string]bool{},
	}
	s.fail = func(operation string, n int) string {
		if operation == "GetRecords" && n == 1 {
			s.shards[0].last, s.oldest = 9, 7
			return "ExpiredIteratorException"
		}
		return ""
	}
	server := httptest.NewServer(s)
	defer server.Close()
	got := numbers(t, readUntil(t, server.URL, "arn", 5))
	if diff := cmp.Diff([]int{1, 2, 7, 8, 9}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestNoSuchStream(t *testing.T) {
	s := &stream{calls: map[string]int{}, ended: map[string]bool{}, fail: func(string, int) string { return "ResourceNotFoundException" }}
	server := httptest.NewServer(s)
	defer server.Close()
	reader := &dynamodblocal.StreamReader{
		Client: dynamodbstreams.NewFromConfig(dynamodblocal.Config(server.URL)), StreamARN: "arn:of:nothing",
	}
	if err := reader.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "arn:of:nothing") {
		t.Errorf("%v", err)
	}
}

func numbers(t *testing.T, records []streamevent.Record) []int {
	t.Helper()
	list := make([]int, len(records))
	for i, r := range records {
		if _, err := fmt.Sscan(r.DynamoDB.SequenceNumber, &list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}
