package fleet_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/local/fleet"
)

// Standard error is separate from standard output, and does not make a command fail.
func TestNoiseIsOnStandardErrorOnly(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("echo answer"))
	host := f.host(1)
	f.do(f.MakeNoise, host)
	command := f.send(host)
	i := f.await(command, host, "Success")
	got := f.step(command, host, "linux")
	if *got.StandardOutputContent != "answer\n" || !strings.HasPrefix(*got.StandardErrorContent, "ERROR: ld.so: object") {
		t.Errorf("standard output %q, standard error %q", *got.StandardOutputContent, *got.StandardErrorContent)
	}
	if got := *i.CommandPlugins[0].Output; !strings.HasPrefix(got, "answer\n\n----------ERROR-------\nERROR: ld.so: ") {
		t.Errorf("output in the list: %q", got)
	}
	f.do(f.StopNoise, host)
	command = f.send(host)
	f.await(command, host, "Success")
	if got := *f.step(command, host, "linux").StandardErrorContent; got != "" {
		t.Errorf("standard error %q", got)
	}
}

// A script that cannot be run has no standard output. Where the reason is depends on the fault.
func TestAnAgentThatCannotRunTheScriptSaysWhy(t *testing.T) {
	for _, c := range []struct {
		fault  func(*fleet.Fleet) func(string) error
		code   int32
		output string // in the list and in standard error
	}{
		{func(f *fleet.Fleet) func(string) error { return f.NoExec }, 126, "_script.sh: Permission denied"},
		{func(f *fleet.Fleet) func(string) error { return f.FillDisk }, 1, "no space left on device"},
	} {
		f := newFleet(t, fleet.Options{}, linux("echo answer"))
		host := f.host(1)
		f.do(c.fault(f.Fleet), host)
		command := f.send(host)
		i := f.await(command, host, "Failed")
		got := f.step(command, host, "linux")
		if got.ResponseCode != c.code || *got.StandardOutputContent != "" || !strings.Contains(*got.StandardErrorContent, c.output) {
			t.Errorf("%d, standard output %q, standard error %q", got.ResponseCode, *got.StandardOutputContent, *got.StandardErrorContent)
		}
		if got := *i.CommandPlugins[0].Output; !strings.Contains(got, c.output) || !strings.HasPrefix(got, "\n----------ERROR-------\n") {
			t.Errorf("output in the list: %q", got)
		}
		f.do(f.RepairAgent, host)
		f.await(f.send(host), host, "Success")
	}
}
