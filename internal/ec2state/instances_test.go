package ec2state_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

var _ session.Instances = (*ec2state.Instances)(nil)

// A counted API notes the number of IDs in each call, and can answer in pages of a set
// size.
type counted struct {
	ec2state.API
	asked   [][]string
	pages   int
	most    int32
	failing int // the number of the call that fails, from 1
}

func (c *counted) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, opts ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	c.pages++
	if in.NextToken == nil {
		c.asked = append(c.asked, in.Filters[0].Values)
	}
	if len(c.asked) == c.failing {
		return nil, errors.New("throttled")
	}
	if c.most > 0 {
		smaller := *in
		smaller.MaxResults = &c.most
		in = &smaller
	}
	return c.API.DescribeInstances(ctx, in, opts...)
}

func newFleet(t *testing.T, hosts int) (*fleet.Fleet, []string) {
	t.Helper()
	f, err := fleet.New(fleet.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	var ids []string
	for n := range hosts {
		ids = append(ids, fmt.Sprintf("i-%017d", n))
		start(t, f, ids[n])
	}
	return f, ids
}

func start(t *testing.T, f *fleet.Fleet, host string) {
	t.Helper()
	if _, err := f.StartSession(host, fleet.Session{ID: "a", Owner: "user"}); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func overTheWire(t *testing.T, f *fleet.Fleet) *ec2.Client {
	t.Helper()
	server := httptest.NewServer(f.EC2Handler())
	t.Cleanup(server.Close)
	return ec2.New(ec2.Options{
		BaseEndpoint: aws.String(server.URL),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

func TestAHostIsGoneOnlyIfItIsTerminatedUnknownOrStopped(t *testing.T) {
	f, ids := newFleet(t, 7)
	hybrid := "mi-01234567890abcdef"
	start(t, f, hybrid)
	must(t, f.Stop(ids[1]))
	must(t, f.Hibernate(ids[2]))
	must(t, f.Terminate(ids[3]))
	must(t, f.Disconnect(ids[4])) // EC2 does not show it
	must(t, f.Stop(ids[5]))
	must(t, f.Start(ids[5]))
	must(t, f.Hibernate(ids[6]))
	must(t, f.Start(ids[6]))
	must(t, f.Stop(ids[6]))
	must(t, f.Stop(hybrid))
	must(t, f.SetOwnerTag(ids[0], `EXAMPLE\user`))
	must(t, f.SetOwnerTag(ids[4], "user"))
	wantOwners := map[string]string{ids[0]: `EXAMPLE\user`, ids[1]: "", ids[2]: "", ids[3]: "", ids[4]: "user", ids[5]: "", ids[6]: ""}
	want := map[string]session.HostStatus{
		ids[0]:       session.Alive,
		ids[1]:       session.Stopped,
		ids[2]:       session.Alive,
		ids[3]:       session.Terminated,
		ids[4]:       session.Alive,
		ids[5]:       session.Alive,
		ids[6]:       session.Stopped,
		hybrid:       session.Alive,
		"i-99999999": session.Terminated,
	}
	hosts := append(slices.Clone(ids), hybrid, "i-99999999", ids[1])
	for what, api := range map[string]ec2state.API{"in process": f, "over the wire": overTheWire(t, f)} {
		c := &counted{API: api}
		got, owners, err := ec2state.New(c).Statuses(t.Context(), hosts)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(wantOwners, owners); diff != "" { // the owners of instances that EC2 knows
			t.Errorf("%s, owners (-want +got):\n%s", what, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if len(c.asked) != 1 || len(c.asked[0]) != 8 {
			t.Errorf("%s: asked about %v, want each instance once", what, c.asked)
		}
	}
}

func TestMachinesThatAreNotEC2sAreNotAskedAbout(t *testing.T) {
	hosts := []string{"mi-01234567890abcdef", "", "host-1", "i-*", "i-????????", "i-0123456", "i-01234567\n", "xi-01234567"}
	c := &counted{}
	got, _, err := ec2state.New(c).Statuses(t.Context(), hosts)
	if err != nil || c.pages != 0 {
		t.Errorf("%d calls, %v; want none", c.pages, err)
	}
	for _, host := range hosts {
		if status, ok := got[host]; !ok || status != session.Alive {
			t.Errorf("host %q: %v, %v; want it alive", host, status, ok)
		}
	}
	if got, _, err := ec2state.New(c).Statuses(t.Context(), nil); err != nil || len(got) != 0 || c.pages != 0 {
		t.Errorf("nothing asked: %v, %v, %d calls", got, err, c.pages)
	}
}

func TestEC2IsAskedOnceForEach200Hosts(t *testing.T) {
	f, ids := newFleet(t, 401)
	must(t, f.Stop(ids[0]))
	must(t, f.Stop(ids[199]))
	must(t, f.Stop(ids[400]))
	for _, page := range []int32{0, 5} {
		c := &counted{API: f, most: page}
		got, _, err := ec2state.New(c).Statuses(t.Context(), ids)
		must(t, err)
		var sizes []int
		for _, asked := range c.asked {
			sizes = append(sizes, len(asked))
		}
		if diff := cmp.Diff([]int{200, 200, 1}, sizes); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
		if page == 0 && c.pages != 3 || page == 5 && c.pages != 40+40+1 {
			t.Errorf("%d pages", c.pages)
		}
		for n, id := range ids {
			want := session.Alive
			if n == 0 || n == 199 || n == 400 {
				want = session.Stopped
			}
			if got[id] != want {
				t.Errorf("host %d: %v, want %v", n, got[id], want)
			}
		}
	}
}

func TestAFailedCallSaysNothingOfAnyHost(t *testing.T) {
	f, ids := newFleet(t, 201)
	for failing := 1; failing <= 2; failing++ {
		got, _, err := ec2state.New(&counted{API: f, failing: failing}).Statuses(t.Context(), ids)
		if err == nil || got != nil {
			t.Errorf("call %d fails: %d statuses, %v", failing, len(got), err)
		}
	}
}

// said answers every call with one instance, after an empty page.
type said struct {
	t        *testing.T
	instance types.Instance
}

func (s said) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	if !aws.ToBool(in.IncludeManagedResources) {
		s.t.Error("instances that a service manages are left out")
	}
	if in.NextToken == nil {
		return &ec2.DescribeInstancesOutput{NextToken: aws.String("more")}, nil
	}
	return &ec2.DescribeInstancesOutput{Reservations: []types.Reservation{{Instances: []types.Instance{s.instance}}}}, nil
}

func TestEveryStateOfAnInstanceIsReadAsAHostStatus(t *testing.T) {
	const spot = types.InstanceLifecycleTypeSpot
	for _, c := range []struct {
		state     types.InstanceStateName
		code      string
		lifecycle types.InstanceLifecycleType
		want      session.HostStatus
	}{
		{"pending", "", "", session.Alive},
		{"running", "", "", session.Alive},
		{"running", "Client.UserInitiatedShutdown", "", session.Alive},
		{"stopping", "Client.UserInitiatedShutdown", "", session.Stopping},
		{"stopping", "Client.UserInitiatedHibernate", "", session.Stopping},
		{"shutting-down", "Client.UserInitiatedShutdown", "", session.Terminated},
		{"terminated", "Client.UserInitiatedShutdown", "", session.Terminated},
		{"terminated", "Client.UserInitiatedHibernate", "", session.Terminated},
		{"terminated", "Server.SpotInstanceTermination", spot, session.Terminated},
		{"a new one", "", "", session.Alive},
		{"stopped", "Client.UserInitiatedShutdown", "", session.Stopped},
		{"stopped", "Client.InstanceInitiatedShutdown", "", session.Stopped},
		{"stopped", "Server.ScheduledStop", "", session.Stopped},
		{"stopped", "", "", session.Stopped},
		{"stopped", "Client.UserInitiatedHibernate", "", session.Alive},
		{"stopped", "Client.UserInitiatedHibernate", spot, session.Alive},
		{"stopped", "Server.SpotInstanceShutdown", spot, session.Alive},
		{"stopped", "", spot, session.Alive},
		{"stopped", "Client.UserInitiatedShutdown", spot, session.Stopped},
		{"stopped", "Client.InstanceInitiatedShutdown", spot, session.Stopped},
	} {
		i := types.Instance{
			InstanceId:        aws.String("i-01234567"),
			State:             &types.InstanceState{Name: c.state},
			InstanceLifecycle: c.lifecycle,
		}
		if c.code != "" {
			i.StateReason = &types.StateReason{Code: &c.code}
		}
		got, _, err := ec2state.New(said{t, i}).Statuses(t.Context(), []string{"i-01234567"})
		if err != nil || got["i-01234567"] != c.want {
			t.Errorf("%s %s %s: %v, %v; want %v", c.state, c.code, c.lifecycle, got, err, c.want)
		}
	}
	got, _, err := ec2state.New(said{t, types.Instance{InstanceId: aws.String("i-01234567")}}).Statuses(t.Context(), []string{"i-01234567"})
	if err != nil || got["i-01234567"] != session.Alive {
		t.Errorf("an instance without a state: %v, %v", got, err)
	}
}
