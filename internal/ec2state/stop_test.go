package ec2state_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

var _ session.Stoppable = (*ec2state.Stopper)(nil)

// With EC2's own client, over HTTP.
func TestRunningHostsThatAreTaggedForIt(t *testing.T) {
	f, err := fleet.New(fleet.Options{Dir: t.TempDir(), FleetTagValue: "studio"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	var ids []string
	for n := range 5 {
		ids = append(ids, fmt.Sprintf("i-%017d", n))
		start(t, f, ids[n])
	}
	before := time.Now().Add(-time.Minute)
	for _, id := range ids[1:] { // 0 has no tag
		must(t, f.StopWhenEmpty(id))
	}
	must(t, f.Untag(ids[2]))
	must(t, f.Stop(ids[3]))
	server := httptest.NewServer(f.EC2Handler())
	t.Cleanup(server.Close)
	client := ec2.New(ec2.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: aws.AnonymousCredentials{}})
	stopper := ec2state.NewStopper(client, "studio")
	running, err := stopper.Running(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range running {
		got = append(got, h.HostID)
		if h.StartedAt.Before(before) || h.StartedAt.After(time.Now()) {
			t.Errorf("%s was started at %v", h.HostID, h.StartedAt)
		}
	}
	if want := []string{ids[1], ids[4]}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if other, err := ec2state.NewStopper(client, "office").Running(t.Context()); err != nil || len(other) > 0 {
		t.Errorf("another fleet: %v, %v", other, err)
	}
	must(t, stopper.Stop(t.Context(), ids[1]))
	for _, id := range []string{ids[0], ids[2]} { // the policy refuses these
		if err := stopper.Stop(t.Context(), id); err == nil || !strings.Contains(err.Error(), "UnauthorizedOperation") {
			t.Errorf("%s: %v", id, err)
		}
	}
	if running, err := stopper.Running(t.Context()); err != nil || len(running) != 1 || running[0].HostID != ids[4] {
		t.Errorf("%v, %v", running, err)
	}
}

// refusing is an EC2 that refuses to stop an instance.
type refusing struct {
	ec2state.StopAPI
	code string
}

func (r refusing) StopInstances(context.Context, *ec2.StopInstancesInput, ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error) {
	return nil, &smithy.GenericAPIError{Code: r.code, Message: "no"}
}

// Errors about one instance are distinguished from errors about the caller.
func TestInstanceThatCannotBeStopped(t *testing.T) {
	for code, ofTheInstance := range map[string]bool{
		"UnsupportedOperation": true, "OperationNotPermitted": true, "IncorrectInstanceState": true, "IncorrectSpotRequestState": true,
		"UnauthorizedOperation": false, "RequestLimitExceeded": false, "InternalError": false,
	} {
		err := ec2state.NewStopper(refusing{code: code}, "studio").Stop(t.Context(), "i-1")
		if err == nil || errors.Is(err, session.ErrCannotBeStopped) != ofTheInstance || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: %v", code, err)
		}
	}
}
