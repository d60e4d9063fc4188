package doctor_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/operate/doctor"
)

// With Default Host Management Configuration a host needs no instance profile. If such a host is not managed, the
// causes are others.
func TestHostsManagedByDefault(t *testing.T) {
	s := newSimulatedOf(t, fleet.Options{DefaultHostManagement: true}, healthyHost, faulty)
	if err := s.TakeProfile(healthyHost); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.TakeProfile(faulty), s.Unmanage(faulty)); err != nil {
		t.Fatal(err)
	}
	r := s.examine(t)
	if !strings.Contains(strings.Join(r.Healthy, "\n"), healthyHost+": Linux, agent 3.3.3572.0, online, tagged, by Default Host Management Configuration") {
		t.Errorf("healthy: %q", r.Healthy)
	}
	if len(r.Findings) != 1 || !r.Findings[0].Fault || !strings.Contains(r.Findings[0].Says, "its agent does not run, or is older than 3.2.582.0") {
		t.Errorf("found %+v", r.Findings)
	}
	s.EC2 = withoutMetadata{s.EC2}
	if r = s.examine(t); len(r.Findings) != 1 || r.Findings[0].Fix != "aws ec2 modify-instance-metadata-options --instance-id "+faulty+" --http-endpoint enabled --http-tokens required" {
		t.Errorf("found %+v", r.Findings)
	}
	// If the setting cannot be read, the report says so and assumes nothing.
	before := len(r.NotLookedAt)
	s.SystemsManager = settingsDenied{s.SystemsManager}
	r = s.examine(t)
	if len(r.NotLookedAt) != before+1 || !strings.Contains(r.NotLookedAt[before], "lack the permission ssm:GetServiceSetting") {
		t.Errorf("not looked at: %q", r.NotLookedAt)
	}
	if len(r.Findings) != 1 || strings.Contains(r.Findings[0].Says, "Default Host") || !strings.Contains(strings.Join(r.Healthy, "\n"), "online, tagged, without an instance profile") {
		t.Errorf("found %+v, %q", r.Findings, r.Healthy)
	}
}

// For hosts without an instance profile doctor prints one command for all of them, the one in DEPLOYING.md.
func TestHostsAreSetUpInOneStep(t *testing.T) {
	s := newSimulated(t, healthyHost, faulty)
	for _, id := range []string{healthyHost, faulty} {
		if err := errors.Join(s.TakeProfile(id), s.Unmanage(id)); err != nil {
			t.Fatal(err)
		}
	}
	r := s.examine(t)
	var out strings.Builder
	r.Print(&out)
	if len(r.Findings) != 2 || strings.Count(out.String(), "aws ") != 3 || strings.Contains(out.String(), "HOST") {
		t.Errorf("it says\n%s", &out)
	}
	deploying, err := os.ReadFile("../DEPLOYING.md")
	if err != nil || !strings.Contains(string(deploying), "```sh aws\n"+r.Findings[0].Fix+"\n") {
		t.Errorf("DEPLOYING.md (%v) does not have\n%s", err, r.Findings[0].Fix)
	}

	// AWS's own policies have other ARNs in China and GovCloud.
	s.Partition = "aws-us-gov"
	if err := s.GiveProfile(faulty); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	s.examine(t).Print(&out)
	for _, policy := range []string{"AmazonSSMManagedEC2InstanceDefaultPolicy", "AmazonSSMManagedInstanceCore"} {
		if !strings.Contains(out.String(), "arn:aws-us-gov:iam::aws:policy/"+policy) || strings.Contains(out.String(), "arn:aws:") {
			t.Errorf("in GovCloud it says\n%s", &out)
		}
	}
}

// withoutMetadata is an EC2 whose instances have no metadata service.
type withoutMetadata struct{ doctor.EC2 }

func (e withoutMetadata) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, opts ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	out, err := e.EC2.DescribeInstances(ctx, in, opts...)
	if err == nil {
		for _, r := range out.Reservations {
			for i := range r.Instances {
				r.Instances[i].MetadataOptions = &ec2types.InstanceMetadataOptionsResponse{HttpEndpoint: ec2types.InstanceMetadataEndpointStateDisabled}
			}
		}
	}
	return out, err
}

// settingsDenied is a Systems Manager that denies access to its settings.
type settingsDenied struct{ doctor.SystemsManager }

func (settingsDenied) GetServiceSetting(context.Context, *ssm.GetServiceSettingInput, ...func(*ssm.Options)) (*ssm.GetServiceSettingOutput, error) {
	return nil, &smithy.GenericAPIError{Code: "AccessDeniedException"}
}
