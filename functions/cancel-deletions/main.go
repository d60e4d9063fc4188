// Command cancel-deletions is the Lambda function behind POST /cancelDeletions.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/runcommand"
)

func main() {
	env, out := awsenv.Start()
	settings := canceldeletions.ReadSettings(env)
	env.MustBeRight(out.Log)

	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	systemsManager := ssm.NewFromConfig(awsenv.SystemsManager.Config())
	function := canceldeletions.New(canceldeletions.Parts{
		Table:          dynamo.New(db, settings.SessionsTable),
		Getter:         dynamo.NewReader(db, settings.SessionsTable),
		SystemsManager: systemsManager,
		Now:            time.Now,
		Log:            out.Log,
	}, settings)
	awsenv.Connect(
		awsenv.Connection{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)},
		awsenv.Connection{Client: systemsManager.Options().HTTPClient, Endpoint: runcommand.Endpoint(systemsManager)},
	)
	lambda.Start(out.Reporting(function.Handle))
}
