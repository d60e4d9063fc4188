package fleet_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

func TestAStepOfSeveralMustBeNamed(t *testing.T) {
	d := linux("echo one")
	d.Steps = append(d.Steps, template.Step{Name: "second", Action: template.RunShellScript, Script: "echo two", Timeout: d.Steps[0].Timeout})
	f := newFleet(t, fleet.Options{}, d)
	host := f.host(1)
	command := f.send(host)
	f.await(command, host, "Success")
	for _, c := range []struct {
		what, want string
		in         ssm.GetCommandInvocationInput
	}{
		{"no step", "InvalidPluginName", ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &host}},
		{"no such step", "InvalidPluginName", ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &host, PluginName: aws.String("third")}},
		{"a short name", "ValidationException", ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &host, PluginName: aws.String("abc")}},
		{"another host", "InvocationDoesNotExist", ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: aws.String("i-99999999"), PluginName: aws.String("second")}},
		{"another command", "InvocationDoesNotExist", ssm.GetCommandInvocationInput{CommandId: aws.String("00000000-0000-0000-0000-000000000000"), InstanceId: &host, PluginName: aws.String("second")}},
		{"no ID of a command", "ValidationException", ssm.GetCommandInvocationInput{CommandId: aws.String("x"), InstanceId: &host}},
		{"no ID of a host", "ValidationException", ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: aws.String("x")}},
	} {
		if _, err := f.GetCommandInvocation(t.Context(), &c.in); code(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.what, err, c.want)
		}
	}
	if got := *f.step(command, host, "second").StandardOutputContent; got != "two" && got != "two\n" {
		t.Errorf("second step: %q", got)
	}
}

func TestAnOnlyStepNeedNotBeNamed(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("echo one"))
	host := f.host(1)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: []string{host}, Comment: aws.String("close 1")})
	f.await(command, host, "Success")
	got, err := f.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &host})
	if err != nil {
		t.Fatal(err)
	}
	if *got.PluginName != "linux" || *got.StandardOutputContent != "one\n" || *got.Comment != "close 1" || *got.DocumentName != "Test" {
		t.Errorf("got %+v", got)
	}
}

func TestAStepThatHasNotBegunHasNoResponseCode(t *testing.T) {
	script, release := held(t, "exit 0")
	defer release()
	f := newFleet(t, fleet.Options{}, linux(script))
	ids := f.hosts(2)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxConcurrency: aws.String("1")})
	for _, c := range []struct{ host, status string }{{ids[0], "InProgress"}, {ids[1], "Pending"}} {
		f.await(command, c.host, c.status)
		got := f.step(command, c.host, "linux")
		if string(got.Status) != c.status || got.ResponseCode != -1 || *got.StandardOutputContent != "" || *got.ExecutionEndDateTime != "" {
			t.Errorf("host %s: %+v", c.host, got)
		}
	}
}

func TestInvocationsAreListedByPages(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	ids := f.hosts(60)
	for _, half := range [][]string{ids[:30], ids[30:]} {
		command := f.send(half...)
		for _, id := range half {
			f.await(command, id, "Success")
		}
	}
	seen := map[string]int{}
	var sizes []int
	in := &ssm.ListCommandInvocationsInput{}
	for {
		out, err := f.ListCommandInvocations(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range out.CommandInvocations {
			seen[*i.InstanceId]++
			if len(i.CommandPlugins) != 0 {
				t.Errorf("steps without Details: %+v", i)
			}
		}
		sizes = append(sizes, len(out.CommandInvocations))
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	if diff := cmp.Diff([]int{50, 10}, sizes); diff != "" || len(seen) != 60 {
		t.Errorf("%d hosts, pages (-want +got):\n%s", len(seen), diff)
	}
	for want, in := range map[string]*ssm.ListCommandInvocationsInput{
		"ValidationException": {MaxResults: aws.Int32(51)},
		"InvalidNextToken":    {NextToken: aws.String("x")},
	} {
		if _, err := f.ListCommandInvocations(t.Context(), in); code(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func describe(t *testing.T, f *testFleet, in ssm.DescribeInstanceInformationInput) map[string]types.PingStatus {
	t.Helper()
	nodes := map[string]types.PingStatus{}
	for {
		out, err := f.DescribeInstanceInformation(t.Context(), &in)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range out.InstanceInformationList {
			nodes[*n.InstanceId] = n.PingStatus
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return nodes
		}
	}
}

func filter(key string, values ...string) []types.InstanceInformationStringFilter {
	return []types.InstanceInformationStringFilter{{Key: &key, Values: values}}
}

func TestNodesAreDescribedWithWhetherTheyCanBeReached(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	ids := f.hosts(6)
	f.do(f.Silence, ids[5])
	f.do(f.Stop, ids[1])
	f.do(f.Disconnect, ids[2])
	f.do(f.Untag, ids[3])
	f.do(func(host string) error { return f.SetPlatform(host, "Windows") }, ids[4])
	const online, lost = types.PingStatusOnline, types.PingStatusConnectionLost
	type nodes = map[string]types.PingStatus
	for _, c := range []struct {
		filters []types.InstanceInformationStringFilter
		want    nodes
	}{
		{nil, nodes{ids[0]: online, ids[3]: online, ids[4]: online, ids[5]: lost}},
		{filter("InstanceIds", ids[0], ids[2], "i-99999999"), nodes{ids[0]: online}},
		{filter("PingStatus", "ConnectionLost"), nodes{ids[5]: lost}},
		{append(filter("PingStatus", "Online"), filter("InstanceIds", ids[:3]...)...), nodes{ids[0]: online}},
		{filter("tag:DcvFleet", "test"), nodes{ids[0]: online, ids[4]: online, ids[5]: lost}},
		{filter("tag:DcvFleet", "other"), nodes{}},
		{filter("PlatformTypes", "Windows"), nodes{ids[4]: online}},
	} {
		if diff := cmp.Diff(c.want, describe(t, f, ssm.DescribeInstanceInformationInput{Filters: c.filters})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.filters, diff)
		}
	}
}

func TestNodesAreDescribedByPages(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	f.hosts(60)
	for _, c := range []struct {
		size *int32
		want int
	}{{nil, 10}, {aws.Int32(50), 50}, {aws.Int32(5), 5}} {
		out, err := f.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{MaxResults: c.size})
		if err != nil || len(out.InstanceInformationList) != c.want || out.NextToken == nil {
			t.Errorf("%d nodes on a page, %v; want %d", len(out.InstanceInformationList), err, c.want)
		}
	}
	if got := describe(t, f, ssm.DescribeInstanceInformationInput{}); len(got) != 60 {
		t.Errorf("%d nodes in all", len(got))
	}
}

func TestDescribeInstanceInformationRefusesWhatSystemsManagerRefuses(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	f.host(1)
	var many []string
	for n := range 101 {
		many = append(many, fmt.Sprintf("i-%08d", n))
	}
	for _, c := range []struct {
		what, want string
		in         ssm.DescribeInstanceInformationInput
	}{
		{"51 a page", "ValidationException", ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(51)}},
		{"4 a page", "ValidationException", ssm.DescribeInstanceInformationInput{MaxResults: aws.Int32(4)}},
		{"101 IDs", "ValidationException", ssm.DescribeInstanceInformationInput{Filters: filter("InstanceIds", many...)}},
		{"no values", "ValidationException", ssm.DescribeInstanceInformationInput{Filters: filter("InstanceIds")}},
		{"a tag and more", "ValidationException", ssm.DescribeInstanceInformationInput{Filters: append(filter("tag:DcvFleet", "test"), filter("PingStatus", "Online")...)}},
		{"an unknown filter", "InvalidFilterKey", ssm.DescribeInstanceInformationInput{Filters: filter("Colour", "red")}},
		{"a token of its own", "InvalidNextToken", ssm.DescribeInstanceInformationInput{NextToken: aws.String("x")}},
	} {
		if _, err := f.DescribeInstanceInformation(t.Context(), &c.in); code(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.what, err, c.want)
		}
	}
}
