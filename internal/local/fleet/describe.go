package fleet

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// Limits and default of DescribeInstanceInformation.
const (
	maxFilterValues      = 100
	minInstancesPage     = 5
	maxInstancesPage     = 50
	defaultInstancesPage = 10
)

// DescribeInstanceInformation simulates Systems Manager's: the managed nodes by ID, and whether they can be reached. A
// node that has stopped is not in it; one that runs and fails its health check is, as ConnectionLost (amazon-ssm-agent
// issue 407).
func (f *Fleet) DescribeInstanceInformation(_ context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	if in.InstanceInformationFilterList != nil {
		return nil, notSimulated("InstanceInformationFilterList, which is deprecated")
	}
	byTag := 0
	for _, filter := range in.Filters {
		if deref(filter.Key) == "" || slices.Contains(filter.Values, "") {
			return nil, invalid("filters: keys and values must have length greater than or equal to 1")
		}
		if len(filter.Values) < 1 || len(filter.Values) > maxFilterValues {
			return nil, invalid("filters: %s must have 1 to %d values", deref(filter.Key), maxFilterValues)
		}
		if strings.HasPrefix(deref(filter.Key), "tag:") {
			byTag++
		}
	}
	if byTag > 0 && byTag < len(in.Filters) {
		return nil, invalid("filters: tag filters cannot be combined with others")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads.exceeded(f.now()) {
		return nil, throttled()
	}
	var found []types.InstanceInformation
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		h := f.hosts[id]
		matches := h.accepted() && !h.Unmanaged
		for _, filter := range in.Filters {
			fits, err := f.fits(h, deref(filter.Key), filter.Values)
			if err != nil {
				return nil, err
			}
			matches = matches && fits
		}
		if matches {
			found = append(found, f.information(h))
		}
	}
	listed, next, err := page(found, in.NextToken, in.MaxResults, defaultInstancesPage, minInstancesPage, maxInstancesPage)
	return &ssm.DescribeInstanceInformationOutput{InstanceInformationList: listed, NextToken: next}, err
}

// fits tells whether a host matches a filter, whose values are alternatives.
func (f *Fleet) fits(h *host, key string, values []string) (bool, error) {
	if tag, isTag := strings.CutPrefix(key, "tag:"); isTag {
		return f.tagged(h, tag, values), nil
	}
	var wanted string
	switch key {
	case "InstanceIds":
		if !slices.ContainsFunc(values, nodeID.MatchString) {
			return false, &types.InvalidInstanceId{}
		}
		wanted = h.id
	case "PingStatus":
		wanted = string(h.ping())
	case "PlatformTypes":
		wanted = h.Platform
	case "ResourceType":
		wanted = string(h.resourceType())
	default:
		return false, &types.InvalidFilterKey{}
	}
	return slices.Contains(values, wanted), nil
}

func (h *host) ping() types.PingStatus {
	if h.reachable() {
		return types.PingStatusOnline
	}
	return types.PingStatusConnectionLost
}

func (h *host) resourceType() types.ResourceType {
	if isInstance(h.id) {
		return types.ResourceTypeEc2Instance
	}
	return types.ResourceTypeManagedInstance
}

func (f *Fleet) information(h *host) types.InstanceInformation {
	version := "3.3.3572.0"
	old := f.oldAgent || h.OldAgent
	if old {
		version = "3.2.2303.0"
	}
	pinged := f.now()
	if h.Silent {
		pinged = h.SilentSince
	}
	return types.InstanceInformation{
		AgentVersion:     aws.String(version),
		ComputerName:     aws.String(h.id + ".local"),
		IPAddress:        aws.String("127.0.0.1"),
		InstanceId:       aws.String(h.id),
		IsLatestVersion:  aws.Bool(!old),
		LastPingDateTime: aws.Time(pinged),
		PingStatus:       h.ping(),
		PlatformType:     types.PlatformType(h.Platform),
		ResourceType:     h.resourceType(),
		SourceId:         aws.String(h.id),
	}
}

// GetServiceSetting simulates Systems Manager's for one setting: Default Host Management Configuration.
func (f *Fleet) GetServiceSetting(_ context.Context, in *ssm.GetServiceSettingInput, _ ...func(*ssm.Options)) (*ssm.GetServiceSettingOutput, error) {
	const id = "/ssm/managed-instance/default-ec2-instance-management-role"
	if deref(in.SettingId) != id {
		return nil, &types.ServiceSettingNotFound{}
	}
	setting := types.ServiceSetting{SettingId: in.SettingId, SettingValue: aws.String("$None"), Status: aws.String("Default")}
	if f.defaultManagement {
		setting.SettingValue, setting.Status = aws.String("service-role/AWSSystemsManagerDefaultEC2InstanceManagementRole"), aws.String("Customized")
	}
	return &ssm.GetServiceSettingOutput{ServiceSetting: &setting}, nil
}
