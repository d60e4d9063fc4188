package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/teardown"
)

func (p *program) deleteStackCommand() *cobra.Command {
	table, confirm := "keep", ""
	cmd := &cobra.Command{
		Use:   "delete-stack",
		Short: "Deletes a stack, after asking",
		Long: `Deletes a stack. It asks for the stack's name first, and waits for the end.

The sessions table stays, unless --table delete, and so does the audit trail:
it prints the commands that delete them later. Sessions on hosts go on.

It needs the permissions cloudformation:DescribeStacks, ListStackResources and
DeleteStack, those to delete what the stack has, and with --table delete also
dynamodb:DescribeTable, UpdateTable and DeleteTable.`,
		Example: `  dcvbroker delete-stack --stack studio
  dcvbroker delete-stack --stack studio --confirm studio --table delete`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.ofStack("delete-stack"); err != nil {
				return err
			}
			cfg, err := p.sdk(cmd.Context())
			if err != nil {
				return err
			}
			t := &teardown.Teardown{
				CloudFormation: cloudformation.NewFromConfig(cfg),
				DynamoDB:       dynamodb.NewFromConfig(cfg),
				Stack:          p.stack,
				Region:         cfg.Region,
				WithTable:      table == "delete",
				Confirm: func(question string) (string, error) {
					if confirm != "" {
						return confirm, nil
					}
					named, err := p.ask(cmd.Context(), question)
					if err == nil && named == "" {
						err = fmt.Errorf("nothing was deleted: type the stack's name, or give --confirm %s (make: CONFIRM=%[1]s)", p.stack)
					}
					return named, err
				},
				Pause: slowPause,
				Out:   p.out,
			}
			return t.Run(cmd.Context())
		},
	}
	choice(cmd, &table, "table", "", []string{"keep", "delete"}, "whether the sessions table is kept or deleted")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the stack's name, instead of being asked for it")
	return cmd
}

// ask prints a question and reads a line. It does not wait for the line if it is interrupted.
func (p *program) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(p.err, question)
	type answer struct {
		line string
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(p.in).ReadString('\n')
		read <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.err)
		return "", errNotConfirmed
	case a := <-read:
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return "", a.err
		}
		return strings.TrimSpace(a.line), nil
	}
}
