package fleet

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// stopTag marks the machines that the broker's policy may stop.
const stopTag = "DcvStopWhenEmpty"

// StopInstances simulates EC2's, for a caller whose policy allows it only for machines with both tags. It returns
// when the machines have stopped; real ones take longer. A machine that does not exist, or that the policy does not
// allow, fails the whole call.
func (f *Fleet) StopInstances(_ context.Context, in *ec2.StopInstancesInput, _ ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error) {
	out := &ec2.StopInstancesOutput{}
	if err := f.mayStop(in, out); err != nil {
		return nil, err
	}
	for _, id := range in.InstanceIds {
		if err := f.Stop(id); err != nil {
			return nil, ec2Refusal("IncorrectInstanceState", "%v", err)
		}
	}
	return out, nil
}

func (f *Fleet) mayStop(in *ec2.StopInstancesInput, out *ec2.StopInstancesOutput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(in.InstanceIds) == 0 || in.DryRun != nil || in.Force != nil || in.Hibernate != nil || in.SkipOsShutdown != nil {
		return ec2Refusal("UnsupportedOperation", "StopInstances on this machine takes InstanceId, and nothing else")
	}
	for _, id := range in.InstanceIds {
		h := f.instances()[id]
		switch {
		case h == nil:
			return ec2Refusal("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		case h.Untagged || !h.StopsWhenEmpty:
			return ec2Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.")
		case !h.TerminatedAt.IsZero():
			return ec2Refusal("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be stopped.", id)
		}
		was, is := h.instanceState(), types.InstanceStateNameStopping
		out.StoppingInstances = append(out.StoppingInstances, types.InstanceStateChange{
			InstanceId:    aws.String(id),
			PreviousState: &types.InstanceState{Code: aws.Int32(stateCodes[was]), Name: was},
			CurrentState:  &types.InstanceState{Code: aws.Int32(stateCodes[is]), Name: is},
		})
	}
	return nil
}
