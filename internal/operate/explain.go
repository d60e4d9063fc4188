package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/story"
)

// sinceYesterday is the default of how far back the logs are read.
const sinceYesterday = 24 * time.Hour

func (p *program) explainCommand() *cobra.Command {
	format, since := "text", sinceYesterday
	cmd := &cobra.Command{
		Use:   "explain SESSION",
		Short: "Tells the story of a session and its deletion, and what to do",
		Long: `Tells the whole story of a session and its deletion, in order: who asked for it,
what was tried, what its host said, what its users were told, what happens next
and when, and what to do now.

It reads the tables of the stack, what Systems Manager says of the host and the
command, and what functions have logged. What your credentials may not read is
left out, and the output says so. It needs cloudformation:DescribeStacks, and
dynamodb:BatchGetItem on the table of sessions; for all of it also
dynamodb:BatchGetItem on the table of hosts, ssm:DescribeInstanceInformation,
ssm:ListCommandInvocations, cloudformation:ListStackResources and
logs:FilterLogEvents. It changes nothing.

It exits with 1 if there is no such session.`,
		Example: `  dcvbroker explain SessionId123
  dcvbroker explain console-i-0a1b2c3d4e5f60001 --stack studio
  dcvbroker explain SessionId123 --url http://127.0.0.1:8080 -o json`,
		Args:              oneArg("session"),
		ValidArgsFunction: p.completeIDs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.explain(cmd.Context(), args[0], since, format)
		},
	}
	durationFlag(cmd, &since, "since", since, "how far back the logs are read\nfor a session without a deletion")
	choice(cmd, &format, "output", "o", []string{"text", "json"}, "how to show it")
	return cmd
}

// teller returns what tells the stories of the system's sessions.
func (p *program) teller(ctx context.Context, since time.Duration) (*story.Teller, error) {
	system, now, book, err := p.sources(ctx)
	if err != nil {
		return nil, err
	}
	return &story.Teller{System: system, Advice: book.Advice, Since: since, Now: now}, nil
}

func (p *program) explain(ctx context.Context, sessionID string, since time.Duration, format string) error {
	teller, err := p.teller(ctx, since)
	if err != nil {
		return err
	}
	told, err := teller.Tell(ctx, sessionID)
	if err != nil {
		return err
	}
	if format == "json" {
		err = p.json(told)
	} else {
		told.Print(p.out, teller.Now())
	}
	if err == nil && !told.Found {
		return errUnsuccessful
	}
	return err
}
