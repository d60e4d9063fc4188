package main

import (
	"context"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/stuck"
)

func (p *program) stuckCommand() *cobra.Command {
	format := "text"
	cmd := &cobra.Command{
		Use:   "stuck",
		Short: "Lists the deletions that are stuck, and what to do",
		Long: `Lists the deletions that are stuck, the oldest first: their reason, host and
attempts, what happens next, and what to do. A deletion is stuck if an attempt
failed or had no answer, or if cleanup did not process it in time. The list also
has sessions that were removed by force and still have to be closed. Deletions
that wait for their close time are only counted.

It reads the index of open deletions, not the whole table, and the records
themselves. It needs cloudformation:DescribeStacks, dynamodb:Query on the index
by-lease, and dynamodb:BatchGetItem on the table of sessions. It changes
nothing.

It exits with 1 if something is stuck.`,
		Example: `  dcvbroker stuck
  dcvbroker stuck -o json | jq -r '.Deletions[].SessionId'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.listStuck(cmd.Context(), format) },
	}
	choice(cmd, &format, "output", "o", []string{"text", "json"}, "how to show them")
	return cmd
}

func (p *program) listStuck(ctx context.Context, format string) error {
	system, now, book, err := p.sources(ctx)
	if err != nil {
		return err
	}
	lister := &stuck.Lister{System: system, Advice: book.Advice, Now: now}
	list, err := lister.List(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		err = p.json(list)
	} else {
		list.Print(p.out, now())
	}
	if err == nil && len(list.Deletions) > 0 {
		return errUnsuccessful
	}
	return err
}
