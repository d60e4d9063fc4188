package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/redrive"
)

func (p *program) redriveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "redrive",
		Short: "Puts the dead letters of host-events back into its queue",
		Long: `Puts the dead letters of host-events back into its queue, and waits until SQS
has moved all. Fix their cause first: the log of host-events names it. SQS
cannot do that for the stack's other queues.

It needs the permissions cloudformation:DescribeStacks;
sqs:GetQueueAttributes, StartMessageMoveTask, ListMessageMoveTasks,
ReceiveMessage and DeleteMessage on the queue of dead letters; and
sqs:SendMessage on the queue of host-events.`,
		Example: `  dcvbroker redrive --stack studio`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.ofStack("redrive"); err != nil {
				return err
			}
			cfg, s, err := p.deployed(cmd.Context())
			if err != nil {
				return err
			}
			queue, err := s.Output("HostEventsDeadLetterQueueUrl")
			if err != nil {
				return err
			}
			r := &redrive.Redrive{SQS: sqs.NewFromConfig(cfg), QueueURL: queue, Pause: time.Second, Out: p.out}
			return r.Run(cmd.Context())
		},
	}
}
