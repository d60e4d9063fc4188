// Command describe-sessions is the Lambda function behind POST
// /describeSessions.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/httpapi/describesessions"
)

func main() {
	env, out := awsenv.Start()
	settings := describesessions.ReadSettings(env)
	env.MustBeRight(out.Log)

	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	reader := dynamo.NewReader(db, settings.SessionsTable)
	reader.Step = dynamo.IndexStep(settings.IndexStep)
	function := describesessions.New(describesessions.Parts{
		Reader: reader,
		Notes:  dynamo.Hosts{Client: db, Table: settings.HostsTable},
		Now:    time.Now,
		Log:    out.Log,
	}, settings)
	awsenv.Connect(awsenv.Connection{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)})
	lambda.Start(out.Reporting(function.Handle))
}
