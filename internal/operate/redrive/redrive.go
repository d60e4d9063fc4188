// Package redrive has SQS put dead letters back into the queue that they came from.
//
// That is the queue of host-events, and it alone. SQS moves only what another queue of SQS gave up on; the queues of what
// EventBridge could not deliver are none of these, and what is in them the leases have tried again long since. The failure
// queue of session-stream holds places in the stream, not records: there cleanup is the way back, which touches every
// confirmed record at its lease's end, so that the stream shows it again.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html
package redrive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Client is SQS's.
type Client interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	StartMessageMoveTask(context.Context, *sqs.StartMessageMoveTaskInput, ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error)
	ListMessageMoveTasks(context.Context, *sqs.ListMessageMoveTasksInput, ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error)
}

// A Redrive moves one queue's messages.
type Redrive struct {
	SQS      Client
	QueueURL string
	// Pause is between two looks at how far it is.
	Pause time.Duration
	Out   io.Writer
}

// Run starts a move, if there is anything to move and none under way, and follows it to its end. Interrupted, it leaves the
// move to SQS, which goes on by itself.
func (r *Redrive) Run(ctx context.Context) error {
	queue, err := r.SQS.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl:       &r.QueueURL,
		AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn, types.QueueAttributeNameApproximateNumberOfMessages},
	})
	if err != nil {
		return fmt.Errorf("read attributes of %s: %w", r.QueueURL, err)
	}
	arn := queue.Attributes[string(types.QueueAttributeNameQueueArn)]
	waiting, err := strconv.Atoi(queue.Attributes[string(types.QueueAttributeNameApproximateNumberOfMessages)])
	if err != nil {
		return fmt.Errorf("count messages in %s: %w", r.QueueURL, err)
	}
	before, err := r.latest(ctx, arn)
	if err != nil {
		return err
	}
	underWay := before != nil && aws.ToString(before.Status) == running
	if !underWay {
		if waiting == 0 {
			fmt.Fprintln(r.Out, "no dead letters: nothing to do")
			return nil
		}
		fmt.Fprintf(r.Out, "about %d dead letters; SQS puts them back\n", waiting)
		// Without a destination, each goes back to where it came from.
		if _, err := r.SQS.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn}); err != nil {
			return fmt.Errorf("start moving the messages of %s: %w", arn, err)
		}
	} else {
		fmt.Fprintln(r.Out, "SQS is putting dead letters back already")
	}
	return r.follow(ctx, arn)
}

// The statuses of a task that are not its end.
const (
	running    = "RUNNING"
	cancelling = "CANCELLING"
)

func (r *Redrive) follow(ctx context.Context, arn string) error {
	for {
		task, err := r.latest(ctx, arn)
		if err != nil {
			return err
		}
		if task == nil {
			return errors.New("SQS has forgotten the task: look at the queue in its console")
		}
		switch status := aws.ToString(task.Status); status {
		case "COMPLETED":
			fmt.Fprintf(r.Out, "%d put back. What comes here again has a cause that is still there: the log of host-events names it\n",
				task.ApproximateNumberOfMessagesMoved)
			return nil
		case running, cancelling:
		default:
			return fmt.Errorf("SQS stopped (%s) after %d messages: %s", status, task.ApproximateNumberOfMessagesMoved, aws.ToString(task.FailureReason))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("SQS goes on with it: %w", ctx.Err())
		case <-time.After(r.Pause):
		}
	}
}

// latest is the newest task of the queue: they are listed in that order.
func (r *Redrive) latest(ctx context.Context, arn string) (*types.ListMessageMoveTasksResultEntry, error) {
	out, err := r.SQS.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &arn, MaxResults: aws.Int32(1)})
	if err != nil {
		return nil, fmt.Errorf("list the moves from %s: %w", arn, err)
	}
	if len(out.Results) == 0 {
		return nil, nil
	}
	return &out.Results[0], nil
}
