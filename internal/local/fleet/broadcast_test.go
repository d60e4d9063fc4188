package fleet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

// One command without parameters reaches the whole fleet, on both platforms.
func TestABroadcastWithoutParametersReachesEveryHostOfTheFleet(t *testing.T) {
	d := linux("dcv list-sessions")
	d.Steps = append(d.Steps, template.Step{
		Name: "windows", Action: template.RunPowerShellScript, Platform: "Windows", Script: "exit 0", Timeout: time.Minute,
	})
	f := newFleet(t, fleet.Options{}, d)
	ids := f.hosts(60)
	windows, silent := ids[7], ids[8]
	f.do(func(host string) error { return f.SetPlatform(host, "Windows") }, windows)
	f.do(f.Silence, silent)
	command := f.sendInput(&ssm.SendCommandInput{
		Targets:        []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"test"}}},
		MaxErrors:      aws.String("100%"),
		MaxConcurrency: aws.String("100%"),
	})
	for _, id := range ids {
		switch id {
		case silent:
			f.await(command, id, "Delayed")
		case windows:
			eventually(t, func() error { // Failed if there is no PowerShell
				if got := f.status(command, id); got != "Success" && got != "Failed" {
					return fmt.Errorf("the command is %s on the Windows host", got)
				}
				return nil
			})
		default:
			f.await(command, id, "Success")
		}
	}

	listed := map[string]types.CommandInvocation{}
	var sizes []int
	pages := ssm.NewListCommandInvocationsPaginator(f, &ssm.ListCommandInvocationsInput{CommandId: &command, Details: true})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range page.CommandInvocations {
			listed[*i.InstanceId] = i
		}
		sizes = append(sizes, len(page.CommandInvocations))
	}
	if diff := cmp.Diff([]int{50, 10}, sizes); diff != "" || len(listed) != 60 {
		t.Errorf("%d hosts, pages (-want +got):\n%s", len(listed), diff)
	}
	const skipped = "Step execution skipped due to unsatisfied preconditions"
	for _, id := range ids {
		ran, left := listed[id].CommandPlugins[0], listed[id].CommandPlugins[1]
		if id == windows {
			ran, left = left, ran
		}
		if id == silent {
			continue
		}
		if left.Status != types.CommandPluginStatusSuccess || !strings.HasPrefix(*left.Output, skipped) {
			t.Errorf("host %s: the other platform's step: %s, %q", id, left.Status, *left.Output)
		}
		if strings.HasPrefix(*ran.Output, skipped) || id != windows && !strings.HasPrefix(*ran.Output, "Session: session-") {
			t.Errorf("host %s: its own step: %q", id, *ran.Output)
		}
	}
}
