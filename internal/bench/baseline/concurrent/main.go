// Command concurrent is the baseline that deletes a batch's sessions
// all at the same time, each in a goroutine.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"dcv-session-broker/internal/bench/baseline"
)

func main() { lambda.Start(baseline.New(true).Handle) }
