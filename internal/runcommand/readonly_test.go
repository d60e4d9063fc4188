package runcommand_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/runcommand"
)

// A told is a Systems Manager that shows one host's invocation, for what the
// simulated one cannot show.
type told struct {
	linux, windows string
	whole          map[string]string // by step
	asked          []*ssm.ListCommandInvocationsInput
}

func (x *told) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	x.asked = append(x.asked, in)
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{{
		CommandId: in.CommandId, InstanceId: aws.String(hostID(0)), Comment: aws.String("close " + attemptID),
		Status: types.CommandInvocationStatusSuccess,
		CommandPlugins: []types.CommandPlugin{
			{Name: aws.String("linux"), Output: aws.String(x.linux)},
			{Name: aws.String("windows"), Output: aws.String(x.windows)},
		},
	}}}, nil
}

func (x *told) GetCommandInvocation(_ context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return &ssm.GetCommandInvocationOutput{StandardOutputContent: aws.String(x.whole[aws.ToString(in.PluginName)])}, nil
}

func (x *told) read(t *testing.T) runcommand.Invocation {
	t.Helper()
	invocations, errs := (&runcommand.Reader{API: x}).Read(t.Context(), attemptID, hostIDs(0))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return invocations[hostID(0)]
}

const skipped = "Step execution skipped due to unsatisfied preconditions: '\"StringEquals\": [platformType, Linux]'. Step name: linux"

func TestWindowsHostsAreHeard(t *testing.T) {
	line := `{"id":"s1","result":"closed"}` + "\r\n"
	long := strings.Repeat(" ", 2500)
	for name, x := range map[string]*told{
		"short": {linux: skipped, windows: line},
		"long":  {linux: skipped, windows: long + "{", whole: map[string]string{"windows": long + line, "linux": "{"}},
	} {
		if inv := x.read(t); len(inv.Reports) != 1 || inv.Unreadable != 0 {
			t.Errorf("%s: %+v", name, inv)
		}
	}
}

// An output that is about as long as the list can show is read whole, mark or
// no mark.
func TestOutputThatMayBeCutIsReadWhole(t *testing.T) {
	first := `{"id":"s1","result":"closed"}` + "\n"
	cut := first + strings.Repeat("\n", 2500-len(first)-5)
	x := &told{linux: cut, windows: skipped, whole: map[string]string{"linux": cut + `{"id":"s2","result":"closed"}`}}
	if inv := x.read(t); len(inv.Reports) != 2 {
		t.Errorf("%+v", inv)
	}
}

// After a command to fifty hosts, the event of one host reads the output of that
// host only.
func TestOneHostIsAskedForByItself(t *testing.T) {
	x := &told{}
	x.read(t)
	if len(x.asked) != 1 || aws.ToString(x.asked[0].InstanceId) != hostID(0) || !x.asked[0].Details {
		t.Errorf("asked for %+v", x.asked)
	}
}

// A large is a Systems Manager with so many invocations of one command, hosts 0,
// 1, 2, ..., of which a page shows 50.
type large struct {
	told
	hosts int
}

func (x *large) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	out, err := x.told.ListCommandInvocations(ctx, in, opts...)
	one := out.CommandInvocations[0]
	if in.InstanceId != nil {
		one.InstanceId = in.InstanceId
		return &ssm.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{one}}, err
	}
	first, _ := strconv.Atoi(aws.ToString(in.NextToken))
	out.CommandInvocations = nil
	for n := first; n < min(first+50, x.hosts); n++ {
		one.InstanceId = aws.String(hostID(n))
		out.CommandInvocations = append(out.CommandInvocations, one)
	}
	if first+50 < x.hosts {
		out.NextToken = aws.String(strconv.Itoa(first + 50))
	}
	return out, err
}

// A few hosts of a command to a whole fleet are read one by one after the first page.
// Pages are read for many, also if the first pages have none of them: no order is
// documented.
func TestHostsOfALargeFleetAreFewCalls(t *testing.T) {
	for _, tc := range []struct {
		asked []string
		calls int
	}{
		{hostIDs(1500, 1600, 1999), 1 + 3},
		{hostIDs(upTo(2000)[1500:]...), 2000 / 50},
		{hostIDs(upTo(2000)[1990:]...), 2 + 10},
	} {
		x := &large{hosts: 2000}
		invocations, errs := (&runcommand.Reader{API: x}).Read(t.Context(), attemptID, tc.asked)
		if len(invocations) != len(tc.asked) || len(errs) > 0 || len(x.asked) != tc.calls {
			t.Errorf("%d hosts: %d calls, not %d; %d invocations, errors %v", len(tc.asked), len(x.asked), tc.calls, len(invocations), errs)
		}
	}
}

// An emptyFirst shows its invocation on the second page.
type emptyFirst struct{ told }

func (x *emptyFirst) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	out, err := x.told.ListCommandInvocations(ctx, in, opts...)
	if in.NextToken == nil && err == nil {
		out = &ssm.ListCommandInvocationsOutput{NextToken: aws.String("2")}
	}
	if len(x.asked) > 10 {
		err = errors.New("asked again and again")
	}
	return out, err
}

// A page may have no result although there are more.
func TestEmptyPageIsNotTheLast(t *testing.T) {
	x := &emptyFirst{}
	if _, errs := (&runcommand.Reader{API: x}).Read(t.Context(), attemptID, hostIDs(0)); len(errs) > 0 || len(x.asked) != 2 {
		t.Errorf("%d calls, errors %v", len(x.asked), errs)
	}
}

func TestReadThatFailsNamesEachHost(t *testing.T) {
	broken := errors.New("no route to host")
	script, _ := lines(100)
	for _, tc := range []struct {
		operation string
		failed    []string
	}{
		{"ListCommandInvocations", hostIDs(0, 1, 2)},
		{"GetCommandInvocation", hostIDs(1)},
	} {
		sm := newSystemsManager(t, `if [ $AWS_SSM_INSTANCE_ID != `+hostID(1)+" ]; then exit 0; fi\n"+script, 3)
		sm.fault = func(operation string, _ int) error {
			if operation == tc.operation {
				return broken
			}
			return nil
		}
		invocations, errs := (&runcommand.Reader{API: sm}).Read(t.Context(), sm.send("close "+attemptID, 3), hostIDs(0, 1, 2))
		for _, host := range tc.failed {
			if err := errs[host]; !errors.Is(err, broken) || !strings.Contains(err.Error(), host) {
				t.Errorf("%s fails: host %s: %v", tc.operation, host, err)
			}
		}
		if len(errs) != len(tc.failed) || len(invocations) != 3-len(tc.failed) {
			t.Errorf("%s fails: %d invocations, errors %v", tc.operation, len(invocations), errs)
		}
	}
}
