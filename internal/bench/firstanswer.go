package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/local/runtimeapi"
)

const firstAnswerRounds = 15

// measureFirstAnswers starts every contender for one event that is already waiting, as
// Lambda starts an instance for a waiting request. The contenders connect over TLS.
func measureFirstAnswers(ctx context.Context, r *report, contenders []*contender, rounds int) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	authority := filepath.Join(dir, "ca.pem")
	server, err := standin.StartTLS(authority)
	if err != nil {
		return err
	}
	defer server.Close()
	env := append(environment(server.URL), "SSL_CERT_FILE="+authority, "AWS_CA_BUNDLE="+authority)
	took := make([][]time.Duration, len(contenders))
	connections := make([][]int, len(contenders))
	for range rounds {
		for i, c := range contenders {
			event := fill(server.Table, 1, 1)
			server.Begin(settings[0])
			began := time.Now()
			running, err := runtimeapi.Start(c.path, env)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: awsenv.NewID()})
			answer, err := running.Invoke(ctx, event)
			took[i] = append(took[i], time.Since(began))
			cancel()
			running.Stop()
			if err != nil {
				return fmt.Errorf("%s: %w: %s", c.name, err, answer)
			}
			connections[i] = append(connections[i], server.Connections())
		}
	}
	var rows [][]string
	for i, c := range contenders {
		ratio := float64(median(took[i])) / float64(median(took[0]))
		rows = append(rows, []string{
			c.name, times(ratio), ms(median(took[i])), ms(quantile(took[i], 0.25)) + " to " + ms(quantile(took[i], 0.75)), fmt.Sprint(median(connections[i])),
		})
		if i > 0 {
			r.ratio("first answer of "+c.name+" against this system", ratio)
		} else {
			r.count("connections for the first answer", float64(slices.Min(connections[i]))) // a busy machine can only add some
		}
	}
	head := []string{"exec to the first answer, N = 1", "of this system's", "median", "middle half", "connections"}
	r.say("\n### First answer of a new instance, over TLS, %d rounds\n\n%s", rounds, table(head, rows))
	r.brief["first answer"] = table(head, rows)
	return nil
}
