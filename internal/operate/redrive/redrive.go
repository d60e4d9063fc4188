// Package redrive makes SQS move dead letters back to the queue that they came from.
//
// Only the queue of host-events can be redriven: SQS moves only messages that came from another SQS queue. The queues of
// what EventBridge could not deliver are not of that kind, and cleanup has long repeated those deletions when their leases
// ended. The failure queue of session-stream holds positions in the stream, not records: there, too, cleanup repeats the
// work, since it touches every confirmed record at its lease's end, so that the stream shows it again.
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

// Client is the part of SQS's client that is used here.
type Client interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
	StartMessageMoveTask(context.Context, *sqs.StartMessageMoveTaskInput, ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error)
	ListMessageMoveTasks(context.Context, *sqs.ListMessageMoveTasksInput, ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error)
}

// A Redrive moves the messages of one queue.
type Redrive struct {
	SQS      Client
	QueueURL string
	// Pause is the wait between two looks at the move's state.
	Pause time.Duration
	Out   io.Writer
}

// Run starts a move, unless the queue is empty or a move is under way, and follows it to its end. If Run is interrupted,
// SQS finishes the move.
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
		// Without a destination, each message goes back to the queue that it came from.
		if _, err := r.SQS.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &arn}); err != nil {
			return fmt.Errorf("start moving the messages of %s: %w", arn, err)
		}
	} else {
		fmt.Fprintln(r.Out, "SQS is putting dead letters back already")
	}
	return r.follow(ctx, arn)
}

// The statuses of a task that is not finished.
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
			fmt.Fprintf(r.Out, "%d put back. If messages come here again, the cause is still there: the log of host-events names it\n",
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

// latest returns the newest task of the queue: tasks are listed from the newest.
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
