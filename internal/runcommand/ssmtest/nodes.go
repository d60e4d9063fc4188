package ssmtest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/session"
)

func filter(key string, values ...string) types.InstanceInformationStringFilter {
	return types.InstanceInformationStringFilter{Key: &key, Values: values}
}

// describe gives the nodes that all filters let through, from pages of that size.
func describe(t tb, s System, size int32, filters ...types.InstanceInformationStringFilter) map[string]types.PingStatus {
	t.Helper()
	found := map[string]types.PingStatus{}
	in := &ssm.DescribeInstanceInformationInput{Filters: filters, MaxResults: &size}
	for {
		out, err := s.DescribeInstanceInformation(t.Context(), in)
		if err != nil {
			t.Fatalf("DescribeInstanceInformation: %v", err)
		}
		if len(out.InstanceInformationList) > int(size) {
			t.Errorf("%d nodes on a page of %d", len(out.InstanceInformationList), size)
		}
		for _, n := range out.InstanceInformationList {
			found[aws.ToString(n.InstanceId)] = n.PingStatus
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return found
		}
	}
}

// Online is who can be reached. What else is shown of one that is lost is not documented well enough to hold anybody to:
// it is not Online, if it is shown at all. A stopped node is not shown (amazon-ssm-agent issue 407).
func nodes(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 6)
	well, stopped, lost, untagged, terminated := ids[0], ids[1], ids[2], ids[3], ids[4]
	s.Change(stopped, Stop)
	s.Change(lost, Disconnect)
	s.Change(untagged, Untag)
	s.Change(terminated, Terminate)
	for _, c := range []struct {
		what    string
		filters []types.InstanceInformationStringFilter
		want    []string
	}{
		{"named", []types.InstanceInformationStringFilter{filter("InstanceIds", ids...)}, []string{well, untagged, ids[5]}},
		{"one, and one that nobody knows", []types.InstanceInformationStringFilter{filter("InstanceIds", well, host(99))}, []string{well}},
		{"by tag", []types.InstanceInformationStringFilter{filter("tag:"+session.FleetTagKey, FleetTag)}, []string{well, ids[5]}},
		{"by another value", []types.InstanceInformationStringFilter{filter("tag:"+session.FleetTagKey, "other")}, nil},
		{"by another tag", []types.InstanceInformationStringFilter{filter("tag:Name", FleetTag)}, nil},
		{"named and online", []types.InstanceInformationStringFilter{filter("InstanceIds", ids[:3]...), filter("PingStatus", "Online")}, []string{well}},
	} {
		got := describe(t, s, 50, c.filters...)
		maps.DeleteFunc(got, func(id string, ping types.PingStatus) bool { return id == lost && ping != types.PingStatusOnline })
		if shown := slices.Sorted(maps.Keys(got)); !slices.Equal(shown, c.want) {
			t.Errorf("%s: %q, wanted %q", c.what, shown, c.want)
		}
		for id, ping := range got {
			if ping != types.PingStatusOnline {
				t.Errorf("%s: host %s is %s", c.what, id, ping)
			}
		}
	}
	s.Change(lost, Reconnect)
	s.Change(stopped, Start)
	if got := describe(t, s, 50, filter("PingStatus", "Online")); len(got) != 5 {
		t.Errorf("online again: %v", got)
	}
}

func nodePages(t *testing.T, create Factory) {
	s := create(t, Options{})
	addHosts(s, 13)
	for _, size := range []int32{5, 13, 50} {
		if got := describe(t, s, size, filter("tag:"+session.FleetTagKey, FleetTag)); len(got) != 13 {
			t.Errorf("%d nodes in pages of %d", len(got), size)
		}
	}
	first, err := s.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{
		Filters: []types.InstanceInformationStringFilter{filter("tag:"+session.FleetTagKey, FleetTag)},
	})
	if err != nil || len(first.InstanceInformationList) != 10 || first.NextToken == nil {
		t.Errorf("a page without a size: %d nodes, %v", len(first.InstanceInformationList), err)
	}
	var many []string
	for n := range 101 {
		many = append(many, host(n))
	}
	ids := filter("InstanceIds", host(0))
	for what, in := range map[string]*ssm.DescribeInstanceInformationInput{
		"ValidationException": {MaxResults: aws.Int32(51), Filters: []types.InstanceInformationStringFilter{ids}},
		"InvalidFilterKey":    {Filters: []types.InstanceInformationStringFilter{filter("Colour", "red")}},
		"InvalidNextToken":    {NextToken: aws.String("x"), Filters: []types.InstanceInformationStringFilter{ids}},
	} {
		if _, err := s.DescribeInstanceInformation(t.Context(), in); code(err) != what {
			t.Errorf("%v, wanted %s", err, what)
		}
	}
	if _, err := s.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{
		Filters: []types.InstanceInformationStringFilter{filter("InstanceIds", many...)},
	}); code(err) != "ValidationException" {
		t.Errorf("101 values: %v", err)
	}
}

// ec2States asks EC2 about hosts by filter, which lets through those that it knows.
func ec2States(t tb, s System, ids ...string) map[string]string {
	t.Helper()
	out, err := s.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: aws.String("instance-id"), Values: ids}},
	})
	if err != nil {
		t.Fatalf("DescribeInstances: %v", err)
	}
	found := map[string]string{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			found[aws.ToString(i.InstanceId)] = string(i.State.Name)
			if i.StateReason != nil && i.State.Name == ec2types.InstanceStateNameStopped {
				found[aws.ToString(i.InstanceId)] += " " + aws.ToString(i.StateReason.Code)
			}
		}
	}
	return found
}

// A hibernated instance reports stopped too; only its reason tells.
func instances(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 6)
	s.Change(ids[1], Stop)
	s.Change(ids[2], Hibernate)
	s.Change(ids[3], Terminate)
	s.Change(ids[4], Disconnect)
	s.Change(ids[5], Stop)
	s.Change(ids[5], Start)
	want := map[string]string{
		ids[0]: "running", ids[1]: "stopped Client.UserInitiatedShutdown", ids[2]: "stopped Client.UserInitiatedHibernate",
		ids[3]: "terminated", ids[4]: "running", ids[5]: "running",
	}
	if got := ec2States(t, s, append(slices.Clone(ids), host(99))...); !maps.Equal(got, want) {
		t.Errorf("%v, wanted %v", got, want)
	}
}

// "usually less than one hour" (API reference, DescribeInstances)
func forgotten(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	s.Change(id, Terminate)
	s.Pass(time.Minute)
	if got := ec2States(t, s, id); got[id] != "terminated" {
		t.Errorf("after a minute: %v", got)
	}
	s.Pass(time.Hour)
	if got := ec2States(t, s, id); len(got) != 0 {
		t.Errorf("after an hour: %v", got)
	}
}

func instanceEvents(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 3)
	s.Change(ids[0], Stop)
	s.Change(ids[1], Hibernate)
	s.Change(ids[2], Terminate)
	want := map[string]string{ids[0]: "stopped", ids[1]: "stopped", ids[2]: "terminated"}
	ended := func() map[string]string {
		got := map[string]string{}
		for _, e := range eventsOf(s, "aws.ec2", "EC2 Instance State-change Notification") {
			if e.Detail.State == "stopped" || e.Detail.State == "terminated" {
				got[e.Detail.Instance] += e.Detail.State
			}
		}
		return got
	}
	if !s.Await(func() bool { return maps.Equal(ended(), want) }) {
		t.Errorf("%v, wanted %v", ended(), want)
	}
}
