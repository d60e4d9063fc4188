package dynamo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// A wire simulates DynamoDB's HTTP API with every kind of failure. For updates all its
// records exist; each accepts one write, and then meets no condition and no insert.
type wire struct {
	// meet, if it is set, returns the fault of the n-th call (from 0).
	meet func(n int, keys []string) fault
	// refuse returns the code with which a statement fails, or "". It is called once for
	// each statement of a call.
	refuse func(n int, key string) string

	mu     sync.Mutex
	calls  [][]string      // the keys of each
	landed map[string]bool // what was written
}

// A fault is a failure of a call; the zero value is none.
type fault struct {
	notLanded bool   // fails before anything is written
	cut       bool   // no answer
	status    int    // an answer of that status, with this code
	code      string // ...
	body      string // an answer of this text
	left      bool   // no answer before the caller has gone
}

var (
	cutBefore   = fault{notLanded: true, cut: true}
	cutAfter    = fault{cut: true}
	errorBefore = fault{notLanded: true, status: 500, code: "InternalServerError"}
	errorAfter  = fault{status: 500, code: "InternalServerError"}
	unavailable = fault{notLanded: true, status: 503, code: "ServiceUnavailable"}
	throttled   = fault{notLanded: true, status: 400, code: "ProvisionedThroughputExceededException"}
	overLimit   = fault{notLanded: true, status: 400, code: "ThrottlingException"}
	invalid     = fault{notLanded: true, status: 400, code: "ValidationException"}
	tooLarge    = fault{notLanded: true, status: 413, code: "RequestEntityTooLarge"}
	denied      = fault{notLanded: true, status: 400, code: "AccessDeniedException"}
	noTable     = fault{notLanded: true, status: 400, code: "ResourceNotFoundException"}
	garbage     = fault{body: `{"Responses": [{"Item": {"SessionId"`}
	oneTooFew   = fault{body: `{"Responses": [{"Item": {"SessionId": {"S": "s-0"}}}]}`}
	noList      = fault{body: `{}`}
)

func (s *wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Statements []struct {
			Statement  string
			Parameters []map[string]any
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return // the client has closed the connection
	}
	var (
		keys    []string
		inserts []bool
	)
	for _, st := range request.Statements {
		insert := strings.HasPrefix(st.Statement, "INSERT")
		mark := `"SessionId"=?`
		if insert {
			mark = `'SessionId':?`
		}
		before, _, _ := strings.Cut(st.Statement, mark)
		keys = append(keys, st.Parameters[strings.Count(before, "?")]["S"].(string))
		inserts = append(inserts, insert)
	}
	s.mu.Lock()
	n := len(s.calls)
	s.calls = append(s.calls, keys)
	s.mu.Unlock()

	var f fault
	if s.meet != nil {
		f = s.meet(n, keys)
	}
	var responses []any
	if !f.notLanded {
		for i, key := range keys {
			responses = append(responses, s.write(n, key, inserts[i]))
		}
	}
	switch {
	case f.left:
		<-r.Context().Done()
	case f.cut:
		panic(http.ErrAbortHandler)
	case f.status != 0:
		w.WriteHeader(f.status)
		fmt.Fprintf(w, `{"__type": "com.amazonaws.dynamodb.v20120810#%s", "message": "so it is"}`, f.code)
	case f.body != "":
		fmt.Fprint(w, f.body)
	default:
		json.NewEncoder(w).Encode(map[string]any{"Responses": responses})
	}
}

// write carries out one statement and returns the answer.
func (s *wire) write(n int, key string, insert bool) any {
	type object = map[string]any
	if s.refuse != nil {
		if code := s.refuse(n, key); code != "" {
			return object{"Error": object{"Code": code, "Message": "so it is"}}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	item := object{"SessionId": object{"S": key}}
	if s.landed[key] && insert {
		return object{"Error": object{"Code": "DuplicateItem", "Message": "so it is"}}
	}
	if s.landed[key] {
		item["Written"] = object{"BOOL": true}
		return object{"Error": object{"Code": "ConditionalCheckFailed", "Message": "so it is", "Item": item}}
	}
	s.landed[key] = true
	if insert {
		return object{"TableName": "Sessions"}
	}
	return object{"Item": item}
}

// table returns a table that calls the wire with the SDK's client and its three tries,
// but shorter pauses.
func (s *wire) table(t interface{ Cleanup(func()) }) *dynamo.Table {
	return dynamo.New(s.client(t), "Sessions").Hurried()
}

func (s *wire) client(t interface{ Cleanup(func()) }) *dynamodb.Client {
	s.landed = make(map[string]bool)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return impatient(server.URL)
}

// An ending client ends its caller's context after each answer.
type ending struct {
	dynamo.API
	cancel context.CancelFunc
}

func (e ending) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, more ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error) {
	defer e.cancel()
	return e.API.BatchExecuteStatement(ctx, in, more...)
}

func impatient(endpoint string) *dynamodb.Client {
	config := dynamodblocal.ConfigOf(endpoint, dynamodblocal.TestKey)
	config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 3
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
			o.RateLimiter = ratelimit.None
		})
	}
	return dynamodb.NewFromConfig(config)
}

// sent returns the keys of each call so far.
func (s *wire) sent() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *wire) hasLanded(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.landed[key]
}

// someWrites returns writes to n different records, s-0 and on.
func someWrites(n int) []session.Write {
	writes := make([]session.Write, n)
	for i := range writes {
		writes[i] = session.Write{
			SessionID: fmt.Sprintf("s-%d", i),
			If:        []session.Condition{{Attr: "Written", Op: session.Missing}},
			Set:       session.Record{"Written": true},
		}
	}
	return writes
}

// someNew returns writes that make n different records, s-0 and on.
func someNew(n int) []session.Write {
	writes := someWrites(n)
	for i := range writes {
		writes[i].New, writes[i].If = true, nil
	}
	return writes
}
