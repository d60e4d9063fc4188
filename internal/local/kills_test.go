package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

// Promises 1, 2, 3 and 10: the system is killed repeatedly at any moment, while clients
// delete sessions and start others under the same IDs, and is started again on the same
// table and hosts. It ends every accepted deletion once, and lists none of those
// sessions again. A killed process loses its events and commands; the clock of each
// next process is further ahead, so that the leases of those end.
//
// A session that is READY again after a kill is always another incarnation: its owner
// started it while the deletion of the previous one waited for its lease (an inventory
// lists it after that has ended), or by a request whose answer the kill lost.
func TestKilledAgainAndAgainUnderLoad(t *testing.T) {
	kills := 2
	if os.Getenv("REQUIRE_ALL") == "1" {
		kills = 6
	}
	const apart = 5 * time.Minute // six of these are less than the give-up time
	endpoint := dynamodblocal.ForTest(t)
	env := []string{
		"STORE=dynamodb", "AWS_ENDPOINT_URL_DYNAMODB=" + endpoint, "STATE_DIR=" + t.TempDir(),
		"DELETIONS_EVERY=500ms", "INVENTORY_EVERY=500ms", "LOG_LEVEL=error",
	}
	table := dynamodblocal.Store{Client: dynamodb.NewFromConfig(dynamodblocal.Config(endpoint)), TableName: "SessionsTable"}
	t.Cleanup(func() {
		for _, name := range []string{"SessionsTable", "HostsTable"} {
			table.Client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(name)})
		}
	})
	var (
		answered atomic.Int64
		again    tally
	)
	clients := newClients(table, &answered)
	for n := range kills {
		api, kill := startLocal(t, time.Duration(n)*apart, env...)
		ctx, stop := context.WithCancel(t.Context())
		var working sync.WaitGroup
		for _, c := range clients {
			working.Go(func() { c.work(ctx, api) })
		}
		enough := answered.Load() + 1 + rand.Int64N(20)
		for deadline := time.Now().Add(5 * time.Minute); answered.Load() < enough && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(rand.N(500 * time.Millisecond))
		kill()
		stop()
		working.Wait()
		wantKept(t, table, clients, &again)
	}

	// No client sends requests any more. Backoff is ten minutes and a quarter. A run does not wait for the one before it: on
	// a busy machine, where each takes longer than half a second, their number would grow.
	api, kill := startLocal(t, time.Duration(kills-1)*apart+13*time.Minute, append(env, "DELETIONS_EVERY=2s", "INVENTORY_EVERY=10s")...)
	defer kill()
	wantNoneOpen(t, table)
	wantNoneRuns(t, api, clients)
	kill()
	ended := wantEndedOnce(t, endpoint, table, clients)
	t.Logf("%d kills, %d deletions accepted, %d ended; READY after a kill: %d of the next incarnation, %d of them started by a request without an answer",
		kills, answered.Load(), ended, again.next, again.unanswered)
	if answered.Load() < int64(kills) {
		t.Error("too few to mean anything")
	}
}

// A tally counts sessions that were READY after a kill although a deletion of their ID
// was accepted before.
type tally struct{ next, unanswered int }

// wantKept checks the table right after a kill.
func wantKept(t *testing.T, table dynamodblocal.Store, clients []*client, again *tally) {
	t.Helper()
	for _, c := range clients {
		for _, mine := range c.sessions {
			r, err := table.Get(t.Context(), mine.id)
			if err != nil {
				t.Fatal(err)
			}
			s := r.Session()
			open := s.State == session.Deleting && !s.NextAttemptAt.IsZero() && s.DueShard != "" && s.AttemptID != ""
			switch accepted := c.accepted[incarnation{s.ID, s.CreationTime}]; {
			case accepted && !open && s.State != session.Deleted:
				t.Errorf("its deletion was accepted: %v", r)
			case !accepted && mine.everAccepted && s.State == session.Ready:
				again.next++
				if s.CreationTime != mine.created {
					again.unanswered++
				}
			}
		}
	}
}

func wantNoneOpen(t *testing.T, table dynamodblocal.Store) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		records, err := table.All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var open []session.Record
		for _, r := range records {
			if r.Session().State == session.Deleting {
				open = append(open, r)
			}
		}
		if len(open) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d deletions did not end: %v", len(open), open)
		}
	}
}

// wantNoneRuns checks that the hosts have closed the deleted sessions.
func wantNoneRuns(t *testing.T, api string, clients []*client) {
	t.Helper()
	answer, err := request(t.Context(), http.MethodGet, api+"/local/hosts", "")
	if err != nil {
		t.Fatal(err)
	}
	var hosts []fleet.Host
	if err := json.Unmarshal([]byte(answer), &hosts); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		for _, s := range h.Sessions {
			for _, c := range clients {
				if c.accepted[incarnation{s.ID, s.CreationTime}] {
					t.Errorf("%s still runs %v", h.HostID, s)
				}
			}
		}
	}
}
