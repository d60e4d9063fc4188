package template

import (
	"time"
)

// Queue is a standard SQS queue.
type Queue struct {
	LogicalID         string
	VisibilityTimeout time.Duration
	Delay             time.Duration
	Retention         time.Duration
	MaxReceiveCount   int    // how often a message is received before it goes to the dead-letter queue; 0: there is none
	DeadLetterQueue   string // logical ID, or ""
}

func (t *Template) addQueue(p *properties) {
	q := Queue{
		LogicalID:         p.at,
		VisibilityTimeout: p.seconds("VisibilityTimeout", 30, 0, 43200),
		Delay:             p.seconds("DelaySeconds", 0, 0, 900),
		Retention:         p.seconds("MessageRetentionPeriod", 345600, 60, 1209600),
	}
	p.physicalName("QueueName")
	p.ignore("KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MaximumMessageSize", "ReceiveMessageWaitTimeSeconds",
		"RedriveAllowPolicy", "SqsManagedSseEnabled", "Tags")
	if p.has("RedrivePolicy") {
		policy := p.object("RedrivePolicy")
		q.DeadLetterQueue = t.resource(policy, "deadLetterTargetArn", "Arn", "AWS::SQS::Queue")
		policy.required("maxReceiveCount")
		q.MaxReceiveCount = policy.within("maxReceiveCount", 1, 1, 1000)
		policy.end()
	}
	t.queues = append(t.queues, q)
}
