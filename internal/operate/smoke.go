package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/smoke"
	"dcv-session-broker/internal/operate/token"
)

func (p *program) smokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "smoke",
		Short: "Tests a broker, from token to DELETED",
		Long: `Tests a broker from the outside: it makes the record of a session that does not
exist, deletes it by force through the API, and waits until it is DELETED. It
needs no host, and closes nothing on one.

It also needs dynamodb:PutItem and DeleteItem on the table of sessions.`,
		Example: `  dcvbroker smoke --stack studio
  dcvbroker smoke --url http://127.0.0.1:8080`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := p.smoke(cmd.Context())
			if errors.Is(err, smoke.ErrFailed) {
				return errUnsuccessful
			}
			return err
		},
	}
}

func (p *program) smoke(ctx context.Context) error {
	c, err := p.connect(ctx)
	if err != nil {
		return err
	}
	check := &smoke.Check{
		API: c.API.URL, HTTP: c.API.HTTP, Tokens: c.API.Tokens,
		Pause: 200 * time.Millisecond, Timeout: 2 * time.Minute, Out: p.out,
	}
	if cache, ok := c.API.Tokens.(*token.Cache); ok {
		check.Tokens = cache.From // the test includes getting a token
	}
	if c.Stack == nil {
		check.Records = &smoke.Control{HTTP: c.API.HTTP, URL: c.API.URL}
		return check.Run(ctx)
	}
	table, err := c.Stack.Output("SessionsTableName")
	if err != nil {
		return err
	}
	check.Records = smoke.Table{Client: dynamodb.NewFromConfig(c.AWS), Name: table}
	check.Guarded = true
	fmt.Fprintf(p.out, "stack %s (%s), %s\n", c.Stack.Name, c.Stack.Status, check.API)
	return check.Run(ctx)
}
