// Command sequential is the baseline that deletes a batch's sessions
// one after another.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"dcv-session-broker/internal/bench/baseline"
)

func main() { lambda.Start(baseline.New(false).Handle) }
