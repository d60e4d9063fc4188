package doctor_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/awsenv/awsclient"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/operate/doctor"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template/templatetest"
)

const (
	healthyHost = "i-00000000000000001"
	faulty      = "i-00000000000000002"
	hybrid      = "mi-00000000000000003"
	unknown     = "i-0ffffffffffffffff"
)

// A simulated has simulated hosts, and a doctor that calls the HTTP APIs of a simulated Systems Manager and EC2.
type simulated struct {
	*fleet.Fleet
	doctor.Doctor
	hosts *memtable.Hosts
}

func newSimulated(t *testing.T, hosts ...string) *simulated {
	t.Helper()
	return newSimulatedOf(t, fleet.Options{}, hosts...)
}

func newSimulatedOf(t *testing.T, opts fleet.Options, hosts ...string) *simulated {
	t.Helper()
	deployed := templatetest.Load(t, nil)
	opts.Dir, opts.Documents, opts.FleetTagValue = t.TempDir(), deployed.Documents(), "studio"
	f, err := fleet.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	systemsManager, instances := httptest.NewServer(f.Handler()), httptest.NewServer(f.EC2Handler())
	t.Cleanup(systemsManager.Close)
	t.Cleanup(instances.Close)
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
	})
	answered := memtable.NewHosts()
	s := &simulated{f, doctor.Doctor{
		SystemsManager: ssm.New(ssm.Options{BaseEndpoint: &systemsManager.URL, Region: "us-east-1", Credentials: credentials, HTTPClient: awsclient.Client(systemsManager.Client())}),
		EC2:            ec2.New(ec2.Options{BaseEndpoint: &instances.URL, Region: "us-east-1", Credentials: credentials}),
		Notes:          answered,
		InventoryEvery: 5 * time.Minute,
		TagValue:       "studio",
		Now:            time.Now,
	}, answered}
	for _, d := range deployed.Documents() {
		s.Documents = append(s.Documents, doctor.Document{LogicalID: d.LogicalID, Name: d.LogicalID, Content: d.Content})
	}
	for _, id := range hosts {
		if _, err := f.StartSession(id, fleet.Session{ID: "s-1", Owner: "user1", Type: "virtual"}); err != nil {
			t.Fatal(err)
		}
		s.answer(t, id, time.Now(), true)
	}
	return s
}

// answer notes that the host has answered the inventory of that time.
func (s *simulated) answer(t *testing.T, id string, sent time.Time, complete bool) {
	t.Helper()
	if _, _, err := s.hosts.RecordAnswer(t.Context(), session.HostAnswer{
		HostID: id, InventoryID: sent.String(), SentAt: sent, At: sent, Sessions: 3, Complete: complete,
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *simulated) examine(t *testing.T) *doctor.Report {
	t.Helper()
	r, err := s.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const heldHost = "i-0a1b2c3d4e5f60007"

func TestNothingIsWrongWithAFleetThatIsWell(t *testing.T) {
	s := newSimulated(t, healthyHost, hybrid, heldHost)
	if err := s.SetOwnerTag(heldHost, "user1"); err != nil {
		t.Fatal(err)
	}
	r := s.examine(t)
	if len(r.Findings) > 0 {
		t.Errorf("found %+v", r.Findings)
	}
	var out strings.Builder
	r.Print(&out)
	for _, want := range []string{
		"ok " + healthyHost + ": Linux, agent 3.3.3572.0, online, tagged; its dcv listed all of its sessions at 20",
		"ok " + heldHost + `: Linux, agent 3.3.3572.0, online, tagged, held to the owner "user1" by its tag DcvOwner; its dcv listed`,
		"ok " + hybrid + ": Linux, agent 3.3.3572.0, online, tagged, outside EC2; its dcv listed",
		"ok CloseDocument (CloseDocument): version 1, as deployed", "ok InventoryDocument", "ok IdleDocument",
		"Not looked at: - whether the functions run", "no command is sent to a host", "nodes outside EC2", "0 faults",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
}

// Each fault is found, with the command that fixes it, at the host that has it and at no other.
func TestEachFaultOfAHostIsFound(t *testing.T) {
	for _, c := range []struct {
		name    string
		host    string
		breaks  func(*fleet.Fleet, string) error
		named   bool // the host must be named to be found
		fault   bool
		says    string
		fix     string
		healthy int // hosts without a fault
	}{
		{"untagged", faulty, (*fleet.Fleet).Untag, true, true, "lacks the tag DcvFleet=studio",
			"aws ec2 create-tags --resources " + faulty + " --tags 'Key=DcvFleet,Value=studio'", 0},
		{"untagged, outside EC2", hybrid, (*fleet.Fleet).Untag, true, true, "lacks the tag DcvFleet=studio",
			"aws ssm add-tags-to-resource --resource-type ManagedInstance --resource-id " + hybrid + " --tags 'Key=DcvFleet,Value=studio'", 0},
		{"offline", faulty, (*fleet.Fleet).Silence, false, true, "is ConnectionLost", "sudo systemctl restart amazon-ssm-agent", 1},
		{"offline Windows", faulty, func(f *fleet.Fleet, id string) error {
			return errors.Join(f.SetPlatform(id, "Windows"), f.Silence(id))
		}, false, true, "is ConnectionLost", "Restart-Service AmazonSSMAgent", 1},
		{"not managed", faulty, (*fleet.Fleet).Unmanage, false, true, "its instance profile dcv-host may lack AmazonSSMManagedInstanceCore",
			"aws iam attach-role-policy --policy-arn arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", 1},
		{"offline, outside EC2", hybrid, (*fleet.Fleet).Silence, false, true, "EC2 does not know the node, so its sessions are UNKNOWN until it answers. On the host", "sudo systemctl", 1},
		{"no instance profile", faulty, func(f *fleet.Fleet, id string) error {
			return errors.Join(f.TakeProfile(id), f.Unmanage(id))
		}, false, true, "Default Host Management Configuration is off. Turn that on, once for all instances",
			"aws iam create-role --path /service-role/", 1},
		{"no instance profile any more", faulty, (*fleet.Fleet).TakeProfile, false, false, "it is managed only as long as the credentials last that its agent has",
			"aws ec2 associate-iam-instance-profile --instance-id " + faulty + " --iam-instance-profile Name=PROFILE", 1},
		{"not managed, outside EC2", hybrid, (*fleet.Fleet).Unmanage, true, true, "is not registered",
			"aws ssm create-activation --iam-role ROLE --registration-limit 1 --tags 'Key=DcvFleet,Value=studio'", 0},
		{"old agent", faulty, (*fleet.Fleet).Downgrade, false, false, "has the agent 3.2.2303.0",
			"aws ssm send-command --document-name AWS-UpdateSSMAgent --document-version '$DEFAULT' --instance-ids " + faulty, 1},
		{"stopped", faulty, (*fleet.Fleet).Stop, false, false, "is stopped", "aws ec2 start-instances --instance-ids " + faulty, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSimulated(t, healthyHost, c.host)
			if err := c.breaks(s.Fleet, c.host); err != nil {
				t.Fatal(err)
			}
			if c.named {
				s.Named = []string{c.host}
			}
			r := s.examine(t)
			if len(r.Findings) != 1 {
				t.Fatalf("found %+v", r.Findings)
			}
			got := r.Findings[0]
			if got.About != c.host || got.Fault != c.fault || !strings.Contains(got.Says, c.says) || !strings.HasPrefix(got.Fix, c.fix) || (c.fix == "") != (got.Fix == "") {
				t.Errorf("found %+v", got)
			}
			if hosts := len(r.Healthy) - len(s.Documents); hosts != c.healthy {
				t.Errorf("%d hosts have no fault: %q", hosts, r.Healthy)
			}
		})
	}
}

func TestAllFaultsOfAHostAreReported(t *testing.T) {
	s := newSimulated(t, faulty)
	if err := errors.Join(s.Untag(faulty), s.Downgrade(faulty), s.Silence(faulty)); err != nil {
		t.Fatal(err)
	}
	s.Named = []string{faulty}
	r := s.examine(t)
	if len(r.Findings) != 3 || r.Faults() != 2 {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestMissingHostIsReported(t *testing.T) {
	s := newSimulated(t, healthyHost)
	s.Named = []string{unknown, healthyHost}
	r := s.examine(t)
	if len(r.Findings) != 1 || r.Findings[0].About != unknown || !strings.Contains(r.Findings[0].Says, "does not exist") {
		t.Errorf("found %+v", r.Findings)
	}
	if !slices.ContainsFunc(r.Healthy, func(line string) bool { return strings.HasPrefix(line, healthyHost) }) {
		t.Errorf("the other host was not examined: %q", r.Healthy)
	}
}

func TestAFleetWithoutHostsIsAFault(t *testing.T) {
	s := newSimulated(t, faulty)
	if err := s.Untag(faulty); err != nil {
		t.Fatal(err)
	}
	r := s.examine(t)
	if len(r.Findings) != 2 || r.Faults() != 1 {
		t.Fatalf("found %+v", r.Findings)
	}
	if f := r.Findings[0]; !f.Fault || !strings.Contains(f.Says, "nothing carries the tag DcvFleet=studio") {
		t.Errorf("found %+v", f)
	}
	// It may be a host without the tag, or no DCV host.
	if f := r.Findings[1]; f.Fault || !strings.Contains(f.Says, "does not include "+faulty) || !strings.Contains(f.Fix, "--resources "+faulty) {
		t.Errorf("found %+v", f)
	}
}

func TestManyHostsAreAllExamined(t *testing.T) {
	var hosts []string
	for n := range 120 { // more than a page of either service
		hosts = append(hosts, "i-"+strings.Repeat("0", 14)+string([]byte{'0' + byte(n/100), '0' + byte(n/10%10), '0' + byte(n%10)}))
	}
	s := newSimulated(t, hosts...)
	if err := s.Disconnect(hosts[119]); err != nil {
		t.Fatal(err)
	}
	r := s.examine(t)
	if len(r.Healthy) != 119+len(s.Documents) || r.Faults() != 1 || r.Findings[0].About != hosts[119] {
		t.Errorf("%d have no fault, found %+v", len(r.Healthy), r.Findings)
	}
}

func TestEachFaultOfADocumentIsFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		breaks func(*simulated)
		says   string
		fix    string
	}{
		{"missing", func(s *simulated) { s.Documents[0].Name = "Another" }, "does not exist", "make deploy"},
		{"changed by hand", func(s *simulated) {
			s.Documents[0].Content = strings.Replace(s.Documents[0].Content, "dcv", "dvc", 1)
		}, "is not what the deployed template has (version 1, SHA-256 ", "aws ssm list-document-versions --name CloseDocument; aws ssm update-document-default-version --name CloseDocument --document-version N"},
		{"an old default", func(s *simulated) { s.SystemsManager = changed{s.SystemsManager, "1", "2", types.DocumentStatusActive} },
			"has version 1 for its default", "aws ssm update-document-default-version --name CloseDocument --document-version 2"},
		{"not active", func(s *simulated) { s.SystemsManager = changed{s.SystemsManager, "1", "1", types.DocumentStatusFailed} },
			"is Failed, not Active", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSimulated(t, healthyHost)
			s.Documents = s.Documents[:1]
			c.breaks(s)
			r := s.examine(t)
			if len(r.Findings) != 1 || r.Faults() != 1 || !strings.Contains(r.Findings[0].Says, c.says) || r.Findings[0].Fix != c.fix {
				t.Errorf("found %+v", r.Findings)
			}
		})
	}
}

// changed is a Systems Manager whose documents differ.
type changed struct {
	doctor.SystemsManager
	standard, latest string
	status           types.DocumentStatus
}

func (c changed) DescribeDocument(ctx context.Context, in *ssm.DescribeDocumentInput, opts ...func(*ssm.Options)) (*ssm.DescribeDocumentOutput, error) {
	out, err := c.SystemsManager.DescribeDocument(ctx, in, opts...)
	if err == nil {
		out.Document.DefaultVersion, out.Document.LatestVersion, out.Document.Status = &c.standard, &c.latest, c.status
	}
	return out, err
}

// CloudFormation changes a document's layout, and makes strings of numbers.
func TestADocumentIsTheSameInAnotherLayout(t *testing.T) {
	s := newSimulated(t, healthyHost)
	s.Documents = s.Documents[:1]
	text := s.Documents[0].Content
	other := regexp.MustCompile(`"maxChars":([0-9]+)`).ReplaceAllString(text, `"maxChars" : "$1"`)
	if other == text {
		t.Fatal("the document has another parameter")
	}
	s.Documents[0].Content = "\n" + other
	if r := s.examine(t); len(r.Findings) > 0 {
		t.Errorf("found %+v", r.Findings)
	}
}

func TestAMacIsNotAHost(t *testing.T) {
	s := newSimulated(t, healthyHost)
	s.SystemsManager = apple{s.SystemsManager}
	r := s.examine(t)
	if len(r.Findings) != 1 || r.Findings[0].Says != "runs MacOS, for which there is no close script; take the tag DcvFleet from it" {
		t.Errorf("found %+v", r.Findings)
	}
}

type apple struct{ doctor.SystemsManager }

func (a apple) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, opts ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	out, err := a.SystemsManager.DescribeInstanceInformation(ctx, in, opts...)
	if err == nil {
		for i := range out.InstanceInformationList {
			out.InstanceInformationList[i].PlatformType = types.PlatformTypeMacos
		}
	}
	return out, err
}

// A call that fails is an error, never a report without faults.
func TestFailedCallIsAnError(t *testing.T) {
	s := newSimulated(t, healthyHost)
	s.EC2 = unreachable{}
	if _, err := s.Examine(t.Context()); !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v", err)
	}
	s.Named = []string{healthyHost}
	if _, err := s.Examine(t.Context()); !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v", err)
	}
	s = newSimulated(t, healthyHost)
	s.Notes = unreachable{}
	if _, err := s.Examine(t.Context()); !errors.Is(err, errNoAnswer) {
		t.Errorf("got %v", err)
	}
}

var errNoAnswer = errors.New("access denied")

type unreachable struct{}

func (unreachable) DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return nil, errNoAnswer
}

func (unreachable) Notes(context.Context, []string) (map[string]session.HostNote, error) {
	return nil, errNoAnswer
}
