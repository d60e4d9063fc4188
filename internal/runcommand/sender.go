// Package runcommand sends hosts commands to close sessions and to warn users, through
// Systems Manager Run Command, and reads their answers. It implements
// session.SessionCloser and session.Notifier, and defines the protocol with the
// documents of template.yaml: their parameters (parameter.go) and their output
// (reader.go).
package runcommand

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// DeliveryTimeout is how long a command waits for its host. With the close
// document's own time-out (60 s) it fills session.Lease.
const DeliveryTimeout = time.Minute

// SenderAPI is the part of the Systems Manager client that a Sender uses.
type SenderAPI interface {
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
}

// A Sender sends commands to hosts by their IDs: to close sessions (close.go), and to
// warn their users (notify.go).
type Sender struct {
	API SenderAPI
	// CloseDocument and NotifyDocument are the documents' names.
	CloseDocument, NotifyDocument string
	// FleetTag is the value of the tag DcvFleet on the hosts that the broker
	// may command.
	FleetTag string
	// Answered returns when each host last answered an inventory, which is sent to the
	// hosts with the tag. It is nil if that is not known. It is called only if Systems
	// Manager refuses a command.
	Answered func(ctx context.Context, hostIDs []string) (map[string]time.Time, error)

	pace pace
}

// A batch is items whose commands differ only in hosts and sessions.
type batch struct {
	document   string
	comment    comment
	parameters map[string]string // all but the sessions
	items      []item
	maxChars   int // of the parameter `sessions`
	// onSent, if not nil, is called for each item of a command that was accepted.
	onSent func(place int, commandID string)
}

// An item is one session of a command, for its host.
type item struct {
	place   int // of its answer
	hostID  string
	session string // as it stands in the parameter
}

// sendable returns the indexes of the items that can be sent, and the answers to all
// items: those to the other items are final.
func sendable[T any](asked []T, hostID func(T) string) (which []int, errs []error) {
	errs = make([]error, len(asked))
	for i, one := range asked {
		if id := hostID(one); !hostIDPattern(id) {
			errs[i] = unmanageable(id)
			continue
		}
		which = append(which, i)
	}
	return which, errs
}

// send sends one SendCommand for up to 50 hosts of each batch, at the same time, and
// puts the answer to each item in its place. If Systems Manager refuses one, send looks
// for the hosts at fault (isolate.go).
func (s *Sender) send(ctx context.Context, batches []batch, errs []error) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, b := range batches {
		for _, cmd := range split(b.items, b.maxChars) {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				o := &order{Sender: s, batch: b, errs: errs, asked: map[string]bool{}, absent: map[string]bool{}}
				o.send(ctx, cmd)
			})
		}
	}
	wg.Wait()
}

// An order is one command that is being sent, until errs has the answer to each of its
// items. The items of two orders are distinct.
type order struct {
	*Sender
	batch
	errs []error
	// For the search for hosts at fault: the errors about which Systems Manager was
	// asked already, and the hosts that it does not know.
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

// answer sets the answer to each item of the groups, by host.
func (o *order) answer(groups []group, errOf func(hostID string) error) {
	for _, g := range groups {
		err := errOf(g.hostID)
		for _, i := range g.places {
			o.errs[i] = err
		}
	}
}

func (o *order) sendCommand(ctx context.Context, cmd command) error {
	if err := ctx.Err(); err != nil {
		return errors.Join(errors.New("no time left to send the "+o.comment.kind+" command"), err)
	}
	parameters := map[string][]string{"sessions": {cmd.parameter()}}
	for name, value := range o.parameters {
		parameters[name] = []string{value}
	}
	if err := o.pace.wait(ctx); err != nil {
		return errors.Join(errors.New("no time left to send the "+o.comment.kind+" command"), err)
	}
	var watched watchedRetryer
	out, err := o.API.SendCommand(ctx, &ssm.SendCommandInput{
		DocumentName:   aws.String(o.document),
		InstanceIds:    cmd.hostIDs(),
		Comment:        aws.String(o.comment.String()),
		Parameters:     parameters,
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
	o.pace.heard(watched.throttled)
	if refused(err) && watched.unanswered {
		return fmt.Errorf("an earlier try had no answer, and may have been accepted; the last try: %s", err.Error())
	}
	if err == nil && o.onSent != nil && out != nil && out.Command != nil {
		for _, g := range cmd.groups {
			for _, i := range g.places {
				o.onSent(i, aws.ToString(out.Command.CommandId))
			}
		}
	}
	return err
}

// watchedRetryer sees each try of a call, since the SDK reports only the last.
// SendCommand has no idempotency token: after a try without an answer the command may
// be on its way, and a refusal of the next try would say that it is not.
//
// A call that is throttled is tried once more only: many functions may send commands at the
// same time, and each further try uses a part of the rate that the others need. When the lease
// ends, cleanup sends the command again, and sends one after the other.
type watchedRetryer struct {
	aws.Retryer
	unanswered bool
	throttled  int // tries
}

func (r *watchedRetryer) IsErrorRetryable(err error) bool {
	if throttled(err) {
		r.throttled++
		return r.throttled < 2 && r.Retryer.IsErrorRetryable(err)
	}
	r.unanswered = r.unanswered || !refused(err)
	return r.Retryer.IsErrorRetryable(err)
}
