package sim

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// broadcast decides whether a command by tag ends as a whole, before it reaches a host.
// It returns the hosts that it reaches.
func (w *world) broadcast(cmd *command, to []*machine) []*machine {
	switch {
	case len(to) == 0:
		cmd.ended = "NoInstancesInTag"
	case w.endBroadcasts != "":
		cmd.ended = w.endBroadcasts
	case w.meets(broadcastEnds):
		cmd.ended = oneOf(w.dice, []string{"Rate Exceeded", "RateExceeded", "LimitExceeded", "NoInstancesInTag"})
		w.say("Systems Manager", "FAULT: %s: %s", broadcastEnds, cmd.ended)
	default:
		return to
	}
	cmd.endsAt = w.now().Add(w.dice.between(0, 3*time.Second))
	return nil
}

// status returns the command's status and status details.
func (c *command) status(now time.Time) (types.CommandStatus, string) {
	switch {
	case c.ended != "" && now.Before(c.endsAt):
		return types.CommandStatusPending, "Pending"
	case c.ended == "NoInstancesInTag":
		return types.CommandStatusSuccess, c.ended
	case c.ended != "":
		return types.CommandStatusCancelled, c.ended
	case slices.ContainsFunc(c.on, func(on *onHost) bool { return !on.over }):
		return types.CommandStatusInProgress, "InProgress"
	}
	return types.CommandStatusSuccess, "Success"
}

func (s systemsManagerOf) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (out *ssm.ListCommandsOutput, err error) {
	if s.inv.older {
		return &ssm.ListCommandsOutput{}, nil
	}
	var refusal error
	err = s.read(ctx, "list commands", func() {
		out = &ssm.ListCommandsOutput{}
		var shown []types.Command
		for _, c := range slices.Backward(s.w.commands) {
			fits := true
			for _, f := range in.Filters {
				switch f.Key {
				case types.CommandFilterKeyDocumentName:
					fits = fits && aws.ToString(f.Value) == c.document
				case types.CommandFilterKeyInvokedAfter:
					after, err := time.Parse("2006-01-02T15:04:05Z", aws.ToString(f.Value))
					if err != nil {
						refusal = &smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}
					}
					fits = fits && c.sentAt.After(after)
				default:
					refusal = &types.InvalidFilterKey{}
				}
			}
			if fits {
				status, details := c.status(s.w.now())
				shown = append(shown, types.Command{
					CommandId: aws.String(c.id), DocumentName: aws.String(c.document), Comment: aws.String(c.comment),
					RequestedDateTime: aws.Time(c.sentAt), Status: status, StatusDetails: aws.String(details), TargetCount: int32(len(c.on)),
				})
			}
		}
		if refusal == nil {
			out.Commands, out.NextToken, refusal = page(shown, in.NextToken, in.MaxResults, 50, 1, 50)
		}
	})
	return out, cmp.Or(err, refusal)
}
