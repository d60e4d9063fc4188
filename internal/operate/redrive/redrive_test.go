package redrive_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"dcv-session-broker/internal/operate/redrive"
)

const (
	url = "https://sqs.us-east-1.amazonaws.com/123456789012/dead"
	arn = "arn:aws:sqs:us-east-1:123456789012:dead"
)

// queue is a dead-letter queue. tasks are the statuses of the newest task, one for each look.
type queue struct {
	messages string
	tasks    []types.ListMessageMoveTasksResultEntry
	started  int
	refuse   error
}

func (q *queue) GetQueueAttributes(_ context.Context, in *sqs.GetQueueAttributesInput, _ ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error) {
	if aws.ToString(in.QueueUrl) != url || len(in.AttributeNames) != 2 {
		return nil, errors.New("another queue")
	}
	return &sqs.GetQueueAttributesOutput{Attributes: map[string]string{"QueueArn": arn, "ApproximateNumberOfMessages": q.messages}}, nil
}

func (q *queue) StartMessageMoveTask(_ context.Context, in *sqs.StartMessageMoveTaskInput, _ ...func(*sqs.Options)) (*sqs.StartMessageMoveTaskOutput, error) {
	if aws.ToString(in.SourceArn) != arn || in.DestinationArn != nil {
		return nil, errors.New("another way")
	}
	q.started++
	return &sqs.StartMessageMoveTaskOutput{}, q.refuse
}

func (q *queue) ListMessageMoveTasks(_ context.Context, in *sqs.ListMessageMoveTasksInput, _ ...func(*sqs.Options)) (*sqs.ListMessageMoveTasksOutput, error) {
	if aws.ToString(in.SourceArn) != arn {
		return nil, errors.New("another queue")
	}
	if len(q.tasks) == 0 {
		return &sqs.ListMessageMoveTasksOutput{}, nil
	}
	task := q.tasks[0]
	if len(q.tasks) > 1 {
		q.tasks = q.tasks[1:]
	}
	return &sqs.ListMessageMoveTasksOutput{Results: []types.ListMessageMoveTasksResultEntry{task}}, nil
}

func task(status string, moved int64, why string) types.ListMessageMoveTasksResultEntry {
	return types.ListMessageMoveTasksResultEntry{Status: &status, ApproximateNumberOfMessagesMoved: moved, FailureReason: &why}
}

func TestDeadLettersArePutBack(t *testing.T) {
	for name, c := range map[string]struct {
		queue   queue
		started int
		says    string
		err     string
	}{
		"none":               {queue{messages: "0"}, 0, "nothing to do", ""},
		"none after another": {queue{messages: "0", tasks: []types.ListMessageMoveTasksResultEntry{task("COMPLETED", 5, "")}}, 0, "nothing to do", ""},
		"some": {queue{messages: "3", tasks: []types.ListMessageMoveTasksResultEntry{
			task("COMPLETED", 9, ""), task("RUNNING", 1, ""), task("RUNNING", 2, ""), task("COMPLETED", 3, "")}}, 1, "3 put back", ""},
		"under way already": {queue{messages: "3", tasks: []types.ListMessageMoveTasksResultEntry{
			task("RUNNING", 1, ""), task("RUNNING", 2, ""), task("COMPLETED", 3, "")}}, 0, "3 put back", ""},
		"failed": {queue{messages: "3", tasks: []types.ListMessageMoveTasksResultEntry{
			task("COMPLETED", 9, ""), task("FAILED", 1, "AccessDenied")}}, 1, "about 3", "SQS stopped (FAILED) after 1 messages: AccessDenied"},
		"cancelled": {queue{messages: "3", tasks: []types.ListMessageMoveTasksResultEntry{
			task("COMPLETED", 9, ""), task("CANCELLING", 1, ""), task("CANCELLED", 2, "")}}, 1, "about 3", "SQS stopped (CANCELLED) after 2"},
		"refused": {queue{messages: "3", refuse: errors.New("unsupported")}, 1, "about 3", "start moving the messages of " + arn + ": unsupported"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := (&redrive.Redrive{SQS: &c.queue, QueueURL: url, Pause: time.Millisecond, Out: &out}).Run(t.Context())
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %v", err)
			}
			if c.queue.started != c.started || !strings.Contains(out.String(), c.says) {
				t.Errorf("started %d, said %q", c.queue.started, &out)
			}
		})
	}
}

func TestAnInterruptedRedriveGoesOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	q := &queue{messages: "3", tasks: []types.ListMessageMoveTasksResultEntry{task("RUNNING", 1, "")}}
	err := (&redrive.Redrive{SQS: q, QueueURL: url, Pause: time.Hour, Out: &strings.Builder{}}).Run(ctx)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "SQS goes on") {
		t.Errorf("got %v", err)
	}
}
