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
	"github.com/aws/smithy-go"
)

type ec2Of tableOf

// forgottenAfter is when EC2 no longer knows a terminated instance.
const forgottenAfter = time.Hour

// DescribeInstances has two uses: some instances by ID, and all that run and may be
// stopped.
func (e ec2Of) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (out *ec2.DescribeInstancesOutput, err error) {
	what := "ask EC2 about " + strings.Join(in.Filters[0].Values, " ")
	fits := func(m *machine) bool {
		return slices.Contains(in.Filters[0].Values, m.id) && (m.state != terminated || e.w.now().Sub(m.since) < forgottenAfter)
	}
	about := *in.Filters[0].Name == "instance-id"
	if !about {
		what = "ask EC2 which hosts run and may be stopped"
		fits = func(m *machine) bool { return m.isEC2() && m.state == running && m.tagged && m.stopWhenEmpty }
	}
	if about {
		e.w.counts(&e.inv.calls.questions)
		e.w.asksAboutHosts(e.inv)
	}
	err = e.call(ctx, what, func() error {
		out = &ec2.DescribeInstancesOutput{}
		if about {
			for _, id := range in.Filters[0].Values {
				e.inv.asked[id] = hostStatus{gone: true, at: e.w.now()}
			}
		}
		for _, m := range e.w.machines {
			if !fits(m) {
				continue
			}
			out.Reservations = append(out.Reservations, types.Reservation{Instances: []types.Instance{m.instance()}})
			if about {
				e.inv.tagsTold[m.id] = m.ownerTag
				e.inv.asked[m.id] = hostStatus{gone: m.state == terminated || m.state == stopped, stopped: m.state == stopped, at: e.w.now()}
			}
		}
		return nil
	})
	return out, err
}

// StopInstances stops one host, if it is in a state to be stopped.
func (e ec2Of) StopInstances(ctx context.Context, in *ec2.StopInstancesInput, _ ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error) {
	id := in.InstanceIds[0]
	e.w.counts(&e.inv.calls.stops)
	return &ec2.StopInstancesOutput{}, e.call(ctx, "stop "+id, func() error {
		m := e.w.machine(id)
		if m == nil || m.state != running {
			return &smithy.GenericAPIError{Code: "IncorrectInstanceState", Message: "is not in a state from which it can be stopped"}
		}
		e.w.stopsHost(e.inv, m)
		if !m.tagged { // the policy asks for the tag, too
			return &smithy.GenericAPIError{Code: "UnauthorizedOperation", Message: "You are not authorized to perform this operation"}
		}
		e.w.turnOff(m, stopped)
		return nil
	})
}

func (e ec2Of) call(ctx context.Context, what string, land func() error) (err error) {
	e.w.park(e.inv, ctx, what, func() bool {
		if err = e.w.fails(e.inv, ctx, what, ec2Fails, errors.New("EC2: RequestLimitExceeded")); err == nil {
			e.w.say(e.inv, "%s", what)
			err = land()
		}
		return true
	}, nil)
	return err
}

func (m *machine) instance() types.Instance {
	i := types.Instance{InstanceId: aws.String(m.id), LaunchTime: aws.Time(m.launched), State: &types.InstanceState{Name: types.InstanceStateNameRunning}}
	if m.ownerTag != "" {
		i.Tags = []types.Tag{{Key: aws.String("DcvOwner"), Value: aws.String(m.ownerTag)}}
	}
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
