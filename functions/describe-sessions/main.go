// Command describe-sessions is the Lambda function behind POST
// /describeSessions.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

func main() {
	awsenv.CollectRarely()
	out := awsenv.Output()
	log := out.Log
	var env awsenv.Settings
	var (
		table    = env.Text("SESSIONS_TABLE")
		fleetTag = env.Text("FLEET_TAG_VALUE")
	)
	env.MustBeRight(log)

	db := dynamodb.NewFromConfig(awsenv.Config(4*time.Second), func(o *dynamodb.Options) {
		o.BaseEndpoint = awsenv.Endpoint("DYNAMODB")
	})
	handler := &httpapi.DescribeSessions{
		Describer: &session.Describer{Reader: dynamo.NewReader(db, table), Now: time.Now},
		FleetTag:  fleetTag,
		Log:       log,
	}
	awsenv.Connect(awsenv.Service{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)})
	lambda.Start(out.Reporting(handler.Handle))
}
