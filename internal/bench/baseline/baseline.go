// Package baseline is what one writes first: a Lambda function that deletes
// session by session, each with a read, a write and a command of its own. It
// keeps none of the broker's promises; it is there to be compared with.
package baseline

import (
	"context"
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
)

// A Handler deletes sessions.
type Handler struct {
	dynamoDB       *dynamodb.Client
	systemsManager *ssm.Client
	table          string
	concurrent     bool
}

// New is made from the environment: one after another, or all at the same time.
func New(concurrent bool) *Handler {
	return &Handler{
		dynamoDB:       dynamodb.NewFromConfig(awsenv.DynamoDB.Config()),
		systemsManager: ssm.NewFromConfig(awsenv.SystemsManager.Config()),
		table:          os.Getenv("SESSIONS_TABLE"),
		concurrent:     concurrent,
	}
}

type entry struct {
	SessionID string `json:"SessionId"`
	Owner     string
	Force     bool
}

// Handle answers as Session Manager does.
func (h *Handler) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	var entries []entry
	if json.Unmarshal([]byte(req.Body), &entries) != nil {
		return events.APIGatewayV2HTTPResponse{StatusCode: 400}, nil //nolint:nilerr // the status is the answer
	}
	reasons := make([]string, len(entries))
	var all sync.WaitGroup
	for i, e := range entries {
		if h.concurrent {
			all.Go(func() { reasons[i] = h.delete(ctx, e) })
		} else {
			reasons[i] = h.delete(ctx, e)
		}
	}
	all.Wait()

	lc, _ := lambdacontext.FromContext(ctx)
	answer := struct {
		RequestID        string `json:"RequestId"`
		SuccessfulList   []map[string]string
		UnsuccessfulList []map[string]string
	}{lc.AwsRequestID, []map[string]string{}, []map[string]string{}}
	for i, e := range entries {
		if reasons[i] == "" {
			answer.SuccessfulList = append(answer.SuccessfulList, map[string]string{"SessionId": e.SessionID, "State": "DELETING"})
		} else {
			answer.UnsuccessfulList = append(answer.UnsuccessfulList, map[string]string{"SessionId": e.SessionID, "FailureReason": reasons[i]})
		}
	}
	body, err := json.Marshal(answer)
	return events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: string(body)}, err
}

// delete returns why it failed, if it did.
func (h *Handler) delete(ctx context.Context, e entry) (reason string) {
	key := map[string]types.AttributeValue{"SessionId": &types.AttributeValueMemberS{Value: e.SessionID}}
	found, err := h.dynamoDB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &h.table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return err.Error()
	}
	owner, _ := found.Item["Owner"].(*types.AttributeValueMemberS)
	host, _ := found.Item["HostId"].(*types.AttributeValueMemberS)
	if owner == nil || host == nil || owner.Value != e.Owner {
		return "The requested dcvSession does not exist"
	}
	_, err = h.dynamoDB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                &h.table,
		Key:                      key,
		UpdateExpression:         aws.String("SET #state = :deleting, DeletionRequestedAt = :now"),
		ConditionExpression:      aws.String("#owner = :owner"),
		ExpressionAttributeNames: map[string]string{"#state": "State", "#owner": "Owner"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":deleting": &types.AttributeValueMemberS{Value: "DELETING"},
			":now":      &types.AttributeValueMemberS{Value: time.Now().UTC().Format(time.RFC3339)},
			":owner":    &types.AttributeValueMemberS{Value: e.Owner},
		},
	})
	if err != nil {
		return err.Error()
	}
	_, err = h.systemsManager.SendCommand(ctx, &ssm.SendCommandInput{
		DocumentName: aws.String("AWS-RunShellScript"),
		InstanceIds:  []string{host.Value},
		Parameters:   map[string][]string{"commands": {"dcv close-session '" + e.SessionID + "'"}},
	})
	if err != nil {
		return err.Error()
	}
	return ""
}
