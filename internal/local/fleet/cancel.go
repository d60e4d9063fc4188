package fleet

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

var errCancelled = errors.New("the command was cancelled")

// CancelCommand simulates Systems Manager's: invocations that no host has begun end immediately; the host ends those
// that run.
func (f *Fleet) CancelCommand(_ context.Context, in *ssm.CancelCommandInput, _ ...func(*ssm.Options)) (*ssm.CancelCommandOutput, error) {
	if len(deref(in.CommandId)) != commandIDLength {
		return nil, invalid("commandId: must have length %d", commandIDLength)
	}
	if len(in.InstanceIds) > maxInstanceIDs {
		return nil, invalid("instanceIds: must have length less than or equal to %d", maxInstanceIDs)
	}
	if err := validateNodes(in.InstanceIds); err != nil {
		return nil, err
	}
	err := f.change(func() error {
		c, ok := f.commands[*in.CommandId]
		if !ok {
			return &types.InvalidCommandId{}
		}
		for _, id := range in.InstanceIds {
			if !slices.ContainsFunc(c.invocations, func(i *invocation) bool { return i.host.id == id }) {
				return &types.InvalidInstanceId{}
			}
		}
		for _, i := range c.invocations {
			if len(in.InstanceIds) == 0 || slices.Contains(in.InstanceIds, i.host.id) {
				f.cancel(i)
			}
		}
		f.advance(c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ssm.CancelCommandOutput{}, nil
}

func (f *Fleet) cancel(i *invocation) {
	switch i.status {
	case pending, delayed:
		f.settle(i, cancelled)
	case inProgress:
		f.become(i, cancelling)
		if s, runs := i.host.running[i]; runs {
			s.end(errCancelled)
		} else if slices.Contains(f.ready, i) || i.host.reachable() { // its agent has not begun the invocation
			f.settle(i, cancelled)
		}
	}
}
