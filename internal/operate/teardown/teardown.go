// Package teardown deletes a stack. The audit trail is kept, and also the sessions table, unless its deletion is requested
// and confirmed.
package teardown

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/operate/stack"
)

// CloudFormation is the part of the SDK's client that is used here.
type CloudFormation interface {
	stack.Client
	DeleteStack(context.Context, *cloudformation.DeleteStackInput, ...func(*cloudformation.Options)) (*cloudformation.DeleteStackOutput, error)
}

// DynamoDB is the part of the SDK's client that is used here.
type DynamoDB interface {
	UpdateTable(context.Context, *dynamodb.UpdateTableInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateTableOutput, error)
	DeleteTable(context.Context, *dynamodb.DeleteTableInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteTableOutput, error)
	DescribeTable(context.Context, *dynamodb.DescribeTableInput, ...func(*dynamodb.Options)) (*dynamodb.DescribeTableOutput, error)
}

// A Teardown deletes one stack.
type Teardown struct {
	CloudFormation CloudFormation
	DynamoDB       DynamoDB
	// Stack is the stack's name. WithTable deletes the table, too.
	Stack, Region string
	WithTable     bool
	// Confirm asks the user to type the name of the stack, and returns what was typed.
	Confirm func(question string) (string, error)
	// Pause is the wait between two looks at the stack's state.
	Pause time.Duration
	Out   io.Writer
}

// ErrNotConfirmed is returned if another name was typed. Then nothing was done.
var ErrNotConfirmed = errors.New("not confirmed: nothing was deleted")

// Run deletes the stack, waits for the end, and prints what is kept.
func (t *Teardown) Run(ctx context.Context) error {
	s, err := stack.Read(ctx, t.CloudFormation, t.Region, t.Stack)
	if err != nil {
		return err
	}
	if err := s.ReadResources(ctx, t.CloudFormation); err != nil {
		return err
	}
	table := s.Resources["SessionsTable"] // empty for a stack whose creation failed before the table; it can be deleted, too
	what := fmt.Sprintf("This deletes the stack %s (%s)", s.Name, s.ID)
	if t.WithTable {
		what += fmt.Sprintf(", and the table %s with the record of every session, open deletions among them", table)
	}
	named, err := t.Confirm(what + ". Type the stack's name: ")
	if err != nil {
		return err
	}
	if named != s.Name {
		return ErrNotConfirmed
	}
	if _, err := t.CloudFormation.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &s.ID}); err != nil {
		return fmt.Errorf("delete stack %s: %w", s.Name, err)
	}
	if err := t.awaitEnd(ctx, s); err != nil {
		if ctx.Err() != nil {
			t.kept(s, table)
		}
		return err
	}
	fmt.Fprintf(t.Out, "stack %s is deleted\n", s.Name)
	if t.WithTable && table != "" {
		t.kept(s, "")
		return t.deleteTable(ctx, table)
	}
	t.kept(s, table)
	return nil
}

// kept prints what stays, and the commands that delete it.
func (t *Teardown) kept(s *stack.Stack, table string) {
	if trail := s.Resources["AuditLogGroup"]; trail != "" {
		fmt.Fprintf(t.Out, "kept: the audit trail, log group %s, whose lines expire after their retention. To delete it now:\n"+
			"  aws logs delete-log-group --log-group-name %[1]s\n", trail)
	}
	if table != "" {
		fmt.Fprintf(t.Out, "kept: table %s (a new stack makes a table of its own). To delete it as well:\n"+
			"  aws dynamodb update-table --table-name %[1]s --no-deletion-protection-enabled\n"+
			"  aws dynamodb delete-table --table-name %[1]s\n", table)
	}
}

// awaitEnd waits until the stack is deleted.
func (t *Teardown) awaitEnd(ctx context.Context, s *stack.Stack) error {
	for {
		out, err := t.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &s.ID})
		switch {
		case stack.Missing(err):
			return nil
		case err != nil:
			return fmt.Errorf("CloudFormation goes on, but cannot be asked how far it is: %w. Later "+showsIt, err, s.ID)
		case len(out.Stacks) != 1:
			return fmt.Errorf("describe stack %s: %d stacks were answered", s.ID, len(out.Stacks))
		}
		switch now := out.Stacks[0]; now.StackStatus {
		case "DELETE_COMPLETE":
			return nil
		case "DELETE_IN_PROGRESS":
		default:
			return fmt.Errorf("stack %s is %s: %s (aws cloudformation describe-stack-events --stack-name %s shows which resource)",
				s.Name, now.StackStatus, aws.ToString(now.StackStatusReason), s.ID)
		}
		if err := t.wait(ctx); err != nil {
			return fmt.Errorf("CloudFormation goes on; "+showsIt+": %w", s.ID, err)
		}
	}
}

// showsIt has the stack's ID: a deleted stack is not found by its name.
const showsIt = "aws cloudformation describe-stacks --stack-name %s shows how far it is"

func (t *Teardown) deleteTable(ctx context.Context, table string) error {
	protected, err := t.DynamoDB.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &table})
	if missing(err) {
		return nil // it was deleted with a stack whose creation failed
	}
	if err != nil {
		return fmt.Errorf("describe table %s: %w", table, err)
	}
	if aws.ToBool(protected.Table.DeletionProtectionEnabled) {
		if _, err := t.DynamoDB.UpdateTable(ctx, &dynamodb.UpdateTableInput{
			TableName: &table, DeletionProtectionEnabled: aws.Bool(false),
		}); err != nil {
			return fmt.Errorf("end the deletion protection of %s: %w", table, err)
		}
	}
	for {
		_, err := t.DynamoDB.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &table})
		if busy := (*types.ResourceInUseException)(nil); errors.As(err, &busy) { // being updated, or deleted
			if err := t.wait(ctx); err != nil {
				return fmt.Errorf("the stack is deleted, and table %s is not yet: %w", table, err)
			}
			continue
		}
		if missing(err) {
			break
		}
		if err != nil {
			return fmt.Errorf("delete table %s: %w", table, err)
		}
		break
	}
	fmt.Fprintf(t.Out, "table %s is deleted; its last backup, of point-in-time recovery, can be restored for 35 days\n", table)
	return nil
}

func missing(err error) bool {
	gone := (*types.ResourceNotFoundException)(nil)
	return errors.As(err, &gone)
}

func (t *Teardown) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(t.Pause):
		return nil
	}
}
