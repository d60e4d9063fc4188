// Command host-events is the Lambda function behind the queue of hosts' events.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/events"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

func main() {
	awsenv.CollectRarely()
	out := awsenv.Output()
	log := out.Log
	var env awsenv.Settings
	var (
		sessions   = env.Text("SESSIONS_TABLE")
		hosts      = env.Text("HOSTS_TABLE")
		endStopped = env.Switch("END_SESSIONS_OF_STOPPED_HOSTS", true)
	)
	env.MustBeRight(log)

	db := dynamodb.NewFromConfig(awsenv.Config(4*time.Second), func(o *dynamodb.Options) {
		o.BaseEndpoint = awsenv.Endpoint("DYNAMODB")
	})
	systemsManager := ssm.NewFromConfig(awsenv.Config(6*time.Second), func(o *ssm.Options) {
		o.BaseEndpoint = awsenv.Endpoint("SSM")
	})
	instances := ec2.NewFromConfig(awsenv.Config(6*time.Second), func(o *ec2.Options) {
		o.BaseEndpoint = awsenv.Endpoint("EC2")
	})
	table := dynamo.New(db, sessions)
	index := dynamo.Index{Client: db, Table: sessions}
	notes := dynamo.Hosts{Client: db, Table: hosts}
	reaper := &session.HostReaper{
		Table: table, Index: index, Instances: ec2state.New(instances), HostTable: notes,
		EndStopped: endStopped, Now: time.Now, NewID: awsenv.NewID, Log: log,
	}
	handler := &events.HostEvents{
		Reader:    &runcommand.Reader{API: systemsManager},
		Confirmer: &session.Confirmer{Table: table, Index: index, Now: time.Now, Log: log},
		Reconciler: &session.InventoryReconciler{
			Table: table, Index: index, Reaper: reaper,
			HostTable: notes, Now: time.Now, Log: log,
		},
		IdleRecorder: &session.IdleRecorder{Table: table, Index: index, Now: time.Now, Log: log},
		Reaper:       reaper,
		Log:          log,
	}
	awsenv.Connect(
		awsenv.Service{Client: db.Options().HTTPClient, Endpoint: dynamo.Endpoint(db)},
		awsenv.Service{Client: systemsManager.Options().HTTPClient, Endpoint: runcommand.Endpoint(systemsManager)},
	)
	lambda.Start(out.Reporting(handler.Handle))
}
