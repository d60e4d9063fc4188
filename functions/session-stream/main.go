// Command session-stream is the Lambda function behind the Sessions table's
// stream, and the only writer of DELETED.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/events/sessionstream"
)

func main() {
	env, out := awsenv.Start()
	settings := sessionstream.ReadSettings(env)
	env.MustBeRight(out.Log)

	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	function := sessionstream.New(sessionstream.Parts{
		Table: dynamo.New(db, settings.SessionsTable),
		Now:   time.Now,
		Log:   out.Log,
	})
	awsenv.Connect(awsenv.Connection{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)})
	lambda.Start(out.Reporting(function.Handle))
}
