package doctor

import (
	"cmp"
	"context"
	"fmt"

	"dcv-session-broker/internal/operate/records"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// management says whether Default Host Management Configuration is on. If it is, Systems Manager also manages instances
// without an instance profile, if they have the agent 3.2.582.0 or later and version 2 of the instance metadata
// service.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
type management int

const (
	notKnown management = iota // it could not be read, or is not needed
	off
	on
)

const managementSetting = "/ssm/managed-instance/default-ec2-instance-management-role"

// policy returns the ARN of a policy that AWS manages.
func (d *Doctor) policy(name string) string {
	return "arn:" + cmp.Or(d.Partition, "aws") + ":iam::aws:policy/" + name
}

// turnOnManagement returns the commands that turn it on. The role is for the account, the setting for one region. The role
// has the name and policy that the console gives it. (Newer releases of the aws command do all three with aws ssm
// register-default-host-management-configuration --permission-model SERVICE_MANAGED.)
func (d *Doctor) turnOnManagement() string {
	return `aws iam create-role --path /service-role/ --role-name AWSSystemsManagerDefaultEC2InstanceManagementRole \
  --assume-role-policy-document '{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
aws iam attach-role-policy --role-name AWSSystemsManagerDefaultEC2InstanceManagementRole \
  --policy-arn ` + d.policy("AmazonSSMManagedEC2InstanceDefaultPolicy") + `
aws ssm update-service-setting --setting-id ` + managementSetting + ` \
  --setting-value service-role/AWSSystemsManagerDefaultEC2InstanceManagementRole`
}

// management reads the setting of the account and region, if a host depends on it.
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

// withoutProfile reports a running host without an instance profile that Systems Manager does not manage.
func (d *Doctor) withoutProfile(r *Report, h *host, m management) {
	giveProfile := "aws ec2 associate-iam-instance-profile --instance-id " + h.id + " --iam-instance-profile Name=PROFILE"
	const profile = "an instance profile whose role has the policy AmazonSSMManagedInstanceCore (internal/operate/DEPLOYING.md, \"Setting up hosts\", makes it)"
	options := h.instance.MetadataOptions
	switch {
	case m == notKnown:
		r.fault(h.id, giveProfile, "is not managed by Systems Manager: it has no instance profile. Give it %s", profile)
	case m == off:
		r.fault(h.id, d.turnOnManagement(), "is not managed by Systems Manager: it has no instance profile, and Default Host Management Configuration is off. "+
			"Turn that on, once for all instances of the account and region with version 2 of the instance metadata service and the agent 3.2.582.0 or later, or give it %s", profile)
	case options != nil && options.HttpEndpoint == ec2types.InstanceMetadataEndpointStateDisabled:
		r.fault(h.id, "aws ec2 modify-instance-metadata-options --instance-id "+h.id+" --http-endpoint enabled --http-tokens required",
			"is not managed by Systems Manager, though Default Host Management Configuration is on: that needs version 2 of the instance metadata service, which is off for this instance")
	default:
		r.fault(h.id, giveProfile, "is not managed by Systems Manager, though Default Host Management Configuration is on: its agent does not run, or is older than 3.2.582.0, "+
			"or does not reach Systems Manager's endpoints (port 443). What always works is "+profile)
	}
}

// examineProfile says how a managed host without an instance profile is managed.
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

// beyondEC2 returns a note about a node outside EC2 that Systems Manager cannot reach.
func beyondEC2(node *types.InstanceInformation) string {
	if node.ResourceType != types.ResourceTypeManagedInstance {
		return ""
	}
	return " EC2 does not know the node, so its sessions are UNKNOWN until it answers."
}
