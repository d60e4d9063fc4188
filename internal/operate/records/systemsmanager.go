package records

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/runcommand"
)

// SystemsManagerAPI is the part of the SDK's client that is used here.
type SystemsManagerAPI interface {
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
}

// SystemsManager reads the state of hosts and commands.
type SystemsManager struct{ Client SystemsManagerAPI }

// Node implements System.
func (s SystemsManager) Node(ctx context.Context, hostID string) (*Node, error) {
	out, err := s.Client.DescribeInstanceInformation(ctx, &ssm.DescribeInstanceInformationInput{
		Filters: []types.InstanceInformationStringFilter{{Key: aws.String("InstanceIds"), Values: []string{hostID}}},
	})
	if err != nil {
		return nil, namePermission("ssm:DescribeInstanceInformation", err)
	}
	for _, i := range out.InstanceInformationList {
		return &Node{Ping: string(i.PingStatus), PingAt: aws.ToTime(i.LastPingDateTime)}, nil
	}
	return nil, nil
}

// maxPages bounds a search. Each inventory is a command, so a page of 50 covers some hours.
const maxPages = 5

// Commands implements System. It reads the host's commands from the newest back to since.
func (s SystemsManager) Commands(ctx context.Context, hostID string, attemptIDs []string, since time.Time) (map[string]Command, error) {
	found := map[string]Command{}
	pages := ssm.NewListCommandInvocationsPaginator(s.Client, &ssm.ListCommandInvocationsInput{
		InstanceId: &hostID, MaxResults: aws.Int32(50),
	})
	for n := 0; n < maxPages && pages.HasMorePages(); n++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, namePermission("ssm:ListCommandInvocations", err)
		}
		for _, i := range page.CommandInvocations {
			if aws.ToTime(i.RequestedDateTime).Before(since.Add(-time.Minute)) {
				return found, nil
			}
			id, ours := runcommand.AttemptOf(aws.ToString(i.Comment))
			if _, known := found[id]; ours && !known && slices.Contains(attemptIDs, id) {
				found[id] = command(i)
			}
		}
	}
	return found, nil
}

func command(i types.CommandInvocation) Command {
	c := Command{ID: aws.ToString(i.CommandId), SentAt: aws.ToTime(i.RequestedDateTime), Status: aws.ToString(i.StatusDetails)}
	if c.Status == "" {
		c.Status = string(i.Status)
	}
	switch i.Status {
	case types.CommandInvocationStatusPending, types.CommandInvocationStatusInProgress, types.CommandInvocationStatusDelayed, types.CommandInvocationStatusCancelling:
	default:
		c.Ended = true
	}
	return c
}
