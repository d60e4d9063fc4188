package ssmtest

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/agent"
)

// An agent has five commands at work and keeps five; what comes then is not lost (amazon-ssm-agent: CommandBufferFull).
func fullBuffer(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	const most = agent.Workers + agent.Buffer
	var commands []string
	for range most + 2 {
		in := byID(Hanging, id)
		in.TimeoutSeconds = aws.Int32(600)
		commands = append(commands, send(t, s, in))
	}
	statuses := func() map[string]int {
		count := map[string]int{}
		for _, c := range commands {
			count[status(t, s, c, id)]++
		}
		return count
	}
	if !s.Await(func() bool { return statuses()["Delayed/Delayed"] > 0 }) {
		t.Fatalf("with %d commands: %v", len(commands), statuses())
	}
	if n := statuses()["InProgress/InProgress"]; n > most {
		t.Errorf("the agent has %d commands", n)
	}
	for range 10 {
		s.Pass(30 * time.Second)
		if s.Await(func() bool { return statuses()["TimedOut/ExecutionTimedOut"] == len(commands) }) {
			return
		}
	}
	t.Errorf("in the end: %v", statuses())
}

// AWS publishes no rates; whoever is refused tries again later.
func throttles(t *testing.T, create Factory) {
	s := create(t, Options{SendsPerSecond: 1, ReadsPerSecond: 1})
	id := addHosts(s, 1)[0]
	node := []string{id}
	var command *string
	calls := map[string]func() error{
		"SendCommand": func() error {
			out, err := s.SendCommand(t.Context(), byID(OneStep, id))
			if err == nil {
				command = out.Command.CommandId
			}
			return err
		},
		"ListCommandInvocations": func() error {
			_, err := s.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: command})
			return err
		},
		"DescribeInstanceInformation": func() error {
			_, err := s.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{
				Filters: []types.InstanceInformationStringFilter{filter("InstanceIds", node...)},
			})
			return err
		},
	}
	for _, name := range []string{"SendCommand", "ListCommandInvocations", "DescribeInstanceInformation"} {
		var codes []string
		for range 20 {
			codes = append(codes, code(calls[name]()))
		}
		if codes[0] != "" || !slices.Contains(codes, "ThrottlingException") {
			t.Errorf("%s, 20 times: %q", name, codes)
		}
		s.Pass(5 * time.Second)
		if err := calls[name](); err != nil {
			t.Errorf("%s, later: %v", name, err)
		}
		s.Pass(5 * time.Second)
	}
}
