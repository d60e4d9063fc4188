package fleet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dcv-session-broker/internal/local/fleet"
)

func ec2Client(t *testing.T, f *testFleet) *ec2.Client {
	t.Helper()
	server := httptest.NewServer(f.EC2Handler())
	t.Cleanup(server.Close)
	return ec2.New(ec2.Options{
		BaseEndpoint: aws.String(server.URL),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
}

func ec2Filter(name string, values ...string) types.Filter {
	return types.Filter{Name: &name, Values: values}
}

// instances reads all pages, and returns "state reason" for each instance.
func instances(t *testing.T, api ec2.DescribeInstancesAPIClient, in *ec2.DescribeInstancesInput) map[string]string {
	t.Helper()
	found := map[string]string{}
	pages := ec2.NewDescribeInstancesPaginator(api, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				text := string(i.State.Name)
				if i.StateReason != nil {
					text += " " + *i.StateReason.Code
				}
				found[*i.InstanceId] = text
			}
		}
	}
	return found
}

func TestInstancesAreDescribedWithTheirStatesAndReasons(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	ids := f.hosts(7)
	f.startSession("mi-01234567890abcdef", fleet.Session{ID: "a", Owner: "u"}) // outside EC2
	f.do(f.Stop, ids[1])
	f.do(f.Hibernate, ids[2])
	f.do(f.Terminate, ids[3])
	f.do(f.Silence, ids[4]) // EC2 does not show it
	f.do(f.Untag, ids[5])
	f.do(f.Hibernate, ids[6])
	f.do(f.Start, ids[6])
	const running, stopped = "running", "stopped Client.UserInitiatedShutdown"
	const hibernated, terminated = "stopped Client.UserInitiatedHibernate", "terminated Client.UserInitiatedShutdown"
	all := map[string]string{
		ids[0]: running, ids[1]: stopped, ids[2]: hibernated, ids[3]: terminated, ids[4]: running, ids[5]: running, ids[6]: running,
	}
	c := ec2Client(t, f)
	for _, tc := range []struct {
		what string
		in   ec2.DescribeInstancesInput
		want map[string]string
	}{
		{"all", ec2.DescribeInstancesInput{}, all},
		{"all by pages", ec2.DescribeInstancesInput{MaxResults: aws.Int32(5)}, all},
		{"by ID", ec2.DescribeInstancesInput{InstanceIds: []string{ids[0], ids[3]}},
			map[string]string{ids[0]: running, ids[3]: terminated}},
		{"by IDs of which some are unknown", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("instance-id", ids[1], "i-99999999")}},
			map[string]string{ids[1]: stopped}},
		{"by state", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("instance-state-name", "stopped", "terminated")}},
			map[string]string{ids[1]: stopped, ids[2]: hibernated, ids[3]: terminated}},
		{"by tag and ID", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("tag:DcvFleet", "test"), ec2Filter("instance-id", ids[4:]...)}},
			map[string]string{ids[4]: running, ids[6]: running}},
		{"none", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("tag:DcvFleet", "other")}}, map[string]string{}},
	} {
		direct, wire := tc.in, tc.in
		if diff := cmp.Diff(tc.want, instances(t, f, &direct)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.what, diff)
		}
		if diff := cmp.Diff(tc.want, instances(t, c, &wire)); diff != "" {
			t.Errorf("%s, over the wire (-want +got):\n%s", tc.what, diff)
		}
	}
}

// The states in between appear in events: at that moment EC2 answers the same.
func TestWhileItIsOnItsWayAnInstanceIsStoppingOrShuttingDown(t *testing.T) {
	for _, c := range []struct{ action, passing, final string }{
		{"stop", "stopping Client.UserInitiatedShutdown", "stopped Client.UserInitiatedShutdown"},
		{"hibernate", "stopping Client.UserInitiatedHibernate", "stopped Client.UserInitiatedHibernate"},
		{"terminate", "shutting-down Client.UserInitiatedShutdown", "terminated Client.UserInitiatedShutdown"},
	} {
		t.Run(c.action, func(t *testing.T) {
			var f *fleet.Fleet
			var seen []string
			var err error
			f, err = fleet.New(fleet.Options{Dir: t.TempDir(), Emit: func(json.RawMessage) {
				for _, text := range instances(t, f, &ec2.DescribeInstancesInput{}) {
					seen = append(seen, text)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.StartSession("i-01234567", fleet.Session{ID: "a", Owner: "u"}); err != nil {
				t.Fatal(err)
			}
			act := map[string]func(string) error{"stop": f.Stop, "hibernate": f.Hibernate, "terminate": f.Terminate}[c.action]
			if err := act("i-01234567"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"running", "running", c.passing, c.final}, seen); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestATerminatedInstanceIsShownForAnHour(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, fleet.Options{Dir: dir})
		defer f.Close()
		host := f.host(1)
		f.do(f.Terminate, host)
		time.Sleep(time.Hour - time.Second)
		if got := instances(t, f, &ec2.DescribeInstancesInput{}); len(got) != 1 {
			t.Errorf("a second before the hour is over: %v", got)
		}
		time.Sleep(time.Second)
		if got := instances(t, f, &ec2.DescribeInstancesInput{}); len(got) != 0 {
			t.Errorf("an hour later: %v", got)
		}
		_, err := f.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{host}})
		if code(err) != "InvalidInstanceID.NotFound" {
			t.Errorf("asked for by its ID: %v", err)
		}
	})
}

func TestDescribeInstancesRefusesWhatEC2Refuses(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	host := f.host(1)
	c := ec2Client(t, f)
	many := make([]string, 201)
	for n := range many {
		many[n] = fmt.Sprintf("i-%08d", n)
	}
	for _, tc := range []struct {
		what, want string
		in         ec2.DescribeInstancesInput
	}{
		{"an unknown ID among others", "InvalidInstanceID.NotFound", ec2.DescribeInstancesInput{InstanceIds: []string{host, "i-99999999"}}},
		{"unknown IDs", "InvalidInstanceID.NotFound", ec2.DescribeInstancesInput{InstanceIds: []string{"i-99999998", "i-99999999"}}},
		{"an ID of another kind", "InvalidInstanceID.Malformed", ec2.DescribeInstancesInput{InstanceIds: []string{"mi-01234567890abcdef"}}},
		{"201 values", "FilterLimitExceeded", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("instance-id", many...)}}},
		{"no values", "InvalidParameterValue", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("instance-id")}}},
		{"51 filters", "FilterLimitExceeded", ec2.DescribeInstancesInput{Filters: make([]types.Filter, 51)}},
		{"an unknown filter", "InvalidParameterValue", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("colour", "red")}}},
		{"a pattern", "UnsupportedOperation", ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("instance-id", "i-*")}}},
		{"IDs by pages", "InvalidParameterCombination", ec2.DescribeInstancesInput{InstanceIds: []string{host}, MaxResults: aws.Int32(5)}},
		{"4 a page", "InvalidParameterValue", ec2.DescribeInstancesInput{MaxResults: aws.Int32(4)}},
		{"1,001 a page", "InvalidParameterValue", ec2.DescribeInstancesInput{MaxResults: aws.Int32(1001)}},
		{"a token of its own", "InvalidNextToken", ec2.DescribeInstancesInput{NextToken: aws.String("x")}},
		{"a dry run", "UnsupportedOperation", ec2.DescribeInstancesInput{DryRun: aws.Bool(false)}},
	} {
		_, direct := f.DescribeInstances(t.Context(), &tc.in)
		if code(direct) != tc.want {
			t.Errorf("%s: got %v, want %s", tc.what, direct, tc.want)
		}
		if tc.want == "FilterLimitExceeded" && len(tc.in.Filters) > 1 {
			for n := range tc.in.Filters { // the protocol has no filters without a name
				tc.in.Filters[n] = ec2Filter("instance-id", host)
			}
		}
		if _, wire := c.DescribeInstances(t.Context(), &tc.in); code(wire) != tc.want || !strings.Contains(wire.Error(), strings.TrimPrefix(direct.Error(), "api error ")) {
			t.Errorf("%s, over the wire: got %v, want %s", tc.what, wire, direct)
		}
	}
	if _, err := f.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{Filters: []types.Filter{ec2Filter("instance-id", many[:200]...)}}); err != nil {
		t.Errorf("200 values: %v", err)
	}
}

// The client must read exactly what the method answers.
func TestAnUnmodifiedEC2ClientReadsEveryAnswerAsItWasMeant(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	ids := f.hosts(7)
	f.do(func(host string) error { return f.SetPlatform(host, "Windows") }, ids[1])
	f.do(f.Hibernate, ids[2])
	f.do(f.Untag, ids[3])
	f.do(f.TakeProfile, ids[4])
	in := &ec2.DescribeInstancesInput{MaxResults: aws.Int32(5), IncludeManagedResources: aws.Bool(true)}
	direct, directErr := f.DescribeInstances(t.Context(), in)
	wire, wireErr := ec2Client(t, f).DescribeInstances(t.Context(), in)
	if directErr != nil || wireErr != nil {
		t.Fatal(directErr, wireErr)
	}
	if wire.NextToken == nil || len(wire.Reservations) != 5 || *wire.Reservations[0].OwnerId != "000000000000" {
		t.Errorf("got %+v", wire)
	}
	diff := cmp.Diff(direct, wire, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(ec2.DescribeInstancesOutput{}, "ResultMetadata"),
		cmpopts.IgnoreUnexported(ec2.DescribeInstancesOutput{}, types.Reservation{}, types.Instance{}, types.InstanceState{},
			types.StateReason{}, types.Tag{}, types.IamInstanceProfile{}))
	if diff != "" {
		t.Errorf("(-method +client):\n%s", diff)
	}
}

func TestRequestsThatAreNotOfTheQueryProtocolAreRefused(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	for _, c := range []struct{ method, body, want string }{
		{http.MethodGet, "Action=DescribeInstances", "InvalidAction"},
		{http.MethodPost, "Action=TerminateInstances&InstanceId.1=i-01234567", "InvalidAction"},
		{http.MethodPost, "Action=DescribeInstances&MaxResults=many", "InvalidParameterValue"},
		{http.MethodPost, "Action=DescribeInstances&Filter.1.Name=instance-id&Filter.1.Value.2=i-01234567", "UnknownParameter"},
		{http.MethodPost, "Action=DescribeInstances&Colour=red", "UnknownParameter"},
		{http.MethodPost, "Action=%zz", "MalformedQueryString"},
		{http.MethodPost, "Action=" + strings.Repeat("x", 2<<20), "MalformedQueryString"},
	} {
		request := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response := httptest.NewRecorder()
		f.EC2Handler().ServeHTTP(response, request)
		body, err := io.ReadAll(response.Result().Body)
		if err != nil || response.Code != http.StatusBadRequest || !strings.Contains(string(body), "<Code>"+c.want+"</Code>") {
			t.Errorf("%s %.80s: %d %s, %v; want %s", c.method, c.body, response.Code, body, err, c.want)
		}
	}
}
