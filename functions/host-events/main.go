// Command host-events is the Lambda function behind the queue of hosts' events.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/events"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

func main() {
	log := awsenv.Logger()
	var env awsenv.Settings
	table := env.Text("SESSIONS_TABLE")
	env.MustBeRight(log)

	db := dynamodb.NewFromConfig(awsenv.Config(4*time.Second), func(o *dynamodb.Options) {
		o.BaseEndpoint = awsenv.Endpoint("DYNAMODB")
	})
	systemsManager := ssm.NewFromConfig(awsenv.Config(6*time.Second), func(o *ssm.Options) {
		o.BaseEndpoint = awsenv.Endpoint("SSM")
	})
	handler := &events.HostEvents{
		Reader:    &runcommand.Reader{API: systemsManager},
		Confirmer: &session.Confirmer{Table: dynamo.New(db, table), Now: time.Now, Log: log},
		Log:       log,
	}
	lambda.Start(handler.Handle)
}
