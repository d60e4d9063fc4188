package runcommand_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// listed is Systems Manager that lists commands.
type listed struct {
	runcommand.BroadcasterAPI
	commands []types.Command
	pages    int // 0: one
	asked    []*ssm.ListCommandsInput
	err      error
}

func (l *listed) ListCommands(_ context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	l.asked = append(l.asked, in)
	out := &ssm.ListCommandsOutput{Commands: l.commands}
	if len(l.asked) < l.pages {
		out.NextToken = aws.String(fmt.Sprint(len(l.asked)))
	}
	return out, l.err
}

func (l *listed) undelivered(t *testing.T) (map[time.Time]string, error) {
	b := runcommand.Broadcaster{API: l, InventoryDocument: "Inventory"}
	return b.Undelivered(t.Context(), sentAt)
}

// The names of the ends are spelled with spaces in one place of the API reference,
// and without in another; with NoInstancesInTag the status is Success.
func TestInventoriesThatNoHostHad(t *testing.T) {
	minutes := func(n int) time.Time { return sentAt.Add(time.Duration(n) * time.Minute) }
	inventory := func(n int, status types.CommandStatus, details string) types.Command {
		return types.Command{
			Comment: aws.String("inventory " + attemptID + " " + session.FormatTime(minutes(n))),
			Status:  status, StatusDetails: aws.String(details),
		}
	}
	other := inventory(60, "Cancelled", "Rate Exceeded")
	other.Comment = aws.String("somebody's own")
	l := &listed{commands: []types.Command{
		inventory(0, "Success", "Success"), inventory(1, "Failed", "Failed"), inventory(2, "TimedOut", "Delivery Timed Out"),
		inventory(3, "InProgress", "In Progress"), inventory(4, "Failed", "Incomplete"),
		inventory(10, "Cancelled", "Rate Exceeded"), inventory(11, "Cancelled", "RateExceeded"), inventory(12, "Success", "NoInstancesInTag"),
		inventory(13, "Failed", "LimitExceeded"), inventory(14, "Cancelled", "Cancelled"), inventory(15, "Pending", "Pending"),
		inventory(16, "Cancelling", "Cancelling"), inventory(17, "Failed", "AccessDenied"), inventory(18, "Failed", "Access Denied"),
		inventory(20, "Success", "Success"), inventory(20, "Pending", "Pending"), inventory(20, "Cancelled", "LimitExceeded"), inventory(20, "Success", "Success"), // in parts
		other, {},
	}}
	got, err := l.undelivered(t)
	want := map[time.Time]string{
		minutes(10): "RateExceeded", minutes(11): "RateExceeded", minutes(12): "NoInstancesInTag", minutes(13): "LimitExceeded",
		minutes(14): "Cancelled", minutes(15): "",
		minutes(16): "Cancelling", minutes(17): "AccessDenied", minutes(18): "AccessDenied", minutes(20): "LimitExceeded",
	}
	if !maps.Equal(got, want) || err != nil {
		t.Errorf("%v, want %v, %v", got, want, err)
	}
	filters := l.asked[0].Filters
	if len(l.asked) != 1 || *filters[0].Value != "Inventory" || *filters[1].Value != "2026-11-23T19:00:02Z" {
		t.Errorf("asked %d times, %v", len(l.asked), filters)
	}
}

func TestWhatCannotBeListedIsAnError(t *testing.T) {
	l := &listed{err: errors.New("throttled")}
	if got, err := l.undelivered(t); !errors.Is(err, l.err) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	l = &listed{pages: 1000}
	if got, err := l.undelivered(t); err == nil || got != nil || len(l.asked) != 10 {
		t.Errorf("%v, %v, %d pages", got, err, len(l.asked))
	}
}

// someRefused is Systems Manager that lists hosts, and refuses commands for some.
type someRefused struct {
	runcommand.BroadcasterAPI
	hosts, lost int // the last of them are not connected
	refused     func(hostID string) bool
	err         error
	listing     error
	had         []string
	calls       int
}

func (s *someRefused) DescribeInstanceInformation(_ context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	if f := in.Filters[0]; *f.Key != "tag:DcvFleet" || !slices.Equal(f.Values, []string{"default"}) || *in.MaxResults != 50 {
		return nil, &smithy.GenericAPIError{Code: "ValidationException"}
	}
	start := 0
	if in.NextToken != nil {
		fmt.Sscan(*in.NextToken, &start)
	}
	out := &ssm.DescribeInstanceInformationOutput{}
	for n := start; n < min(start+50, s.hosts); n++ {
		status := types.PingStatusOnline
		if n >= s.hosts-s.lost {
			status = types.PingStatusConnectionLost
		}
		out.InstanceInformationList = append(out.InstanceInformationList, types.InstanceInformation{InstanceId: aws.String(hostID(n)), PingStatus: status})
	}
	if start+50 < s.hosts {
		out.NextToken = aws.String(fmt.Sprint(start + 50))
	}
	return out, s.listing
}

func (s *someRefused) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	s.calls++
	if len(in.InstanceIds) == 0 || len(in.InstanceIds) > 50 || *in.Comment != "inventory "+attemptID+" 2026-11-23T19:01:02.123Z" {
		return nil, &smithy.GenericAPIError{Code: "ValidationException"}
	}
	if s.refused != nil && slices.ContainsFunc(in.InstanceIds, s.refused) {
		return nil, s.err
	}
	s.had = append(s.had, in.InstanceIds...)
	return &ssm.SendCommandOutput{}, nil
}

func TestInventoryInParts(t *testing.T) {
	only := func(ids ...string) func(string) bool {
		return func(id string) bool { return slices.Contains(ids, id) }
	}
	all := func(string) bool { return true }
	var lost []string
	for n := 40; n < 120; n++ {
		lost = append(lost, hostID(n))
	}
	invalid, denied := &types.InvalidInstanceId{}, &smithy.GenericAPIError{Code: "AccessDeniedException"}
	for name, tc := range map[string]struct {
		systemsManager    someRefused
		had, calls, asked int
		all, fails        bool
	}{
		"all well":                 {someRefused{hosts: 120}, 120, 3, 120, true, false},
		"nobody":                   {someRefused{}, 0, 0, 0, true, false},
		"80 are not connected":     {someRefused{hosts: 120, lost: 80, refused: only(lost...), err: invalid}, 40, 4, 120, true, false},
		"they are taken":           {someRefused{hosts: 120, lost: 80}, 120, 4, 120, true, false},
		"one is gone by now":       {someRefused{hosts: 120, refused: only(hostID(7)), err: invalid}, 119, 15, 120, true, false},
		"two lack the tag":         {someRefused{hosts: 120, refused: only(hostID(0), hostID(119)), err: denied}, 118, 23, 120, true, false},
		"one part is throttled":    {someRefused{hosts: 120, refused: only(hostID(60)), err: &smithy.GenericAPIError{Code: "ThrottlingException"}}, 70, 3, 120, true, true},
		"there is no document":     {someRefused{hosts: 120, refused: all, err: &types.InvalidDocument{}}, 0, 3, 120, true, true},
		"more than can be told by": {someRefused{hosts: 120, refused: all, err: invalid}, 0, 120, 120, true, true},
		"not listed":               {someRefused{hosts: 120, listing: errors.New("throttled")}, 0, 0, 0, false, true},
		"more than have room":      {someRefused{hosts: 1200}, 1000, 20, 1000, false, false},
	} {
		s := &tc.systemsManager
		b := runcommand.Broadcaster{API: s, InventoryDocument: "Inventory", FleetTag: "default"}
		asked, whole, err := b.InventoryInParts(t.Context(), attemptID, sentAt)
		if (err != nil) != tc.fails || len(s.had) != tc.had || s.calls > tc.calls || tc.calls-s.calls > 4 || asked != tc.asked || whole != tc.all {
			t.Errorf("%s: %d hosts asked (all: %t), %d had it after %d calls, want %+v, %v", name, asked, whole, len(s.had), s.calls, tc, err)
		}
	}
}
