package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

type ec2Of tableOf

// forgottenAfter is when EC2 no longer knows a terminated instance.
const forgottenAfter = time.Hour

func (e ec2Of) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (out *ec2.DescribeInstancesOutput, err error) {
	ids := in.Filters[0].Values
	what := "ask EC2 about " + strings.Join(ids, " ")
	e.w.park(e.inv, ctx, what, func() bool {
		switch {
		case ctx.Err() != nil:
			e.inv.faulty = true
			err = ctx.Err()
			return true
		case e.w.meets(ec2Fails):
			e.inv.faulty = true
			e.w.say(e.inv, "FAULT: %s: %s", ec2Fails, what)
			err = errors.New("EC2: RequestLimitExceeded")
			return true
		}
		e.w.say(e.inv, "%s", what)
		out = &ec2.DescribeInstancesOutput{}
		for _, id := range ids {
			e.inv.asked[id] = hostStatus{gone: true, at: e.w.now()}
		}
		for _, m := range e.w.machines {
			if slices.Contains(ids, m.id) && (m.state != terminated || e.w.now().Sub(m.since) < forgottenAfter) {
				out.Reservations = append(out.Reservations, types.Reservation{Instances: []types.Instance{m.instance()}})
				e.inv.asked[m.id] = hostStatus{gone: m.state == terminated || m.state == stopped, stopped: m.state == stopped, at: e.w.now()}
			}
		}
		return true
	}, nil)
	return out, err
}

func (m *machine) instance() types.Instance {
	i := types.Instance{InstanceId: aws.String(m.id), State: &types.InstanceState{Name: types.InstanceStateNameRunning}}
	switch m.state {
	case stopped, hibernated:
		i.State.Name = types.InstanceStateNameStopped
		code := "Client.UserInitiatedShutdown"
		if m.state == hibernated {
			code = "Client.UserInitiatedHibernate"
		}
		i.StateReason = &types.StateReason{Code: aws.String(code)}
	case terminated:
		i.State.Name = types.InstanceStateNameTerminated
	case running:
	}
	return i
}
