package fleet_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

func TestAScriptSeesWhatTheAgentShowsIt(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux(`#!/bin/sh
echo "$AWS_SSM_INSTANCE_ID $AWS_SSM_REGION_NAME $SSM_COMMAND_ID"
dcv list-sessions
`))
	host := f.host(1)
	command := f.send(host)
	f.await(command, host, "Success")
	got := f.step(command, host, "linux")
	want := host + " us-east-1 " + command + "\nSession: session-1 (owner:user type:virtual name:'session-1')\n"
	if *got.StandardOutputContent != want || got.ResponseCode != 0 || got.Status != types.CommandInvocationStatusSuccess {
		t.Errorf("got %d %s %q\nwant %q", got.ResponseCode, got.Status, *got.StandardOutputContent, want)
	}
	if *got.ExecutionStartDateTime == "" || *got.ExecutionEndDateTime == "" || *got.ExecutionElapsedTime == "" {
		t.Errorf("times are missing: %+v", got)
	}
}

func TestAnInterpreterLineIsHonoured(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("#!/bin/cat\nnot a shell script\n"))
	host := f.host(1)
	command := f.send(host)
	f.await(command, host, "Success")
	if got := *f.step(command, host, "linux").StandardOutputContent; got != "#!/bin/cat\nnot a shell script\n" {
		t.Errorf("got %q", got)
	}
}

// A value that would be code if it were pasted. Newer agents do not paste it.
func TestParametersAreEnvironmentForNewAgentsAndPastedByOldOnes(t *testing.T) {
	const value = `"; echo pasted; : "`
	d := linux(`if [ -n "${SSM_value+x}" ]; then printf '%s\n' "environment: $SSM_value"; else echo "{{ value }}"; fi
echo "{{plain}}"
`)
	d.Parameters = map[string]template.DocumentParameter{"value": {EnvVar: true}, "plain": {}}
	for _, c := range []struct {
		oldAgent bool
		want     string
	}{
		{false, "environment: " + value + "\nhello\n"},
		{true, "\npasted\nhello\n"},
	} {
		f := newFleet(t, fleet.Options{OldAgent: c.oldAgent}, d)
		host := f.host(1)
		command := f.sendInput(&ssm.SendCommandInput{
			InstanceIds: []string{host}, Parameters: map[string][]string{"value": {value}, "plain": {"hello"}},
		})
		f.await(command, host, "Success")
		if got := *f.step(command, host, "linux").StandardOutputContent; got != c.want {
			t.Errorf("old agent %v: got %q, want %q", c.oldAgent, got, c.want)
		}
	}
}

func TestAFailingScriptIsReportedWithItsExitCode(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("echo out; echo problem >&2; exit 3"))
	host := f.host(1)
	command := f.send(host)
	i := f.await(command, host, "Failed")
	got := f.step(command, host, "linux")
	if got.ResponseCode != 3 || *got.StandardOutputContent != "out\n" ||
		*got.StandardErrorContent != "problem\nfailed to run commands: exit status 3" {
		t.Errorf("got %d, %q, %q", got.ResponseCode, *got.StandardOutputContent, *got.StandardErrorContent)
	}
	if got := *i.CommandPlugins[0].Output; got != "out\n\n----------ERROR-------\nproblem\nfailed to run commands: exit status 3" {
		t.Errorf("output in the list: %q", got)
	}
}

func TestOutputIsCutWhereTheAgentCutsIt(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux(`
i=0
while [ $i -lt 3000 ]; do echo "é--------"; i=$((i+1)); done
i=0
while [ $i -lt 1000 ]; do echo "problem--" >&2; i=$((i+1)); done
`))
	host := f.host(1)
	command := f.send(host)
	i := f.await(command, host, "Success")
	got := f.step(command, host, "linux")
	for _, c := range []struct {
		what, text, end string
		limit           int
	}{
		{"stdout", *got.StandardOutputContent, "--output truncated--", 24000},
		{"stderr", *got.StandardErrorContent, "--output truncated--", 8000},
		{"output in the list", *i.CommandPlugins[0].Output, "---Error truncated----", 2500},
	} {
		if len(c.text) > c.limit || len(c.text) < c.limit-2 || !strings.HasSuffix(c.text, c.end) {
			t.Errorf("%s has %d bytes, want %d, and ends in %q", c.what, len(c.text), c.limit, c.text[len(c.text)-30:])
		}
		if strings.ToValidUTF8(c.text, "") != c.text {
			t.Errorf("%s is cut within a character", c.what)
		}
	}
	if !strings.Contains(*i.CommandPlugins[0].Output, "---Output truncated---\n----------ERROR-------\nproblem--") {
		t.Errorf("output in the list: %q", *i.CommandPlugins[0].Output)
	}
}

func TestAStepThatTakesTooLongIsKilledWithEverythingItStarted(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	begun := func() bool {
		_, one := os.Stat(mark + "1")
		_, two := os.Stat(mark + "2")
		return one == nil && two == nil
	}
	var (
		f       *testFleet
		host    string
		command string
		i       types.CommandInvocation
	)
	// On a busy machine a script may not have begun all when its time is over: it gets more.
	for limit := 2 * time.Second; !begun() && limit < 5*time.Minute; limit *= 4 {
		// `timeout` puts its command into another process group.
		d := linux("echo begun; (" + ticks(mark+"1") + ") & timeout 300 sh -c '" + ticks(mark+"2") + "'")
		d.Steps[0].Timeout = limit
		f = newFleet(t, fleet.Options{}, d)
		host = f.host(1)
		command = f.send(host)
		i = f.await(command, host, "ExecutionTimedOut")
	}
	if i.Status != types.CommandInvocationStatusTimedOut {
		t.Errorf("status %s", i.Status)
	}
	got := f.step(command, host, "linux")
	// The documentation: stdout is empty unless the step succeeded or failed.
	if got.Status != types.CommandInvocationStatusTimedOut || got.ResponseCode != 137 || *got.StandardOutputContent != "" {
		t.Errorf("got %s, %d, %q", got.Status, got.ResponseCode, *got.StandardOutputContent)
	}
	wantEnded(t, mark+"1", mark+"2")
}

// ticks returns a script that writes into a file ten times a second as long as it runs.
func ticks(file string) string { return "while :; do echo >>" + file + "; sleep 0.1; done" }

// wantEnded checks that the scripts that write into these files have stopped.
func wantEnded(t *testing.T, files ...string) {
	t.Helper()
	sizes := func() (all []int64) {
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatalf("it never began: %v", err)
			}
			all = append(all, info.Size())
		}
		return all
	}
	before := sizes()
	time.Sleep(time.Second)
	if after := sizes(); !slices.Equal(before, after) {
		t.Errorf("processes lived on: they wrote %v, then %v", before, after)
	}
}

func TestAStepForAnotherPlatformIsSkipped(t *testing.T) {
	d := linux("echo done")
	d.Steps = append(d.Steps, template.Step{
		Name: "windows", Action: template.RunPowerShellScript, Platform: "Windows", Script: "exit 1", Timeout: time.Minute,
	})
	f := newFleet(t, fleet.Options{}, d)
	host := f.host(1)
	command := f.send(host)
	i := f.await(command, host, "Success")
	const skipped = `Step execution skipped due to unsatisfied preconditions: '"StringEquals": [platformType, Windows]'. Step name: windows`
	if len(i.CommandPlugins) != 2 || *i.CommandPlugins[0].Output != "done\n" || *i.CommandPlugins[1].Output != skipped ||
		i.CommandPlugins[1].Status != types.CommandPluginStatusSuccess {
		t.Errorf("plugins %+v", i.CommandPlugins)
	}
	if got := f.step(command, host, "windows"); *got.StandardOutputContent != "" || got.ResponseCode != 0 {
		t.Errorf("step %+v", got)
	}
}

func TestTheClockOfAHostCanBeOff(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("date +%s; date -u +%Y"))
	host := f.host(1)
	f.do(func(host string) error { return f.SetClockOffset(host, -time.Hour) }, host)
	command := f.send(host)
	f.await(command, host, "Success")
	got := *f.step(command, host, "linux").StandardOutputContent
	parts := regexp.MustCompile(`^([0-9]+)\n([0-9]{4})\n$`).FindStringSubmatch(got)
	if parts == nil {
		t.Fatalf("date says %q", got)
	}
	seconds, err := time.ParseDuration(parts[1] + "s")
	if err != nil {
		t.Fatal(err)
	}
	if off := time.Until(time.Unix(0, 0).Add(seconds)); off > -59*time.Minute || off < -75*time.Minute {
		t.Errorf("the clock is %v off, want an hour late", off)
	}
}

func TestAScriptLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	f := newFleet(t, fleet.Options{Dir: dir}, linux("echo x >file"))
	host := f.host(1)
	f.await(f.send(host), host, "Success")
	if left, _ := os.ReadDir(filepath.Join(dir, "hosts", host, "orchestration")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
