package doctor

import (
	"context"
	"fmt"

	"dcv-session-broker/internal/operate/records"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// management is whether Default Host Management Configuration is on: then Systems Manager manages instances without an
// instance profile, too, if their agent is 3.2.582.0 or later and they have version 2 of the instance metadata service.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
type management int

const (
	notKnown management = iota // it could not be read, or need not be
	off
	on
)

const managementSetting = "/ssm/managed-instance/default-ec2-instance-management-role"

// management asks for the setting, one of the account and region, if there is a host that depends on it.
func (d *Doctor) management(ctx context.Context, r *Report, hosts map[string]*host) management {
	depends := false
	for _, h := range hosts {
		depends = depends || h.hasNoProfile() && !h.stopped()
	}
	if !depends {
		return notKnown
	}
	out, err := d.SystemsManager.GetServiceSetting(ctx, &ssm.GetServiceSettingInput{SettingId: aws.String(managementSetting)})
	switch {
	case records.Denied(err):
		r.NotLookedAt = append(r.NotLookedAt, "whether Default Host Management Configuration is on: your credentials lack the permission ssm:GetServiceSetting")
	case err != nil:
		r.NotLookedAt = append(r.NotLookedAt, fmt.Sprintf("whether Default Host Management Configuration is on: %v", err))
	case aws.ToString(out.ServiceSetting.Status) == "Default": // "Default", "Customized" or "PendingUpdate"
		return off
	default:
		return on
	}
	return notKnown
}

func (h *host) hasNoProfile() bool { return h.instance != nil && h.instance.IamInstanceProfile == nil }

// withoutProfile is for a running host that Systems Manager does not manage, and that has no instance profile.
func (d *Doctor) withoutProfile(r *Report, h *host, m management) {
	giveProfile := "aws ec2 associate-iam-instance-profile --instance-id " + h.id + " --iam-instance-profile Name=PROFILE"
	const profile = "an instance profile whose role has the policy AmazonSSMManagedInstanceCore (internal/operate/DEPLOYING.md, \"Setting up hosts\", makes it)"
	options := h.instance.MetadataOptions
	switch {
	case m != on:
		says := "is not managed by Systems Manager: it has no instance profile. Give it " + profile
		if m == off {
			says += ", or turn on Default Host Management Configuration, for all instances of the account and region"
		}
		r.fault(h.id, giveProfile, "%s", says)
	case options != nil && options.HttpEndpoint == ec2types.InstanceMetadataEndpointStateDisabled:
		r.fault(h.id, "aws ec2 modify-instance-metadata-options --instance-id "+h.id+" --http-endpoint enabled --http-tokens required",
			"is not managed by Systems Manager, though Default Host Management Configuration is on: that needs version 2 of the instance metadata service, which this instance has switched off")
	default:
		r.fault(h.id, giveProfile, "is not managed by Systems Manager, though Default Host Management Configuration is on: its agent does not run, or is older than 3.2.582.0, "+
			"or does not reach Systems Manager's endpoints (port 443). What always does is "+profile)
	}
}

// examineProfile is for a managed host: how it is managed without an instance profile.
func (d *Doctor) examineProfile(r *Report, h *host, m management) (how string) {
	switch {
	case !h.isInstance():
		return ", outside EC2"
	case !h.hasNoProfile():
		return ""
	case m == off:
		r.note(h.id, "aws ec2 associate-iam-instance-profile --instance-id "+h.id+" --iam-instance-profile Name=PROFILE",
			"has no instance profile, and Default Host Management Configuration is off: it is managed only as long as the credentials last that its agent has")
	case m == on:
		return ", by Default Host Management Configuration"
	}
	return ", without an instance profile"
}

// beyondEC2 is what to know of a node outside EC2 that cannot be reached.
func beyondEC2(node *types.InstanceInformation) string {
	if node.ResourceType != types.ResourceTypeManagedInstance {
		return ""
	}
	return " Nobody else can tell whether it still runs: EC2 does not know it, so its sessions are UNKNOWN until it answers."
}
