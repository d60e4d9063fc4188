package standin_test

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

func start(t *testing.T) (*standin.Server, *dynamodb.Client) {
	t.Helper()
	s, err := standin.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Table.Fill(map[string]standin.Item{"a": {
		"SessionId": standin.Text("a"), "Owner": standin.Text(`al"ice`), "State": standin.Text("READY"), "At": standin.Text("2026"),
	}})
	s.Begin(standin.Latency{})
	return s, dynamodb.NewFromConfig(dynamodblocal.Config(s.URL))
}

// The stand-in answers the system's writes as the table in memory does, which is
// held to DynamoDB Local.
func TestWritesAreAnsweredAsByATable(t *testing.T) {
	s, client := start(t)
	table, memory := dynamo.New(client, "Sessions"), memtable.New()
	memory.Put(session.Record{"SessionId": "a", "Owner": `al"ice`, "State": "READY", "At": "2026"})
	is := func(attr string, values ...any) session.Condition {
		return session.Condition{Attr: attr, Op: session.Is, Values: values}
	}
	set := session.Record{"State": "DELETING", "N": int64(7), "Force": true}
	for _, w := range []session.Write{
		{SessionID: "nobody", Set: set},
		{SessionID: "a", Set: set, If: []session.Condition{is("Owner", "bob")}},
		{SessionID: "a", Set: set, If: []session.Condition{{Attr: "At", Op: session.Missing}}},
		{SessionID: "a", Set: set, If: []session.Condition{{Attr: "N", Op: session.Exists}}},
		{SessionID: "a", Set: set, If: []session.Condition{{Attr: "At", Op: session.Before, Values: []any{"2026"}}}},
		{SessionID: "a", Set: session.Record{"Y": "z"}, If: []session.Condition{{Attr: "Gone", Op: session.Before, Values: []any{"2026"}}}},
		{SessionID: "a", Set: set, If: []session.Condition{{Attr: "At", Op: session.Before, Values: []any{"2027"}}, is("State", "READY", "UNKNOWN"), is("Owner", `al"ice`)}},
		{SessionID: "a", Set: session.Record{"Owner": "bob"}, Remove: []string{"N", "Gone"}, If: []session.Condition{is("State", "READY", "DELETING"), {Attr: "N", Op: session.Exists}}},
		{SessionID: "a", Set: session.Record{"X": "y"}},
	} {
		got, want := table.Write(t.Context(), []session.Write{w})[0], memory.Write(t.Context(), []session.Write{w})[0]
		if errors.Is(got.Err, session.ErrCondition) != errors.Is(want.Err, session.ErrCondition) || (got.Err == nil) != (want.Err == nil) {
			t.Errorf("%+v: %v, want %v", w, got.Err, want.Err)
		}
		if diff := cmp.Diff(want.Old, got.Old); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", w, diff)
		}
	}
	if n := s.Calls()["BatchExecuteStatement"]; n != 9 {
		t.Errorf("%d calls", n)
	}
}

// What the baselines ask.
func TestBaselinesAreAnswered(t *testing.T) {
	s, client := start(t)
	key := map[string]types.AttributeValue{"SessionId": &types.AttributeValueMemberS{Value: "a"}}
	update := func(owner string) error {
		_, err := client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("Sessions"), Key: key,
			UpdateExpression: aws.String("SET #state = :deleting, X = :owner"), ConditionExpression: aws.String("#owner = :owner"),
			ExpressionAttributeNames: map[string]string{"#state": "State", "#owner": "Owner"},
			ExpressionAttributeValues: map[string]types.AttributeValue{
				":deleting": &types.AttributeValueMemberS{Value: "DELETING"}, ":owner": &types.AttributeValueMemberS{Value: owner},
			},
		})
		return err
	}
	if unmet := (*types.ConditionalCheckFailedException)(nil); !errors.As(update("bob"), &unmet) {
		t.Error("another owner's update is done")
	}
	if err := update(`al"ice`); err != nil {
		t.Error(err)
	}
	out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("Sessions"), Key: key})
	if err != nil || dynamo.Record(out.Item)["State"] != "DELETING" {
		t.Errorf("%v, %v", out, err)
	}
	systemsManager := ssm.NewFromConfig(dynamodblocal.Config(s.URL))
	send := func(hosts int) error {
		_, err := systemsManager.SendCommand(t.Context(), &ssm.SendCommandInput{
			DocumentName: aws.String("Close"), InstanceIds: make([]string, hosts),
		})
		return err
	}
	if send(1) != nil || send(50) != nil || send(51) == nil {
		t.Error("SendCommand takes 1 to 50 hosts")
	}
}
