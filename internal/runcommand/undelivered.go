package runcommand

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/session"
)

// A command by tag can end as a whole, before any host receives it. Only ListCommands
// shows that: there is no invocation and no event.

// endsAsAWhole are the details of such an end (API reference, Command:
// StatusDetails, and CommandFilter), without spaces: the reference spells them in
// two ways. The status with them may be Success.
var endsAsAWhole = []string{"RateExceeded", "NoInstancesInTag", "LimitExceeded", "AccessDenied"}

// undelivered tells whether no host has the command, or only some have it because
// somebody cancelled it; and how it ended, "" if it has not ended.
func undelivered(c types.Command) (how string, is bool) {
	details := strings.ReplaceAll(aws.ToString(c.StatusDetails), " ", "")
	switch {
	case c.Status == types.CommandStatusPending:
		return "", true
	case c.Status == types.CommandStatusCancelled, c.Status == types.CommandStatusCancelling, slices.Contains(endsAsAWhole, details):
		return printable(details), true
	}
	return "", false
}

const (
	// maxCommandPages bounds the listing of commands, 50 a page: a run lists those
	// since the last inventory but two.
	maxCommandPages = 10
	// clocksApart is how much this clock and Systems Manager's may differ.
	clocksApart = time.Minute
)

// Undelivered implements session.InventoryBroadcaster. An inventory that was sent in
// parts is among them if one of its parts is.
func (b *Broadcaster) Undelivered(ctx context.Context, since time.Time) (map[time.Time]string, error) {
	pages := ssm.NewListCommandsPaginator(b.API, &ssm.ListCommandsInput{
		Filters: []types.CommandFilter{
			{Key: types.CommandFilterKeyDocumentName, Value: aws.String(b.InventoryDocument)},
			{Key: types.CommandFilterKeyInvokedAfter, Value: aws.String(since.Add(-clocksApart).UTC().Format("2006-01-02T15:04:05Z"))},
		},
		MaxResults: aws.Int32(50),
	})
	found := map[time.Time]string{}
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxCommandPages {
			return nil, fmt.Errorf("more than %d inventory commands since %s", n*50, since)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list commands: %w", err)
		}
		for _, cmd := range page.Commands {
			said, err := parseComment(aws.ToString(cmd.Comment))
			if how, is := undelivered(cmd); err == nil && said.kind == inventoryKind && is && found[said.at.UTC()] == "" {
				found[said.at.UTC()] = how
			}
		}
	}
	return found, nil
}

const (
	// maxInParts is how many hosts an inventory in parts is sent to: 20 pages of hosts
	// with the fleet's tag, and 20 commands if all are connected.
	maxInParts = 1000
	// maxPartCalls bounds the commands, in case some hosts are refused.
	maxPartCalls = 120
)

// InventoryInParts implements session.InventoryBroadcaster. Systems Manager lists the
// hosts with the fleet's tag, 50 a page, and each page gets a command. Hosts that are
// not connected get a separate command: if it is refused, the others are not.
func (b *Broadcaster) InventoryInParts(ctx context.Context, id string, sentAt time.Time) (hosts int, all bool, err error) {
	parts := inventoryParts{Broadcaster: b, comment: comment{kind: inventoryKind, id: id, at: sentAt}}
	var errs []error
	for pages := nodePages(b.API, "tag:"+session.FleetTagKey, []string{b.FleetTag}); pages.HasMorePages(); {
		if hosts >= maxInParts {
			return hosts, false, errors.Join(errs...)
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return hosts, false, errors.Join(append(errs, fmt.Errorf("list the fleet's hosts: %w", err))...)
		}
		var online, others []string
		for _, info := range page.InstanceInformationList {
			if info.PingStatus == types.PingStatusOnline {
				online = append(online, aws.ToString(info.InstanceId))
			} else {
				others = append(others, aws.ToString(info.InstanceId))
			}
		}
		hosts += len(online) + len(others)
		errs = append(errs, parts.send(ctx, online, true), parts.send(ctx, others, false))
	}
	return hosts, true, errors.Join(errs...)
}

// inventoryParts are the commands of one inventory in parts.
type inventoryParts struct {
	*Broadcaster
	comment comment
	calls   int
}

// send sends to those hosts. One host that Systems Manager refuses fails the call for
// all. If they are known to be connected, send splits them in halves until that host
// is alone.
func (p *inventoryParts) send(ctx context.Context, hostIDs []string, connected bool) error {
	if len(hostIDs) == 0 {
		return nil
	}
	if p.calls++; p.calls > maxPartCalls {
		return fmt.Errorf("%d hosts have no inventory: too many are refused", len(hostIDs))
	}
	in := surveyCommand(p.InventoryDocument, p.comment)
	in.InstanceIds = hostIDs
	_, err := p.API.SendCommand(ctx, in)
	switch {
	case err == nil:
		return nil
	case !refused(err) || concernsAll(err):
		return fmt.Errorf("send %s to %d hosts: %w", p.InventoryDocument, len(hostIDs), err)
	case len(hostIDs) == 1 || !connected:
		return nil
	}
	half := len(hostIDs) / 2
	return errors.Join(p.send(ctx, hostIDs[:half], connected), p.send(ctx, hostIDs[half:], connected))
}
