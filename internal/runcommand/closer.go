// Package runcommand has hosts close sessions through Systems Manager Run
// Command, and reads what they answered. It implements session.SessionCloser and owns
// the language spoken with the close document of template.yaml: its
// parameters (parameter.go) and its output (reader.go).
package runcommand

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/session"
)

// DeliveryTimeout is how long a command waits for its host. With the close
// document's own time-out (60 s) it fills session.Lease.
const DeliveryTimeout = time.Minute

// SenderAPI is what a Closer needs of the Systems Manager client.
type SenderAPI interface {
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
}

// A Closer implements session.SessionCloser.
type Closer struct {
	API SenderAPI
	// Document is the name of the close document.
	Document string
	// FleetTag is the value of the tag DcvFleet on the hosts that the broker
	// may command.
	FleetTag string
	// Answered is when each host last answered an inventory, which went to the
	// hosts with the tag; nil where that is not known. It is asked only where
	// Systems Manager refuses a command.
	Answered func(ctx context.Context, hostIDs []string) (map[string]time.Time, error)
}

// Close implements session.SessionCloser: one SendCommand for up to 50 hosts and
// deletions that are tried for about as long, side by side. Only where Systems
// Manager refuses one, the hosts at fault are looked for (isolate.go).
func (c *Closer) Close(ctx context.Context, attempt session.Attempt) []error {
	errs := make([]error, len(attempt.Closings))
	var sendable []int
	for i, closing := range attempt.Closings {
		if !hostIDPattern(closing.HostID) {
			errs[i] = unmanageable(closing.HostID)
			continue
		}
		sendable = append(sendable, i)
	}

	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, part := range partsByVoidAfter(attempt, sendable) {
		for _, cmd := range split(attempt.Closings, part.closings) {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				o := &order{
					Closer: c, attempt: attempt, voidAfter: part.voidAfter, errs: errs,
					asked: map[string]bool{}, absent: map[string]bool{},
				}
				o.send(ctx, cmd)
			})
		}
	}
	wg.Wait()
	return errs
}

// An order is one command on its way, until each of its closings has its
// answer in errs. The closings of two orders are distinct.
type order struct {
	*Closer
	attempt   session.Attempt
	voidAfter time.Time
	errs      []error
	// While hosts at fault are looked for: the errors about which Systems
	// Manager was asked already, and the hosts that it does not know.
	asked  map[string]bool
	absent map[string]bool
}

func (o *order) send(ctx context.Context, cmd command) {
	err := o.sendCommand(ctx, cmd)
	if refused(err) {
		o.isolate(ctx, cmd, err)
		return
	}
	o.answer(cmd.groups, func(string) error { return err })
}

// answer gives each closing of the groups its answer, by host.
func (o *order) answer(groups []group, errOf func(hostID string) error) {
	for _, g := range groups {
		err := errOf(g.hostID)
		for _, i := range g.closings {
			o.errs[i] = err
		}
	}
}

func (o *order) sendCommand(ctx context.Context, cmd command) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(errors.New("no time left to send the close command"), err)
	}
	var watched watchedRetryer
	out, err := o.API.SendCommand(ctx, &ssm.SendCommandInput{
		DocumentName: aws.String(o.Document),
		InstanceIds:  cmd.hostIDs(),
		Comment:      aws.String(comment{kind: closeKind, id: o.attempt.ID}.String()),
		Parameters: map[string][]string{
			"sessions":  {cmd.parameter()},
			"voidAfter": {strconv.FormatInt(o.voidAfter.Unix(), 10)},
		},
		TimeoutSeconds: aws.Int32(int32(DeliveryTimeout / time.Second)),
		// By default one failed host ends the command for those that have not
		// begun (MaxErrors 0), and at most 50 work at a time.
		MaxErrors:      aws.String("100%"),
		MaxConcurrency: aws.String("100%"),
	}, func(opts *ssm.Options) {
		if opts.Retryer != nil {
			watched.Retryer = opts.Retryer
			opts.Retryer = &watched
		}
	})
	if refused(err) && watched.unanswered {
		return fmt.Errorf("a try had no answer, and may have been taken; the last one: %s", err.Error())
	}
	if err == nil && o.attempt.OnSent != nil && out != nil && out.Command != nil {
		for _, g := range cmd.groups {
			for _, i := range g.closings {
				o.attempt.OnSent(i, aws.ToString(out.Command.CommandId))
			}
		}
	}
	return err
}

// watchedRetryer sees each try that the SDK makes of a call, of which it reports
// only the last. SendCommand has no idempotency token: after a try without an
// answer the command may be on its way, and a refusal of the next try would say
// that it is not.
type watchedRetryer struct {
	aws.Retryer
	unanswered bool
}

func (r *watchedRetryer) IsErrorRetryable(err error) bool {
	r.unanswered = r.unanswered || !refused(err) && !throttled(err)
	return r.Retryer.IsErrorRetryable(err)
}
