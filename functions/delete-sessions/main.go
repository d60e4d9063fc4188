// Command delete-sessions is the Lambda function behind POST /deleteSessions.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

func main() {
	awsenv.CollectRarely()
	out := awsenv.Output()
	log := out.Log
	var env awsenv.Settings
	var (
		table    = env.Text("SESSIONS_TABLE")
		hosts    = env.Text("HOSTS_TABLE")
		document = env.Text("CLOSE_DOCUMENT")
		fleetTag = env.Text("FLEET_TAG_VALUE")
		maxBatch = env.Count("MAX_BATCH_SIZE", 1000)
		giveUp   = env.Minutes("GIVE_UP_AFTER_MINUTES", 60, 1)
		force    = env.OneOf("FORCE_MODE", string(session.Purge), string(session.BestEffort))
	)
	env.MustBeRight(log)

	db := dynamodb.NewFromConfig(awsenv.Config(4*time.Second), func(o *dynamodb.Options) {
		o.BaseEndpoint = awsenv.Endpoint("DYNAMODB")
	})
	systemsManager := ssm.NewFromConfig(awsenv.Config(6*time.Second), func(o *ssm.Options) {
		o.BaseEndpoint = awsenv.Endpoint("SSM")
	})
	handler := &httpapi.DeleteSessions{
		Deleter: &session.Deleter{
			Table:     dynamo.New(db, table),
			Closer:    &runcommand.Closer{API: systemsManager, Document: document, FleetTag: fleetTag},
			GiveUp:    giveUp,
			ForceMode: session.ForceMode(force),
			Log:       log,
		},
		DryRunner: &session.DryRunner{
			Reader:      dynamo.NewReader(db, table),
			Notes:       dynamo.Hosts{Client: db, Table: hosts},
			HostChecker: &runcommand.Checker{API: systemsManager, FleetTag: fleetTag},
			Log:         log,
		},
		MaxBatch: maxBatch,
		Now:      time.Now,
		Log:      log,
	}
	awsenv.Connect(
		awsenv.Service{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)},
		awsenv.Service{Client: systemsManager.Options().HTTPClient, Endpoint: runcommand.Endpoint(systemsManager)},
	)
	lambda.Start(out.Reporting(handler.Handle))
}
