package system

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// The template's parameters reach the built functions: each setting has its effect. The
// functions' clock cannot be set, so times in the tables, on hosts and in EC2 are set
// back.
func TestBuiltFunctionsKeepTheTemplatesSettings(t *testing.T) {
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(),
		Parameters: map[string]string{
			"FleetTagValue": "studio", "MaxBatchSize": "5", "MaxSessionsPerHost": "4", "ForceMode": "best-effort", "EndSessionsOfStoppedHosts": "false",
			"StopEmptyHosts": "true", "GracePeriodSeconds": "540", "GraceMessage": "Save your work.",
			// All times differ.
			"GiveUpAfterMinutes": "20", "SilentAfterMinutes": "30", "StopEmptyAfterMinutes": "40", "CloseIdleAfterMinutes": "60",
		},
		// Its own tables: cleanup processes all records in them.
		DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "settings", Bootstraps: buildFunctions(t),
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1, "stop": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	for _, f := range sys.functions {
		f.Timeout *= 5 // see waitLimit
	}
	for n, setting := range []struct {
		name string
		kept func(built)
	}{
		{"MaxBatchSize", maxBatchIsKept},
		{"GiveUpAfterMinutes and ForceMode", giveUpIsKept},
		{"GracePeriodSeconds and GraceMessage", graceIsKept},
		{"SilentAfterMinutes", silenceIsKept},
		{"EndSessionsOfStoppedHosts", sessionsOfStoppedHostsAreKept},
		{"FleetTagValue", fleetTagIsKept},
		{"CloseIdleAfterMinutes", idleTimeIsKept},
		{"StopEmptyAfterMinutes", emptyTimeIsKept},
		{"MaxSessionsPerHost", maxSessionsAreKept}, // last: it sends an inventory now
	} {
		t.Run(setting.name, func(t *testing.T) {
			setting.kept(built{&controlled{t: t, system: sys, api: sys.Handler()}, n})
		})
	}
}

// built functions have separate hosts for each setting.
type built struct {
	*controlled
	setting int
}

func (c built) host(n int) string { return fmt.Sprintf("i-%08d%09d", c.setting, n) }

func (c built) start(sessionID string, host int) {
	c.t.Helper()
	c.put(c.host(host), sessionID, `{"Owner":"user1"}`)
}

func (c built) act(host int, action string) {
	c.t.Helper()
	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+c.host(host)+"/"+action, "")
}

func (c built) run(task string) {
	c.t.Helper()
	c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/"+task, "")
}

// delete requests deletions without a grace period, and returns the answer. A session
// ID may end with "/force".
func (c built) delete(query string, sessionIDs ...string) string {
	c.t.Helper()
	var entries []string
	for _, id := range sessionIDs {
		id, force := strings.CutSuffix(id, "/force")
		entries = append(entries, fmt.Sprintf(`{"SessionId":%q,"Owner":"user1","Force":%t,"GracePeriodSeconds":0}`, id, force))
	}
	return c.want(http.StatusOK, http.MethodPost, "/deleteSessions"+query, "["+strings.Join(entries, ",")+"]")
}

func (c built) record(id string) session.Record {
	c.t.Helper()
	r, err := c.system.store.get(c.t.Context(), id)
	if err != nil || r == nil {
		c.t.Fatal(id, r, err)
	}
	return r
}

// set changes times of a record, and removes those that are zero.
func (c built) set(id string, times map[string]time.Time) {
	c.t.Helper()
	r := c.record(id)
	for attr, at := range times {
		if r[attr] = session.FormatTime(at); at.IsZero() {
			delete(r, attr)
		}
	}
	if err := c.system.store.put(c.t.Context(), r); err != nil {
		c.t.Fatal(err)
	}
}

func (c built) await(id string, state session.State) {
	c.t.Helper()
	until(c.t, func() bool { return c.record(id).Session().State == state },
		func() string { return fmt.Sprintf("%s is not %s: %v", id, state, c.record(id)) })
}

// answered records that the host answered an inventory that long ago, with that many sessions.
func (c built) answered(host int, ago time.Duration, sessions int) {
	c.t.Helper()
	at := time.Now().Add(-ago)
	answer := session.HostAnswer{
		HostID: c.host(host), InventoryID: "inv", SentAt: at, At: at, Platform: "linux", Sessions: sessions, Complete: true,
	}
	if fresh, _, err := c.system.store.tables("test").hosts.RecordAnswer(c.t.Context(), answer); err != nil || !fresh {
		c.t.Fatal(fresh, err)
	}
}

// lastSeen records that the host's only session was in its last answer, and that two
// inventories have been sent since.
func (c built) lastSeen(id string, host int, ago time.Duration) {
	c.t.Helper()
	at := time.Now().Add(-ago)
	c.set(id, map[string]time.Time{session.AttrObservedAt: at, session.AttrFirstSeenAt: at})
	c.answered(host, ago, 1)
	for _, ago := range []time.Duration{20 * time.Minute, 10 * time.Minute} {
		if err := c.system.store.tables("test").hosts.RecordInventorySent(c.t.Context(), time.Now().Add(-ago)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func maxBatchIsKept(c built) {
	entry := `{"SessionId":"none","Owner":"user1"}`
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", "["+strings.Repeat(entry+",", 4)+entry+"]")
	c.wantRefused(http.StatusBadRequest, http.MethodPost, "/deleteSessions", "["+strings.Repeat(entry+",", 5)+entry+"]")
}

func giveUpIsKept(c built) {
	ago := map[string]time.Duration{
		"tried": 15 * time.Minute, "given-up": 25 * time.Minute,
		// Marked by a function older than TryUntil: cleanup's setting decides.
		"tried-old": 15 * time.Minute, "given-up-old": 25 * time.Minute,
	}
	ids := slices.Sorted(maps.Keys(ago))
	for n, id := range append(ids, "forced") {
		c.start(id, n)
		c.act(n, "silence")
	}
	c.delete("", append(ids, "forced/force")...)
	now := time.Now()
	for id, ago := range ago {
		marked := c.record(id).Session()
		times := map[string]time.Time{
			session.AttrDeletionRequestedAt: marked.DeletionRequestedAt.Add(-ago),
			session.AttrTryUntil:            marked.TryUntil.Add(-ago),
			session.AttrNextAttemptAt:       now.Add(-time.Minute),
		}
		if strings.HasSuffix(id, "-old") {
			times[session.AttrTryUntil] = time.Time{}
		}
		c.set(id, times)
	}
	c.run("deletions")
	for _, id := range ids {
		s := c.record(id).Session()
		tried := s.State == session.Deleting && s.Attempts == 2
		givenUp := s.State == session.Unknown && strings.Contains(s.StateReason, "within 20m0s")
		if strings.HasPrefix(id, "tried") != tried || strings.HasPrefix(id, "given-up") != givenUp {
			c.t.Errorf("%s, after %s: %+v", id, ago[id], s)
		}
	}
	if s := c.record("forced").Session(); s.CloseUntil.Sub(s.DeletionRequestedAt) != 20*time.Minute {
		c.t.Errorf("by force: %+v", s)
	}
}

func maxSessionsAreKept(c built) {
	for n := range 5 {
		c.put(c.host(1), fmt.Sprint("listed", n), `{"Owner":"user1","Registered":false}`)
	}
	c.run("inventory")
	deadline := time.Now().Add(waitLimit)
	listed := func(n int) bool {
		r, err := c.system.store.get(c.t.Context(), fmt.Sprint("listed", n))
		if err != nil {
			c.t.Fatal(err)
		}
		return r != nil
	}
	for !listed(3) && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if !listed(3) || listed(4) {
		c.t.Errorf("of five sessions four are listed: %t, and the fifth: %t", listed(3), listed(4))
	}
}

func graceIsKept(c built) {
	c.start("waiting", 1)
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId":"waiting","Owner":"user1"}]`)
	s := c.record("waiting").Session()
	if period := s.CloseAt.Sub(s.DeletionRequestedAt); period != 9*time.Minute || s.Message != "Save your work." {
		c.t.Errorf("closed after %v, with %q", period, s.Message)
	}
}

func silenceIsKept(c built) {
	for n, id := range []string{"quiet", "silent"} {
		c.start(id, n)
		c.act(n, "silence")
		c.lastSeen(id, n, time.Duration(25+10*n)*time.Minute)
	}
	c.run("inventory")
	for id, want := range map[string]session.State{"quiet": session.Ready, "silent": session.Unknown} {
		if s := c.record(id).Session(); s.State != want {
			c.t.Errorf("%s host: %+v", id, s)
		}
	}
}

func sessionsOfStoppedHostsAreKept(c built) {
	c.start("kept", 1)
	c.start("open", 1)
	c.act(1, "silence")
	c.delete("", "open")
	// A deletion of the very millisecond in which EC2 is asked is left to its lease.
	c.set("open", map[string]time.Time{session.AttrDeletionRequestedAt: time.Now().Add(-time.Second)})
	c.act(1, "stop")
	c.await("open", session.Deleted) // host-events ends it in one write
	if s := c.record("kept").Session(); s.State != session.Ready {
		c.t.Errorf("host-events has ended it: %+v", s)
	}
	c.lastSeen("kept", 1, time.Hour)
	c.run("inventory")
	if s := c.record("kept").Session(); s.State != session.Unknown || s.Confirmation != "" {
		c.t.Errorf("cleanup has ended it: %+v", s)
	}
}

// The tag's value shows which hosts are at fault for a refused command: with another
// value all would be.
func fleetTagIsKept(c built) {
	for host, ids := range map[int][]string{1: {"tagged", "tagged-again"}, 2: {"untagged", "untagged-again"}} {
		for _, id := range ids {
			c.start(id, host)
		}
		c.act(host, "silence")
	}
	page := c.want(http.StatusOK, http.MethodPost, "/describeSessions", `{"SessionIds":["tagged"]}`)
	if !strings.Contains(page, `"Tags":[{"Key":"DcvFleet","Value":"studio"}]`) {
		c.t.Errorf("described: %s", page)
	}

	again := []string{"tagged-again", "untagged-again"}
	c.delete("", again...)
	c.act(2, "untag")
	for _, query := range []string{"?dryRun=true", ""} {
		answer := c.delete(query, "tagged", "untagged")
		if !strings.Contains(answer, `"SuccessfulList":[{"SessionId":"tagged"`) || !strings.Contains(answer, `"UnsuccessfulList":[{"SessionId":"untagged"`) {
			c.t.Errorf("delete%s: %s", query, answer)
		}
	}

	for _, id := range again {
		c.set(id, map[string]time.Time{session.AttrNextAttemptAt: time.Now().Add(-time.Minute)})
	}
	c.run("deletions")
	for i, id := range again {
		s := c.record(id).Session()
		if refused := strings.Contains(s.StateReason, "DcvFleet"); s.Attempts != 2 || refused != (i == 1) {
			c.t.Errorf("%s: %+v", id, s)
		}
	}
}

// The host decides, and reports it to host-events.
func idleTimeIsKept(c built) {
	for id, ago := range map[string]time.Duration{"in-use": 45 * time.Minute, "idle": 75 * time.Minute} {
		created := time.Now().Add(-ago).UTC().Format(time.RFC3339)
		c.put(c.host(1), id, fmt.Sprintf(`{"Owner":"user1","CreationTime":%q}`, created))
	}
	c.run("idle")
	c.await("idle", session.Deleted)
	if got := c.hosts()[c.host(1)]; got != "running in-use" {
		c.t.Errorf("the host: %s", got)
	}
}

func emptyTimeIsKept(c built) {
	const lately, long = 1, 2
	c.system.Advance(-2 * time.Hour) // so that the hosts start then
	for n := lately; n <= long; n++ {
		c.put(c.host(n), "ended", `{"Owner":"user1","Registered":false}`)
		c.want(http.StatusNoContent, http.MethodDelete, "/local/hosts/"+c.host(n)+"/sessions/ended", "")
		c.act(n, "stop-when-empty")
	}
	c.system.Advance(2 * time.Hour)
	for n, ago := range map[int]time.Duration{lately: 35 * time.Minute, long: 45 * time.Minute} {
		c.answered(n, time.Hour, 1)
		c.answered(n, ago, 0)
		c.answered(n, 0, 0)
	}
	c.run("stop")
	hosts := c.hosts()
	if got := hosts[c.host(lately)]; got != "running" {
		c.t.Errorf("after 35 minutes: %s", got)
	}
	if got := hosts[c.host(long)]; got != "stopped" {
		c.t.Errorf("after 45 minutes: %s", got)
	}
}
