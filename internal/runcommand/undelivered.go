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
)

// A command by tag can end as a whole, before any host has it. No invocation and
// no event tells of that: ListCommands does.

// endsAsAWhole are the details of such an end (API reference, Command:
// StatusDetails, and CommandFilter), without spaces: the reference spells them in
// two ways. The status beside them may be Success.
var endsAsAWhole = []string{"RateExceeded", "NoInstancesInTag", "LimitExceeded", "AccessDenied"}

// undelivered tells whether no host has the command, or not all of them because
// somebody cancelled it, and how it ended; "" while it has not.
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
	// clocksApart is how far ours and Systems Manager's clock may be apart.
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
			if how, is := undelivered(cmd); err == nil && said.kind == inventoryKind && is && found[said.sentAt.UTC()] == "" {
				found[said.sentAt.UTC()] = how
			}
		}
	}
	return found, nil
}

const (
	maxHostsPerCommand = 50
	// maxPartCalls bounds the calls for one inventory in parts. Without refusals
	// there is one for each 50 hosts.
	maxPartCalls = 120
)

// InventoryOf implements session.InventoryBroadcaster: a command for each 50 hosts.
// One host that Systems Manager would not command fails the call for all: it is
// sent in halves, until that host is alone.
func (b *Broadcaster) InventoryOf(ctx context.Context, id string, sentAt time.Time, hostIDs []string) error {
	hostIDs = slices.DeleteFunc(slices.Clone(hostIDs), func(id string) bool { return !hostIDPattern(id) })
	calls := 0
	var send func(hostIDs []string) error
	send = func(hostIDs []string) error {
		if calls++; calls > maxPartCalls {
			return fmt.Errorf("%d hosts have no inventory: too many are refused", len(hostIDs))
		}
		in := surveyCommand(b.InventoryDocument, comment{inventoryKind, id, sentAt})
		in.InstanceIds = hostIDs
		_, err := b.API.SendCommand(ctx, in)
		switch {
		case err == nil, refused(err) && len(hostIDs) == 1 && !concernsAll(err):
			return nil
		case refused(err) && !concernsAll(err):
			half := len(hostIDs) / 2
			return errors.Join(send(hostIDs[:half]), send(hostIDs[half:]))
		}
		return fmt.Errorf("send %s to %d hosts: %w", b.InventoryDocument, len(hostIDs), err)
	}
	var errs []error
	for some := range slices.Chunk(hostIDs, maxHostsPerCommand) {
		errs = append(errs, send(some))
	}
	return errors.Join(errs...)
}
