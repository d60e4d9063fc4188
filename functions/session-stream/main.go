// Command session-stream is the Lambda function behind the Sessions table's
// stream, and the only writer of DELETED.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/events/stream"
	"dcv-session-broker/internal/session"
)

func main() {
	awsenv.CollectRarely()
	out := awsenv.Output()
	log := out.Log
	var env awsenv.Settings
	table := env.Text("SESSIONS_TABLE")
	env.MustBeRight(log)

	db := dynamodb.NewFromConfig(awsenv.Config(4*time.Second), func(o *dynamodb.Options) {
		o.BaseEndpoint = awsenv.Endpoint("DYNAMODB")
	})
	handler := &stream.SessionStream{
		Finisher: &session.Finisher{Table: dynamo.New(db, table), Now: time.Now, Log: log},
		Log:      log,
	}
	awsenv.Connect(awsenv.Service{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)})
	lambda.Start(out.Reporting(handler.Handle))
}
