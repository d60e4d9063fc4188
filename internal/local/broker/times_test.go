package broker

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// How long a deletion is tried, and how long a host may be silent, is what the
// template says to the functions as they are built. Their clock cannot be set
// on: what they find in the tables is set back.
func TestBuiltFunctionsKeepTheTemplatesTimes(t *testing.T) {
	b, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(),
		Parameters: map[string]string{"GiveUpAfterMinutes": "20", "SilentAfterMinutes": "30", "ForceMode": "best-effort"},
		DynamoDB:   dynamodblocal.ForTest(t), Bootstraps: buildFunctions(t),
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1, "stop": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	c := &controlled{t: t, broker: b, api: b.Handler()}
	record := func(id string) session.Record {
		t.Helper()
		r, err := b.store.get(t.Context(), id)
		if err != nil || r == nil {
			t.Fatal(id, r, err)
		}
		return r
	}
	set := func(id string, times map[string]time.Time) {
		t.Helper()
		r := record(id)
		for attr, at := range times {
			r[attr] = session.FormatTime(at)
		}
		if err := b.store.put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	host := func(n int) string { return fmt.Sprintf("i-%017d", n) }
	for n := 1; n <= 5; n++ {
		c.put(host(n), fmt.Sprintf("s%d", n), `{"Owner":"user1"}`)
		c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host(n)+"/silence", "")
	}
	now := time.Now()

	// s1 was deleted 15 minutes ago, s2 25, and s3 just now, by force.
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions",
		`[{"SessionId":"s1","Owner":"user1"},{"SessionId":"s2","Owner":"user1"},{"SessionId":"s3","Owner":"user1","Force":true}]`)
	for id, ago := range map[string]time.Duration{"s1": 15 * time.Minute, "s2": 25 * time.Minute} {
		set(id, map[string]time.Time{session.AttrDeletionRequestedAt: now.Add(-ago), session.AttrNextAttemptAt: now.Add(-time.Minute)})
	}
	c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/deletions", "")
	if s := record("s1").Session(); s.State != session.Deleting || s.Attempts != 2 {
		t.Errorf("after 15 minutes: %+v", s)
	}
	if s := record("s2").Session(); s.State != session.Unknown || !strings.Contains(s.StateReason, "within 20m0s") {
		t.Errorf("after 25 minutes: %+v", s)
	}
	if s := record("s3").Session(); s.CloseUntil.Sub(s.DeletionRequestedAt) != 20*time.Minute {
		t.Errorf("by force: %+v", s)
	}

	// s4's host answered 25 minutes ago, s5's 35; two inventories were sent since.
	hosts := b.store.tables("test").hosts
	for n, ago := range map[int]time.Duration{4: 25 * time.Minute, 5: 35 * time.Minute} {
		at := now.Add(-ago)
		set(fmt.Sprintf("s%d", n), map[string]time.Time{session.AttrObservedAt: at, session.AttrFirstSeenAt: at})
		answer := session.HostAnswer{HostID: host(n), InventoryID: "inv", SentAt: at, At: at, Platform: "linux", Sessions: 1, Complete: true}
		if fresh, err := hosts.Answered(t.Context(), answer); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
	}
	for _, ago := range []time.Duration{20 * time.Minute, 10 * time.Minute} {
		if err := hosts.Sent(t.Context(), now.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/inventory", "")
	for id, want := range map[string]session.State{"s4": session.Ready, "s5": session.Unknown} {
		if s := record(id).Session(); s.State != want {
			t.Errorf("%s of a silent host: %+v", id, s)
		}
	}
}
