package main

import (
	"bufio"
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
					named, err := p.ask(question)
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
	choice(cmd, &table, "table", "", []string{"keep", "delete"}, "what becomes of the sessions table")
	cmd.Flags().StringVar(&confirm, "confirm", "", "the stack's name, instead of being asked for it")
	return cmd
}

// ask prints a question and reads a line.
func (p *program) ask(question string) (string, error) {
	fmt.Fprint(p.err, question)
	line, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}
