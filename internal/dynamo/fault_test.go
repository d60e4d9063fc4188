package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

func TestWholeCallFails(t *testing.T) {
	for name, test := range map[string]struct {
		tries []fault // the last one is for all further tries
		want  error
		calls int
	}{
		"lost connection, nothing written":  {[]fault{cutBefore}, unclear, 3},
		"lost connection, all written":      {[]fault{cutAfter, cutAfter, cutAfter}, unclear, 3},
		"lost connection once":              {[]fault{cutBefore, {}}, nil, 2},
		"lost connection once, all written": {[]fault{cutAfter, {}}, condition, 2},
		"server error, nothing written":     {[]fault{errorBefore}, unclear, 3},
		"server error, all written":         {[]fault{errorAfter}, unclear, 3},
		"unavailable":                       {[]fault{unavailable}, unclear, 3},
		"throttled":                         {[]fault{throttled}, notWritten, 3},
		"over the limit":                    {[]fault{overLimit}, notWritten, 3},
		"throttled once":                    {[]fault{throttled, {}}, nil, 2},
		// The SDK reports the last try only.
		"lost connection, all written, then throttled": {[]fault{cutAfter, throttled}, unclear, 3},
		"server error, all written, then denied":       {[]fault{errorAfter, denied}, unclear, 2},
		"throttled, then lost connection":              {[]fault{throttled, cutAfter}, unclear, 3},
		"denied":                                       {[]fault{denied}, notWritten, 1},
		"no such table":                                {[]fault{noTable}, notWritten, 1},
		"unreadable answer":                            {[]fault{garbage}, unclear, 1},
		"an answer too few":                            {[]fault{oneTooFew}, unclear, 1},
		"no answers":                                   {[]fault{noList}, unclear, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := &wire{meet: func(n int, _ []string) fault { return test.tries[min(n, len(test.tries)-1)] }}
			wantAll(t, s.table(t).Write(t.Context(), someWrites(3)), test.want)
			if len(s.sent()) != test.calls {
				t.Errorf("%d calls, want %d", len(s.sent()), test.calls)
			}
		})
	}
}

func TestOneBatchFailsAlone(t *testing.T) {
	s := &wire{meet: func(_ int, keys []string) fault {
		if slices.Contains(keys, "s-30") {
			return errorBefore
		}
		return fault{}
	}}
	for i, r := range s.table(t).Write(t.Context(), someWrites(75)) {
		if i/25 == 1 {
			wantErr(t, i, r, unclear)
		} else {
			wantErr(t, i, r, nil)
		}
	}
}

// DynamoDB refuses the whole call for a statement that it cannot parse.
func TestBadStatementFailsAlone(t *testing.T) {
	for name, f := range map[string]fault{"invalid": invalid, "too large": tooLarge} {
		for _, bad := range [][]string{{"s-7"}, {"s-0"}, {"s-24"}, {"s-3", "s-20"}} {
			t.Run(name+" "+strings.Join(bad, " "), func(t *testing.T) {
				s := &wire{meet: func(_ int, keys []string) fault {
					for _, key := range bad {
						if slices.Contains(keys, key) {
							return f
						}
					}
					return fault{}
				}}
				for i, r := range s.table(t).Write(t.Context(), someWrites(25)) {
					if slices.Contains(bad, fmt.Sprintf("s-%d", i)) {
						wantErr(t, i, r, notWritten)
					} else {
						wantErr(t, i, r, nil)
					}
				}
				// Two halves for each of the five times that 25 can be halved.
				if most := 1 + 10*len(bad); len(s.sent()) > most {
					t.Errorf("%d calls, want %d at most", len(s.sent()), most)
				}
			})
		}
	}
}

func TestOneStatementFails(t *testing.T) {
	for code, test := range map[string]struct {
		want  error
		calls int
	}{
		"AccessDenied":                    {notWritten, 1},
		"DuplicateItem":                   {notWritten, 1},
		"ItemCollectionSizeLimitExceeded": {notWritten, 1},
		"ResourceNotFound":                {notWritten, 1},
		"ValidationError":                 {notWritten, 1},
		"ProvisionedThroughputExceeded":   {notWritten, 4},
		"RequestLimitExceeded":            {notWritten, 4},
		"ThrottlingError":                 {notWritten, 4},
		"TransactionConflict":             {notWritten, 4},
		"InternalServerError":             {unclear, 1},
		"SomethingNew":                    {unclear, 1},
	} {
		t.Run(code, func(t *testing.T) {
			s := &wire{refuse: func(_ int, key string) string {
				if key == "s-2" {
					return code
				}
				return ""
			}}
			for i, r := range s.table(t).Write(t.Context(), someWrites(5)) {
				if i == 2 {
					wantErr(t, i, r, test.want)
					if !strings.Contains(r.Err.Error(), code+": so it is") {
						t.Errorf("the error does not tell why: %v", r.Err)
					}
				} else {
					wantErr(t, i, r, nil)
				}
			}
			if len(s.sent()) != test.calls {
				t.Errorf("calls %v, want %d", s.sent(), test.calls)
			}
			for _, keys := range s.sent()[1:] {
				if diff := cmp.Diff([]string{"s-2"}, keys); diff != "" {
					t.Errorf("tried again (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestBusyStatementIsTriedAgain(t *testing.T) {
	s := &wire{refuse: func(n int, key string) string {
		if n == 0 && key != "s-1" {
			return "TransactionConflict"
		}
		return ""
	}}
	wantAll(t, s.table(t).Write(t.Context(), someWrites(3)), nil)
	if diff := cmp.Diff([][]string{{"s-0", "s-1", "s-2"}, {"s-0", "s-2"}}, s.sent()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestBusyStatementsOfBothHalvesAreTriedAgain(t *testing.T) {
	refused := map[string]bool{}
	s := &wire{
		meet: func(_ int, keys []string) fault {
			if slices.Contains(keys, "s-4") {
				return invalid
			}
			return fault{}
		},
	}
	var mu sync.Mutex
	s.refuse = func(_ int, key string) string {
		mu.Lock()
		defer mu.Unlock()
		if !refused[key] {
			refused[key] = true
			return "ThrottlingError"
		}
		return ""
	}
	for i, r := range s.table(t).Write(t.Context(), someWrites(10)) {
		if i == 4 {
			wantErr(t, i, r, notWritten)
		} else {
			wantErr(t, i, r, nil)
		}
	}
}

// hidesTries is a client that does not pass options on.
type hidesTries struct{ client *dynamodb.Client }

func (h hidesTries) BatchExecuteStatement(
	ctx context.Context, in *dynamodb.BatchExecuteStatementInput, _ ...func(*dynamodb.Options),
) (*dynamodb.BatchExecuteStatementOutput, error) {
	return h.client.BatchExecuteStatement(ctx, in)
}

func TestUnclearThoughTheTriesAreHidden(t *testing.T) {
	for name, f := range map[string]fault{"lost connection": cutAfter, "server error": errorAfter, "unreadable answer": garbage} {
		t.Run(name, func(t *testing.T) {
			s := &wire{meet: func(int, []string) fault { return f }, landed: map[string]bool{}}
			server := httptest.NewServer(s)
			defer server.Close()
			table := dynamo.New(hidesTries{impatient(server.URL)}, "Sessions")
			wantAll(t, table.Write(t.Context(), someWrites(3)), unclear)
		})
	}
}

// A try without an answer may be carried out after the next one, which had an answer.
func TestWriteOfATryWithoutAnAnswerMayLand(t *testing.T) {
	for name, tc := range map[string]struct {
		first   fault
		mayLand bool
	}{
		"lost": {cutBefore, true}, "its answer lost": {cutAfter, true}, "server error": {errorBefore, true},
		"throttled": {throttled, false}, "none": {fault{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &wire{meet: func(n int, _ []string) fault {
				if n == 0 {
					return tc.first
				}
				return fault{}
			}, landed: map[string]bool{}}
			for _, r := range s.table(t).Write(t.Context(), someWrites(3)) {
				if errors.Is(r.Err, unclear) || errors.Is(r.Err, notWritten) || r.MayLand != tc.mayLand {
					t.Errorf("%v, may land: %t", r.Err, r.MayLand)
				}
			}
		})
	}
}

func TestSuccessWithoutOldRecordIsUnclear(t *testing.T) {
	s := &wire{meet: func(int, []string) fault { return fault{body: `{"Responses": [{"TableName": "Sessions"}]}`} }}
	wantAll(t, s.table(t).Write(t.Context(), someWrites(1)), unclear)
}

func TestNewRecord(t *testing.T) {
	old := session.Record{session.AttrSessionID: "s-0", "Written": true}
	for name, test := range map[string]struct {
		calls []fault
		want  error
		old   session.Record
	}{
		"made":                              {nil, nil, nil},
		"lost connection, nothing written":  {[]fault{cutBefore}, nil, nil},
		"made, but the answer lost":         {[]fault{cutAfter}, condition, old},
		"and then no look at it":            {[]fault{cutAfter, {}, throttled, throttled, throttled}, unclear, nil},
		"throttled":                         {[]fault{throttled, throttled, throttled}, notWritten, nil},
		"server error, perhaps in mid-work": {[]fault{errorAfter, errorBefore, errorBefore}, unclear, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &wire{meet: func(n int, _ []string) fault {
				if n < len(test.calls) {
					return test.calls[n]
				}
				return fault{}
			}}
			got := s.table(t).Write(t.Context(), someNew(1))[0]
			if !errors.Is(got.Err, test.want) {
				t.Errorf("%v, want %v", got.Err, test.want)
			}
			if diff := cmp.Diff(test.old, got.Old); diff != "" {
				t.Errorf("old record (-want +got):\n%s", diff)
			}
		})
	}
}

// TestResultsOfWritesAreTrueForAllFaults: for all faults of calls, a success was written, an
// ErrNotWritten was not.
func TestResultsOfWritesAreTrueForAllFaults(t *testing.T) {
	faults := []fault{
		{}, {}, cutBefore, cutAfter, errorBefore, errorAfter, throttled, invalid, denied, garbage, noList,
	}
	codes := []string{"", "", "", "", "TransactionConflict", "ValidationError", "InternalServerError"}
	rapid.Check(t, func(rt *rapid.T) {
		// Drawn before the calls, which are concurrent.
		plan := rapid.SliceOfN(rapid.SampledFrom(faults), 1, 12).Draw(rt, "calls")
		refusals := rapid.SliceOfN(rapid.SampledFrom(codes), 1, 12).Draw(rt, "statements")
		s := &wire{
			meet:   func(n int, _ []string) fault { return plan[n%len(plan)] },
			refuse: func(n int, key string) string { return refusals[(n+len(key)*7)%len(refusals)] },
		}
		writes := someWrites(rapid.IntRange(1, 60).Draw(rt, "writes"))
		if rapid.Bool().Draw(rt, "new") {
			writes = someNew(len(writes))
		}
		for i, r := range s.table(rt).Write(t.Context(), writes) {
			landed := s.hasLanded(fmt.Sprintf("s-%d", i))
			switch {
			case r.Err == nil && !landed:
				rt.Errorf("s-%d: a success that was not written", i)
			case errors.Is(r.Err, notWritten) && landed:
				rt.Errorf("s-%d: written all the same: %v", i, r.Err)
			case errors.Is(r.Err, condition) && r.Old["Written"] != true:
				rt.Errorf("s-%d: the old record %v meets the condition", i, r.Old)
			}
		}
	})
}
