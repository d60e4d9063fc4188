// Command ended-sessions is the Lambda function that the pipe to the event bus
// has make its announcements. It reads the sessions table, and changes nothing.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/events/stream"
)

func main() {
	awsenv.CollectRarely()
	out := awsenv.Output()
	log := out.Log
	var env awsenv.Settings
	var (
		table = env.Text("SESSIONS_TABLE")
		stack = env.Text("STACK")
	)
	env.MustBeRight(log)

	db := dynamodb.NewFromConfig(awsenv.Config(4*time.Second), func(o *dynamodb.Options) {
		o.BaseEndpoint = awsenv.Endpoint("DYNAMODB")
	})
	handler := &stream.EndedSessions{
		Index: dynamo.Index{Client: db, Table: table}, Reader: dynamo.NewReader(db, table), Stack: stack, Log: log,
	}
	awsenv.Connect(awsenv.Service{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)})
	lambda.Start(out.Reporting(handler.Handle))
}
