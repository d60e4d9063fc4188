// Command cleanup is the Lambda function behind the schedules.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/runcommand"
)

func main() {
	env, out := awsenv.Start()
	settings := cleanup.ReadSettings(env)
	env.MustBeRight(out.Log)

	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	systemsManager := ssm.NewFromConfig(awsenv.SystemsManager.Config())
	instances := ec2.NewFromConfig(awsenv.EC2.Config())
	reader := dynamo.NewReader(db, settings.SessionsTable)
	reader.Step = dynamo.IndexStep(settings.IndexStep)
	function := cleanup.New(cleanup.Parts{
		Table:          dynamo.New(db, settings.SessionsTable),
		Index:          dynamo.Index{Client: db, Table: settings.SessionsTable, Step: dynamo.IndexStep(settings.IndexStep)},
		Reader:         reader,
		HostLister:     dynamo.HostLister{Client: db, Table: settings.SessionsTable, Step: dynamo.IndexStep(settings.IndexStep)},
		HostTable:      dynamo.Hosts{Client: db, Table: settings.HostsTable},
		SystemsManager: systemsManager,
		EC2:            instances,
		Now:            time.Now,
		NewID:          awsenv.NewID,
		Log:            out.Log,
	}, settings)
	awsenv.Connect(
		awsenv.Connection{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)},
		awsenv.Connection{Client: systemsManager.Options().HTTPClient, Endpoint: runcommand.Endpoint(systemsManager)},
	)
	lambda.Start(out.Reporting(function.Handle))
}
