package fleet

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// noInstancesInTag is how a command by tag ends that finds no host.
const noInstancesInTag = "NoInstancesInTag"

// EndBroadcasts makes commands by tag end as a whole from now on, with these status details, before any host receives
// them. "" undoes it.
func (f *Fleet) EndBroadcasts(details string) {
	_ = f.change(func() error { f.endBroadcasts = details; return nil }) // after Close no command is sent
}

// broadcast decides whether a command by tag ends as a whole. It returns the hosts that receive it.
func (f *Fleet) broadcast(hosts []*host) (to []*host, ended string) {
	switch {
	case len(hosts) == 0:
		return nil, noInstancesInTag
	case f.endBroadcasts != "":
		return nil, f.endBroadcasts
	}
	return hosts, ""
}

// shown returns the command in the form of ListCommands.
func (c *command) shown() types.Command {
	out := c.taken
	switch status := c.result(); {
	case c.ended != "":
		out.Status, out.StatusDetails = types.CommandStatus(status), aws.String(c.ended)
	case c.done:
		out.Status, out.StatusDetails = types.CommandStatus(status), aws.String(status)
	case c.next > 0:
		out.Status, out.StatusDetails = types.CommandStatusInProgress, aws.String("InProgress")
	}
	return out
}

// invokedAfter is the format of that filter's value (API reference, CommandFilter).
const invokedAfter = "2006-01-02T15:04:05Z"

// ListCommands simulates Systems Manager's: the newest first.
func (f *Fleet) ListCommands(_ context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	size := int32(maxInvocationsPage)
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > maxInvocationsPage {
		return nil, invalid("maxResults: must be between 1 and %d", maxInvocationsPage)
	}
	if in.InstanceId != nil || in.CommandId != nil {
		return nil, notSimulated("ListCommands by command or node")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []types.Command
	for _, c := range slices.Backward(f.sent) {
		fits := true
		for _, filter := range in.Filters {
			switch filter.Key {
			case types.CommandFilterKeyDocumentName:
				fits = fits && deref(filter.Value) == deref(c.taken.DocumentName)
			case types.CommandFilterKeyInvokedAfter:
				after, err := time.Parse(invokedAfter, deref(filter.Value))
				if err != nil {
					return nil, invalid("filters: InvokedAfter must look like %s", invokedAfter)
				}
				fits = fits && c.requested.After(after)
			default:
				return nil, &types.InvalidFilterKey{}
			}
		}
		if fits {
			all = append(all, c.shown())
		}
	}
	start := 0
	if in.NextToken != nil {
		var err error
		if start, err = strconv.Atoi(*in.NextToken); err != nil || start < 0 || start > len(all) {
			return nil, &types.InvalidNextToken{}
		}
	}
	end := min(start+int(size), len(all))
	out := &ssm.ListCommandsOutput{Commands: all[start:end]}
	if end < len(all) {
		out.NextToken = aws.String(strconv.Itoa(end))
	}
	return out, nil
}
