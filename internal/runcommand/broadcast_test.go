package runcommand_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

var sentAt = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

// oneCommand is Systems Manager as it takes, or refuses, one command.
type oneCommand struct {
	runcommand.BroadcasterAPI
	sent []*ssm.SendCommandInput
	err  error
}

func (o *oneCommand) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	o.sent = append(o.sent, in)
	return &ssm.SendCommandOutput{}, o.err
}

func (o *oneCommand) broadcaster() *runcommand.Broadcaster {
	return &runcommand.Broadcaster{API: o, InventoryDocument: "Inventory", IdleDocument: "Idle", FleetTag: "test"}
}

func TestOneCommandAsksTheWholeFleet(t *testing.T) {
	api := &oneCommand{}
	if err := api.broadcaster().Inventory(t.Context(), attemptID, sentAt); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []session.IdleLimit{
		{After: 90 * time.Minute, Message: "unused"},
		{After: 90 * time.Minute, GracePeriod: 15 * time.Minute, Message: "Save your work: é"},
		{After: time.Minute, GracePeriod: time.Minute},
	} {
		if err := api.broadcaster().CloseIdle(t.Context(), attemptID, sentAt, limit); err != nil {
			t.Fatal(err)
		}
	}
	want := func(document, comment string, parameters map[string][]string) *ssm.SendCommandInput {
		return &ssm.SendCommandInput{
			DocumentName: aws.String(document), Comment: aws.String(comment), Parameters: parameters,
			Targets:        []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"test"}}},
			TimeoutSeconds: aws.Int32(60), MaxErrors: aws.String("100%"), MaxConcurrency: aws.String("100%"),
		}
	}
	if diff := cmp.Diff([]*ssm.SendCommandInput{
		want("Inventory", "inventory "+attemptID+" 2026-11-23T19:01:02.123Z", nil),
		want("Idle", "idle "+attemptID+" 2026-11-23T19:01:02.123Z", map[string][]string{"idleMinutes": {"90"}}),
		want("Idle", "idle "+attemptID+" 2026-11-23T19:01:02.123Z", map[string][]string{
			"idleMinutes": {"90"}, "warnSeconds": {"900"}, "message": {"U2F2ZSB5b3VyIHdvcms6IMOp"},
		}),
		want("Idle", "idle "+attemptID+" 2026-11-23T19:01:02.123Z", map[string][]string{"idleMinutes": {"1"}, "warnSeconds": {"30"}}),
	}, api.sent, cmpopts.IgnoreUnexported(ssm.SendCommandInput{}, types.Target{})); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestFleetWithoutHostsIsNotAFailure(t *testing.T) {
	busy := errors.New("throttled")
	for err, want := range map[error]error{nil: nil, &types.InvalidInstanceId{}: nil, busy: busy} {
		if got := (&oneCommand{err: err}).broadcaster().Inventory(t.Context(), attemptID, sentAt); !errors.Is(got, want) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// The inventory document of template.yaml between the two ends: what runs is
// what is read, of any name; and the same broadcast is read for each host.
func TestHostsSayWhatRunsOnThem(t *testing.T) {
	hostile := []string{"s1", "a b", `"; reboot; "`, `$(id)`, "é€𝄞", `back\slash`, "tab\there", "{{ ssm:secret }}"}
	sm := systemsManagerWith(t, fleet.Options{Documents: realDocument(t)}, 0)
	for _, id := range hostile {
		sm.start(hostID(0), fleet.Session{ID: id, Owner: "alice", CreationTime: "2026-05-13T13:21:19.262883Z"})
	}
	sm.start(hostID(1), fleet.Session{ID: "other", Owner: "bob"})
	b := runcommand.Broadcaster{API: sm, InventoryDocument: "InventoryDocument", IdleDocument: "IdleDocument", FleetTag: "test"}
	if err := b.Inventory(t.Context(), attemptID, sentAt); err != nil {
		t.Fatal(err)
	}
	for host, inv := range sm.read(sm.await(2)[0].commandID, 2) {
		if inv.Inventory == nil || !inv.Answered || inv.Failed != "" || inv.Unreadable > 0 {
			t.Fatalf("%+v", inv)
		}
		got := *inv.Inventory
		if !got.Complete || got.ID != attemptID || got.HostID != host || !got.SentAt.Equal(sentAt) || got.Platform != "linux" {
			t.Errorf("%+v", got)
		}
		var names []string
		for _, s := range got.Sessions {
			names = append(names, s.NameOnHost)
			if want := map[string]string{hostID(0): "alice", hostID(1): "bob"}[host]; s.Owner != want {
				t.Errorf("%s of %s is %s's", s.NameOnHost, host, s.Owner)
			}
		}
		want := []string{"other"}
		if host == hostID(0) {
			want = slices.Sorted(slices.Values(hostile))
		}
		if slices.Sort(names); !slices.Equal(names, want) {
			t.Errorf("%s runs %q, want %q", host, names, want)
		}
	}
}

// Of a host that answered nothing there is no inventory, only how it ended.
func TestNoAnswerIsNotAnInventory(t *testing.T) {
	for script, failed := range map[string]string{
		"exit 0\n":          "",
		"echo garbage\n":    "",
		"echo '{garbage'\n": "",
		`echo '{"failed":"dcv took too long"}'` + "\n": "dcv took too long",
	} {
		for _, comment := range []string{"inventory", "idle"} {
			sm := newSystemsManager(t, script, 1)
			inv := sm.read(sm.send(comment+" "+attemptID+" "+session.FormatTime(sentAt), 1), 1)[hostID(0)]
			if inv.Answered || inv.Inventory != nil || inv.Failed != failed || inv.Status != "Success" || inv.AttemptID != "" || inv.Reports != nil {
				t.Errorf("%s of %q: %+v", comment, script, inv)
			}
		}
	}
}
