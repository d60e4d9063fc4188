package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// firstWithEnvVar is the agent that first put parameters into the environment (interpolationType ENV_VAR) instead of
// pasting them into the script.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-syntax-data-elements-parameters.html
var firstWithEnvVar = []int{3, 3, 2746, 0}

// host holds what is known of one host.
type host struct {
	id       string
	managed  *types.InstanceInformation // nil: Systems Manager does not know it
	instance *ec2types.Instance         // nil: EC2 does not know it, or was not asked
	tagged   bool
}

func (h *host) isInstance() bool { return strings.HasPrefix(h.id, "i-") }

// heldTo says which owner the host's tag DcvOwner restricts it to.
func (h *host) heldTo() string {
	if h.instance != nil {
		for _, tag := range h.instance.Tags {
			if owner := aws.ToString(tag.Value); aws.ToString(tag.Key) == session.OwnerTagKey && owner != "" {
				return fmt.Sprintf(", held to the owner %q by its tag %s", owner, session.OwnerTagKey)
			}
		}
	}
	return ""
}

func (h *host) stopped() bool {
	return h.instance != nil && h.instance.State != nil && h.instance.State.Name != ec2types.InstanceStateNameRunning
}

// find returns the fleet's hosts and, unless hosts were named, the managed nodes without the fleet's tag.
func (d *Doctor) find(ctx context.Context) (hosts map[string]*host, untagged []string, err error) {
	managed, err := d.managed(ctx)
	if err != nil {
		return nil, nil, err
	}
	tagged, err := d.managed(ctx, types.InstanceInformationStringFilter{Key: aws.String("tag:" + session.FleetTagKey), Values: []string{d.TagValue}})
	if err != nil {
		return nil, nil, err
	}
	hosts = map[string]*host{}
	add := func(id string) *host {
		if hosts[id] == nil {
			hosts[id] = &host{id: id, managed: managed[id]}
		}
		return hosts[id]
	}
	if len(d.Named) > 0 {
		for _, id := range d.Named {
			h := add(id)
			_, h.tagged = tagged[id]
			if h.isInstance() {
				if err := d.ask(ctx, h); err != nil {
					return nil, nil, err
				}
			}
		}
		return hosts, nil, nil
	}
	for id := range tagged {
		add(id).tagged = true
	}
	// EC2 also knows those that never registered with Systems Manager. Terminated ones are left out.
	pages := ec2.NewDescribeInstancesPaginator(d.EC2, &ec2.DescribeInstancesInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + session.FleetTagKey), Values: []string{d.TagValue}},
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}},
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("describe the instances with the tag %s: %w", session.FleetTagKey, err)
		}
		for _, instance := range instances(page) {
			h := add(aws.ToString(instance.InstanceId))
			h.instance, h.tagged = &instance, true
		}
	}
	for id := range managed {
		if hosts[id] == nil {
			untagged = append(untagged, id)
		}
	}
	slices.Sort(untagged)
	return hosts, untagged, nil
}

func (d *Doctor) managed(ctx context.Context, filters ...types.InstanceInformationStringFilter) (map[string]*types.InstanceInformation, error) {
	const largestPage = 50
	found := map[string]*types.InstanceInformation{}
	pages := ssm.NewDescribeInstanceInformationPaginator(d.SystemsManager, &ssm.DescribeInstanceInformationInput{
		Filters: filters, MaxResults: aws.Int32(largestPage),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe the nodes that Systems Manager manages: %w", err)
		}
		for _, node := range page.InstanceInformationList {
			found[aws.ToString(node.InstanceId)] = &node
		}
	}
	return found, nil
}

// ask asks EC2 about one host: a call that names several hosts fails for all if one is unknown.
func (d *Doctor) ask(ctx context.Context, h *host) error {
	out, err := d.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{h.id}})
	var refusal smithy.APIError
	if errors.As(err, &refusal) && strings.HasPrefix(refusal.ErrorCode(), "InvalidInstanceID") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("describe instance %s: %w", h.id, err)
	}
	for _, instance := range instances(out) {
		h.instance = &instance
		for _, tag := range instance.Tags { // also where Systems Manager does not know it
			h.tagged = h.tagged || aws.ToString(tag.Key) == session.FleetTagKey && aws.ToString(tag.Value) == d.TagValue
		}
	}
	return nil
}

func instances(page *ec2.DescribeInstancesOutput) (all []ec2types.Instance) {
	for _, r := range page.Reservations {
		all = append(all, r.Instances...)
	}
	return all
}

// examineHost reports everything that a host lacks; a stopped host is only mentioned.
func (d *Doctor) examineHost(r *Report, f *fleet, h *host, note session.HostNote) {
	before := len(r.Findings)
	if h.managed == nil && h.isInstance() && h.instance == nil {
		r.fault(h.id, "", "does not exist in this account and region")
		return
	}
	if !h.tagged && (h.managed != nil || h.isInstance()) { // else the tags are not known
		r.fault(h.id, d.tagCommand(h.id), "lacks the tag %s=%s: it is in no inventory, and commands for it are denied", session.FleetTagKey, d.TagValue)
	}
	switch {
	case h.stopped():
		r.note(h.id, "aws ec2 start-instances --instance-ids "+h.id, "is %s, and was not looked at further", h.instance.State.Name)
		return
	case h.managed == nil:
		d.unmanaged(r, h, f.management)
		return
	case h.managed.PingStatus != types.PingStatusOnline:
		r.fault(h.id, restartAgent(h.managed.PlatformType), "is %s: Systems Manager last heard from its agent at %s.%s On the host, with a way to Systems Manager's endpoints (port 443):",
			h.managed.PingStatus, heard(h.managed), beyondEC2(h.managed))
	}
	switch platform := h.managed.PlatformType; {
	case platform != types.PlatformTypeLinux && platform != types.PlatformTypeWindows:
		r.fault(h.id, "", "runs %s, for which there is no close script; take the tag %s from it", platform, session.FleetTagKey)
	case older(aws.ToString(h.managed.AgentVersion), firstWithEnvVar):
		r.note(h.id, "aws ssm send-command --document-name AWS-UpdateSSMAgent --document-version '$DEFAULT' --instance-ids "+h.id,
			"has the agent %s. It works; from 3.3.2746.0 on, session IDs are not pasted into the script but passed in environment variables", aws.ToString(h.managed.AgentVersion))
	}
	how := d.examineProfile(r, h, f.management)
	d.examineInventories(r, f, h, note)
	if len(r.Findings) == before {
		r.Healthy = append(r.Healthy, fmt.Sprintf("%s: %s, agent %s, online, tagged%s; its dcv listed all of its sessions at %s",
			h.id, h.managed.PlatformType, aws.ToString(h.managed.AgentVersion), how+h.heldTo(), screen.Clock(note.CompleteAt, d.Now())))
	}
}

// unmanaged reports a running host that Systems Manager does not know.
func (d *Doctor) unmanaged(r *Report, h *host, m management) {
	if !h.isInstance() {
		r.fault(h.id, fmt.Sprintf("aws ssm create-activation --iam-role ROLE --registration-limit 1 --tags 'Key=%s,Value=%s'", session.FleetTagKey, d.TagValue),
			"is not registered with Systems Manager in this account and region: create an activation, and register its agent with it")
		return
	}
	if h.hasNoProfile() {
		d.withoutProfile(r, h, m)
		return
	}
	profile := aws.ToString(h.instance.IamInstanceProfile.Arn)
	profile = profile[strings.LastIndexByte(profile, '/')+1:]
	platform := types.PlatformTypeLinux
	if h.instance.Platform == ec2types.PlatformValuesWindows {
		platform = types.PlatformTypeWindows
	}
	r.fault(h.id, fmt.Sprintf("aws iam attach-role-policy --policy-arn %s \\\n  --role-name \"$(aws iam get-instance-profile --instance-profile-name %s --query 'InstanceProfile.Roles[0].RoleName' --output text)\"\n%s",
		d.policy("AmazonSSMManagedInstanceCore"), profile, restartAgent(platform)),
		"is not managed by Systems Manager: its instance profile %s may lack AmazonSSMManagedInstanceCore, its agent may not run, or Systems Manager's endpoints (port 443) may be out of reach. Here, then on the host:", profile)
}

func (d *Doctor) tagCommand(id string) string {
	if strings.HasPrefix(id, "mi-") {
		return fmt.Sprintf("aws ssm add-tags-to-resource --resource-type ManagedInstance --resource-id %s --tags 'Key=%s,Value=%s'", id, session.FleetTagKey, d.TagValue)
	}
	return fmt.Sprintf("aws ec2 create-tags --resources %s --tags 'Key=%s,Value=%s'", id, session.FleetTagKey, d.TagValue)
}

// restartAgent returns the command that restarts the agent, to type on the host.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-agent-status-and-restart.html
func restartAgent(platform types.PlatformType) string {
	if platform == types.PlatformTypeWindows {
		return "Restart-Service AmazonSSMAgent"
	}
	return "sudo systemctl restart amazon-ssm-agent || sudo snap restart amazon-ssm-agent"
}

func heard(node *types.InstanceInformation) string {
	if node.LastPingDateTime == nil {
		return "an unknown time"
	}
	return clock(*node.LastPingDateTime)
}

// older compares versions such as 3.3.2746.0. A version that cannot be parsed is not older.
func older(version string, than []int) bool {
	parts := strings.Split(version, ".")
	for i, least := range than {
		if i >= len(parts) {
			return true
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n > least {
			return false
		}
		if n < least {
			return true
		}
	}
	return false
}
