// Command ended-sessions is the Lambda function that makes the announcements for the
// pipe to the event bus. It reads the sessions table, and changes nothing.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/events/endedsessions"
)

func main() {
	env, out := awsenv.Start()
	settings := endedsessions.ReadSettings(env)
	env.MustBeRight(out.Log)

	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	function := endedsessions.New(endedsessions.Parts{
		Index:  dynamo.Index{Client: db, Table: settings.SessionsTable, Step: dynamo.IndexStep(settings.IndexStep)},
		Getter: dynamo.NewReader(db, settings.SessionsTable),
		Log:    out.Log,
	}, settings)
	awsenv.Connect(awsenv.Connection{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)})
	lambda.Start(out.Reporting(function.Handle))
}
