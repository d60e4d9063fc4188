package ssmtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"pgregory.net/rapid"
)

// One host that cannot have the command fails the whole call (aws-cli issue 3646 and others).
func refusals(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 7)
	good, stopped, lost, untagged, terminated, windows := ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]
	s.Change(stopped, Stop)
	s.Change(lost, Disconnect)
	s.Change(untagged, Untag)
	s.Change(terminated, Terminate)
	s.Change(windows, NotLinux)
	var many []string
	for n := range 51 {
		many = append(many, host(n))
	}
	comment, both, neither := byID(OneStep, good), byID(OneStep, good), byID(OneStep)
	comment.Comment = aws.String(strings.Repeat("c", 101))
	both.Targets = byTag().Targets
	for _, c := range []struct {
		what, want string
		in         *ssm.SendCommandInput
	}{
		{"a host that nobody knows, among others", "InvalidInstanceId", byID(OneStep, good, host(99), ids[6])},
		{"a stopped host", "InvalidInstanceId", byID(OneStep, good, stopped)},
		{"a host that is lost", "InvalidInstanceId", byID(OneStep, lost, good)},
		{"a terminated host", "InvalidInstanceId", byID(OneStep, terminated)},
		{"a host without the tag", "AccessDeniedException", byID(OneStep, good, untagged)},
		{"a host without the tag, and one that nobody knows", "AccessDeniedException", byID(OneStep, host(99), untagged)},
		{"a host of another platform", "UnsupportedPlatformType", byID(OneStep, good, windows)},
		{"a host twice", "DuplicateInstanceId", byID(OneStep, good, ids[6], good)},
		{"51 hosts", "ValidationException", byID(OneStep, many...)},
		{"a comment of 101 characters", "ValidationException", comment},
		{"hosts and a tag", "ValidationException", both},
		{"neither hosts nor a tag", "ValidationException", neither},
		{"a document that is not there", "InvalidDocument", byID("Other", good)},
	} {
		if _, err := s.SendCommand(t.Context(), c.in); code(err) != c.want {
			t.Errorf("%s: %v, wanted %s", c.what, err, c.want)
		}
	}
	// Nothing of it was sent to anybody.
	for _, e := range invocationEvents(s) {
		t.Errorf("an event: %+v", e)
	}
	command := send(t, s, byID(OneStep, good, ids[6]))
	awaitStatus(t, s, command, good, succeeded)
}

func receivers(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 50)
	s.Prints("", "", 0)
	named := send(t, s, byID(OneStep, ids...))
	s.Change(ids[7], Untag)
	tagged := send(t, s, byTag())
	for command, want := range map[string][]string{named: ids, tagged: slices.Concat(ids[:7], ids[8:])} {
		if got := list(t, s, command, 50); len(got) != len(want) {
			t.Errorf("%d invocations, wanted %d", len(got), len(want))
		}
		for _, id := range want {
			awaitStatus(t, s, command, id, succeeded)
		}
		for id, i := range list(t, s, command, 50) {
			if aws.ToString(i.Comment) != "a comment" || aws.ToString(i.CommandId) != command || aws.ToString(i.DocumentName) != OneStep {
				t.Errorf("host %s: %+v", id, i)
			}
		}
	}
	// A tag that no host has is no error of the call: the command ends as a whole.
	for _, id := range ids {
		s.Change(id, Untag)
	}
	if got := list(t, s, send(t, s, byTag()), 50); len(got) != 0 {
		t.Errorf("invocations of a command to nobody: %v", got)
	}
}

// Parameters are as the document declares them (user guide, "SSM document schemas": allowedPattern, allowedValues,
// maxChars; API reference, SendCommand: InvalidParameters).
func parameters(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	s.Prints("", "", 0)
	for what, given := range map[string]map[string][]string{
		"none, of one that is required":  nil,
		"one that is not declared":       {"name": {"a"}, "colour": {"red"}},
		"one that the pattern excludes":  {"name": {"A"}},
		"one that is too long":           {"name": {"abcdef"}},
		"one that is none of its values": {"name": {"a"}, "greeting": {"bye"}},
		"two values of a String":         {"name": {"a", "b"}},
	} {
		in := byID(Asking, id)
		in.Parameters = given
		if _, err := s.SendCommand(t.Context(), in); code(err) != "InvalidParameters" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if events := invocationEvents(s); len(events) > 0 {
		t.Errorf("events: %+v", events)
	}
	for _, given := range []map[string][]string{{"name": {"abcde"}}, {"name": {""}, "greeting": {"hi"}}} {
		in := byID(Asking, id)
		in.Parameters = given
		awaitStatus(t, s, send(t, s, in), id, succeeded)
	}
}

// randomCalls changes hosts and sends commands to them, and holds what is answered against a small model.
func randomCalls(t *testing.T, create Factory) {
	rapid.Check(asTB(t), func(r *rapid.T) {
		s := create(t, Options{})
		s.Prints("done\n", "", 0)
		var ids []string
		model := map[string]*modelHost{}
		for n := range rapid.IntRange(1, 4).Draw(r, "hosts") {
			ids = append(ids, host(n))
			s.AddHost(host(n))
			model[host(n)] = &modelHost{}
		}
		unknown := host(9)
		for range rapid.IntRange(1, 6).Draw(r, "steps") {
			if rapid.Bool().Draw(r, "change") {
				id := rapid.SampledFrom(ids).Draw(r, "host")
				what := rapid.SampledFrom(model[id].possible()).Draw(r, "what")
				s.Change(id, what)
				model[id].change(what)
				continue
			}
			to := rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(ids), unknown)), 1, 4).Draw(r, "to")
			in := byID(OneStep, to...)
			in.TimeoutSeconds = aws.Int32(3600)
			out, err := s.SendCommand(r.Context(), in)
			if want := refusal(model, to); code(err) != want {
				r.Fatalf("SendCommand to %q: %v, wanted %q", to, err, want)
			}
			if err != nil {
				continue
			}
			for _, id := range to {
				command := aws.ToString(out.Command.CommandId)
				if model[id].reachable() {
					awaitStatus(r, s, command, id, succeeded)
					continue
				}
				awaitStatus(r, s, command, id, "Delayed/Delayed")
				model[id].owes = append(model[id].owes, command)
			}
		}
		for _, id := range ids {
			h := model[id]
			for _, what := range []Change{Start, Speak, Reconnect} {
				if slices.Contains(h.possible(), what) {
					s.Change(id, what)
				}
			}
			for _, command := range h.owes {
				awaitStatus(r, s, command, id, succeeded)
			}
		}
	})
}

// modelHost has the state of a host that decides what happens to a command.
type modelHost struct {
	stopped, disconnected, silent, untagged bool
	owes                                    []string
}

// possible are the changes that make sense now.
func (h *modelHost) possible() []Change {
	pick := func(is bool, undo, do Change) Change {
		if is {
			return undo
		}
		return do
	}
	return []Change{
		pick(h.stopped, Start, Stop), pick(h.disconnected, Reconnect, Disconnect), pick(h.silent, Speak, Silence), pick(h.untagged, Tag, Untag),
	}
}

func (h *modelHost) change(what Change) {
	switch what {
	case Stop, Start:
		h.stopped = what == Stop
	case Disconnect, Reconnect:
		h.disconnected = what == Disconnect
	case Silence, Speak:
		h.silent = what == Silence
	case Untag, Tag:
		h.untagged = what == Untag
	case Terminate, Hibernate, NotLinux:
	}
}

func (h *modelHost) reachable() bool { return !h.stopped && !h.disconnected && !h.silent }

// known: Systems Manager takes commands for it. A silent one is taken also if it has stopped since.
func (h *modelHost) known() bool { return !h.disconnected && (!h.stopped || h.silent) }

// refusal is the code that a call is refused with. The policy is asked first; of the other faults the first counts.
func refusal(model map[string]*modelHost, to []string) string {
	for _, id := range to {
		if h := model[id]; h != nil && h.untagged {
			return "AccessDeniedException"
		}
	}
	for n, id := range to {
		switch h := model[id]; {
		case slices.Contains(to[:n], id):
			return "DuplicateInstanceId"
		case h == nil || !h.known():
			return "InvalidInstanceId"
		}
	}
	return ""
}
