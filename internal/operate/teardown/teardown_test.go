package teardown_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/operate/teardown"
)

const id = "arn:aws:cloudformation:us-east-1:123456789012:stack/broker/1"

// account simulates a stack and a table; done has the calls in their order.
type account struct {
	statuses  []cfntypes.StackStatus // after DeleteStack, one for each look
	protected bool
	noTable   bool // the table was never created
	undone    bool // the first deployment failed, and its resources are gone
	busy      int  // how many times the table cannot be deleted yet
	done      []string
	onLook    func() // called when somebody looks after DeleteStack
}

func (a *account) DescribeStacks(_ context.Context, in *cloudformation.DescribeStacksInput, _ ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	status := cfntypes.StackStatusCreateComplete
	if slices.Contains(a.done, "delete stack") {
		if a.onLook != nil {
			a.onLook()
		}
		if aws.ToString(in.StackName) != id {
			return nil, errors.New("a deleted stack is not found by its name")
		}
		if len(a.statuses) == 0 {
			return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: "Stack with id " + id + " does not exist"}
		}
		status, a.statuses = a.statuses[0], a.statuses[1:]
	}
	return &cloudformation.DescribeStacksOutput{Stacks: []cfntypes.Stack{{
		StackName: aws.String("broker"), StackId: aws.String(id), StackStatus: status, StackStatusReason: aws.String("[HttpApi]"),
	}}}, nil
}

func (a *account) ListStackResources(context.Context, *cloudformation.ListStackResourcesInput, ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	if a.noTable {
		return &cloudformation.ListStackResourcesOutput{}, nil
	}
	status := cfntypes.ResourceStatusCreateComplete
	if a.undone {
		status = cfntypes.ResourceStatusDeleteComplete
	}
	return &cloudformation.ListStackResourcesOutput{StackResourceSummaries: []cfntypes.StackResourceSummary{
		{LogicalResourceId: aws.String("SessionsTable"), PhysicalResourceId: aws.String("broker-SessionsTable-1"), ResourceStatus: status},
		{LogicalResourceId: aws.String("AuditLogGroup"), PhysicalResourceId: aws.String("/aws/events/broker/ended-sessions-1"), ResourceStatus: status},
	}}, nil
}

func (a *account) DeleteStack(_ context.Context, in *cloudformation.DeleteStackInput, _ ...func(*cloudformation.Options)) (*cloudformation.DeleteStackOutput, error) {
	if aws.ToString(in.StackName) != id {
		return nil, errors.New("another stack")
	}
	a.done = append(a.done, "delete stack")
	return &cloudformation.DeleteStackOutput{}, nil
}

func (a *account) UpdateTable(_ context.Context, in *dynamodb.UpdateTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateTableOutput, error) {
	if aws.ToBool(in.DeletionProtectionEnabled) {
		return nil, errors.New("protected")
	}
	a.protected = false
	a.done = append(a.done, "unprotect "+*in.TableName)
	return &dynamodb.UpdateTableOutput{}, nil
}

func (a *account) DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error) {
	return &dynamodb.DescribeTableOutput{Table: &types.TableDescription{DeletionProtectionEnabled: &a.protected}}, nil
}

func (a *account) DeleteTable(_ context.Context, in *dynamodb.DeleteTableInput, _ ...func(*dynamodb.Options)) (*dynamodb.DeleteTableOutput, error) {
	if a.protected {
		return nil, &smithy.GenericAPIError{Code: "ValidationException", Message: "protected"}
	}
	if a.busy > 0 {
		a.busy--
		return nil, &types.ResourceInUseException{}
	}
	a.done = append(a.done, "delete "+*in.TableName)
	return &dynamodb.DeleteTableOutput{}, nil
}

func run(t *testing.T, a *account, withTable bool, typed string) (said string, err error) {
	t.Helper()
	return runUntil(t.Context(), t, a, withTable, typed)
}

func runUntil(ctx context.Context, t *testing.T, a *account, withTable bool, typed string) (said string, err error) {
	t.Helper()
	var out strings.Builder
	asked := 0
	err = (&teardown.Teardown{
		CloudFormation: a, DynamoDB: a, Stack: "broker", WithTable: withTable, Pause: time.Millisecond, Out: &out,
		Confirm: func(question string) (string, error) {
			if asked++; strings.Contains(question, "broker-SessionsTable-1") != withTable || !strings.Contains(question, "stack broker ("+id+")") {
				t.Errorf("asked %q", question)
			}
			return typed, nil
		},
	}).Run(ctx)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	return out.String(), err
}

func TestTheTableOutlivesTheStack(t *testing.T) {
	a := &account{protected: true, statuses: []cfntypes.StackStatus{"DELETE_IN_PROGRESS", "DELETE_COMPLETE"}}
	said, err := run(t, a, false, "broker")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"delete stack"}; !slices.Equal(a.done, want) {
		t.Errorf("done: %q", a.done)
	}
	if !strings.Contains(said, "kept: table broker-SessionsTable-1") || !strings.Contains(said, "aws dynamodb delete-table --table-name broker-SessionsTable-1") {
		t.Errorf("said %q", said)
	}
}

func TestTheTableGoesIfThatIsAskedFor(t *testing.T) {
	a := &account{protected: true, busy: 2}
	said, err := run(t, a, true, "broker")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "aws logs delete-log-group --log-group-name /aws/events/broker/ended-sessions-1") {
		t.Errorf("the audit trail stays, but all that is said is %q", said)
	}
	if want := []string{"delete stack", "unprotect broker-SessionsTable-1", "delete broker-SessionsTable-1"}; !slices.Equal(a.done, want) {
		t.Errorf("done: %q", a.done)
	}
}

func TestNothingIsDeletedWithoutItsName(t *testing.T) {
	for _, typed := range []string{"", "y", "yes", "Broker", "another"} {
		for _, withTable := range []bool{false, true} {
			a := &account{}
			if _, err := run(t, a, withTable, typed); !errors.Is(err, teardown.ErrNotConfirmed) || len(a.done) > 0 {
				t.Errorf("%q: %v, done %q", typed, err, a.done)
			}
		}
	}
}

func TestAStackThatStaysKeepsItsTable(t *testing.T) {
	a := &account{statuses: []cfntypes.StackStatus{"DELETE_IN_PROGRESS", "DELETE_FAILED"}}
	_, err := run(t, a, true, "broker")
	if err == nil || !strings.Contains(err.Error(), "broker is DELETE_FAILED: [HttpApi]") {
		t.Errorf("got %v", err)
	}
	if want := []string{"delete stack"}; !slices.Equal(a.done, want) {
		t.Errorf("done: %q", a.done)
	}
}

// Interrupted, it says what goes on, what stays, and how that is deleted.
func TestInterruptedDeletionOfAStack(t *testing.T) {
	for _, withTable := range []bool{false, true} {
		ctx, interrupt := context.WithCancel(t.Context())
		a := &account{protected: true, statuses: slices.Repeat([]cfntypes.StackStatus{"DELETE_IN_PROGRESS"}, 1000), onLook: interrupt}
		said, err := runUntil(ctx, t, a, withTable, "broker")
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "aws cloudformation describe-stacks --stack-name "+id+" shows how far it is") {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(said, "aws dynamodb delete-table --table-name broker-SessionsTable-1") || strings.Contains(said, "is deleted") {
			t.Errorf("said %q", said)
		}
	}
}

func TestAStackWithoutATableGoes(t *testing.T) {
	for _, a := range []*account{{noTable: true}, {undone: true}} {
		said, err := run(t, a, false, "broker")
		if err != nil || said != "stack broker is deleted\n" {
			t.Errorf("%+v: %v, said %q", a, err, said)
		}
	}
}
