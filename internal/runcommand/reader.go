package runcommand

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/session"
)

// ReaderAPI is the part of the Systems Manager client that a Reader uses.
type ReaderAPI interface {
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
}

// A Reader reads hosts' answers to commands.
type Reader struct {
	API ReaderAPI

	pace pace
}

// An Invocation is one host's answer to a command: to a close command (it then
// has an AttemptID), a notice (it then has a NoticeID), an inventory, or the closing
// of idle sessions.
type Invocation struct {
	HostID string
	// Status is Systems Manager's final status of the invocation, the detailed one if
	// there is one: DeliveryTimedOut rather than TimedOut.
	Status string
	// Answered is false if the host printed nothing that can be read. Status then says
	// why.
	Answered bool

	AttemptID string
	Reports   []session.Report
	NoticeID  string
	Warnings  []session.Warning // none of the notice of a cancel
	Inventory *session.Inventory
	Idle      *session.IdleReport

	// Failed says why the host could not make an inventory.
	Failed string
	// Said is for people: text that is not part of the answer, from standard error or
	// the agent, cut to 80 characters.
	Said string
	// Unreadable counts the lines of the output that are not well-formed.
	Unreadable int
}

var (
	// ErrNotThere: Systems Manager does not show the finished invocation, or
	// not yet.
	ErrNotThere = errors.New("Systems Manager does not show the finished invocation (yet)")
	// ErrNotOurs: the command was not sent by this broker.
	ErrNotOurs = errors.New("the command's comment names no attempt")
	// ErrThrottled: Systems Manager throttled the read, or earlier ones until there was
	// no time left.
	ErrThrottled = errors.New("throttled by Systems Manager")
)

// Pages returns each host's answer to a command, or why it is not known: the maps of
// all pages have an entry for each host. The answers of 50 hosts are in memory at the
// same time.
//
// It reads the command's pages while enough of them have a host that is asked about. If
// a command was sent to a large fleet and few hosts are asked about, it then reads the
// others one by one. So it makes at most one call more than 1.1 for each host, and one
// for each host whose output was cut in the list, which shows 2,500 characters.
func (r *Reader) Pages(ctx context.Context, commandID string, hostIDs []string) iter.Seq2[map[string]Invocation, map[string]error] {
	return func(yield func(map[string]Invocation, map[string]error) bool) {
		unseen := map[string]bool{}
		for _, id := range hostIDs {
			unseen[id] = true
		}
		input := &ssm.ListCommandInvocationsInput{
			CommandId:  aws.String(commandID),
			Details:    true,
			MaxResults: aws.Int32(50),
		}
		if len(hostIDs) == 1 {
			input.InstanceId = aws.String(hostIDs[0])
		}
		cause := ErrNotThere
		pages := ssm.NewListCommandInvocationsPaginator(r.API, input)
		for read := 0; pages.HasMorePages() && len(unseen) > 0; read++ {
			if found := len(hostIDs) - len(unseen); len(hostIDs) > 1 && read-found > len(unseen)/10 {
				for _, id := range slices.Sorted(maps.Keys(unseen)) {
					for invocations, errs := range r.Pages(ctx, commandID, []string{id}) {
						if !yield(invocations, errs) {
							return
						}
					}
				}
				return
			}
			page, err := r.nextPage(ctx, pages)
			if err != nil {
				cause = err
				break
			}
			if !yield(r.readPage(ctx, commandID, page, unseen)) {
				return
			}
		}
		errs := map[string]error{}
		for id := range unseen {
			errs[id] = fmt.Errorf("command %s, host %s: %w", commandID, id, cause)
		}
		yield(nil, errs)
	}
}

// readPage reads the answers on a page, of the hosts whose answers were not read
// before.
func (r *Reader) readPage(ctx context.Context, commandID string, page *ssm.ListCommandInvocationsOutput, unseen map[string]bool) (map[string]Invocation, map[string]error) {
	invocations, errs := map[string]Invocation{}, map[string]error{}
	for _, listed := range page.CommandInvocations {
		id := aws.ToString(listed.InstanceId)
		if !unseen[id] {
			continue
		}
		delete(unseen, id)
		inv, err := Invocation{}, ErrNotThere
		if final(listed.Status) {
			inv, err = r.read(ctx, listed)
		}
		if err != nil {
			errs[id] = fmt.Errorf("command %s, host %s: %w", commandID, id, err)
			continue
		}
		invocations[id] = inv
	}
	return invocations, errs
}

// nextPage reads a page. If the service throttles, it repeats the call as long as there
// is time: a message that is not processed now comes again only after the queue's
// visibility time-out.
func (r *Reader) nextPage(ctx context.Context, pages *ssm.ListCommandInvocationsPaginator) (*ssm.ListCommandInvocationsOutput, error) {
	for {
		if err := r.wait(ctx); err != nil {
			return nil, err
		}
		var tries throttledTries
		page, err := pages.NextPage(ctx, tries.count)
		if err == nil {
			r.pace.heard(tries.n)
			return page, nil
		}
		if err = tries.explain(err); !errors.Is(err, ErrThrottled) {
			return nil, err
		}
		r.pace.heard(1)
		if deadline, limited := ctx.Deadline(); !limited || time.Until(deadline) < maxPause {
			return nil, err
		}
	}
}

// wait waits until a call may be made.
func (r *Reader) wait(ctx context.Context) error {
	err := r.pace.wait(ctx)
	if err != nil && r.pace.slowed() {
		err = fmt.Errorf("%w: %w", ErrThrottled, err)
	}
	return err
}

func final(s types.CommandInvocationStatus) bool {
	switch s {
	case types.CommandInvocationStatusPending, types.CommandInvocationStatusInProgress,
		types.CommandInvocationStatusDelayed, types.CommandInvocationStatusCancelling:
		return false
	}
	return true
}

func (r *Reader) read(ctx context.Context, listed types.CommandInvocation) (Invocation, error) {
	c, err := parseComment(aws.ToString(listed.Comment))
	if err != nil {
		return Invocation{}, err
	}
	out, err := r.output(ctx, listed)
	if err != nil {
		return Invocation{}, err
	}
	inv := Invocation{
		HostID: aws.ToString(listed.InstanceId),
		Status: cmp.Or(aws.ToString(listed.StatusDetails), string(listed.Status)),
	}
	switch c.kind {
	case closeKind:
		inv.AttemptID = c.id
		inv.Reports, inv.Unreadable = reports(c, inv.HostID, out.stdout)
		inv.Answered = len(inv.Reports) > 0
	case notifyKind:
		inv.NoticeID = c.id
		inv.Warnings, inv.Unreadable = warnings(c, inv.HostID, out.stdout)
		inv.Answered = len(inv.Warnings) > 0
	case cancelledKind:
		inv.NoticeID = c.id
		var said []line
		said, inv.Unreadable = parseOutput(out.stdout, "told", "nothing", "failed")
		inv.Answered = len(said) > 0
	case inventoryKind:
		var found session.Inventory
		found, inv.Answered, inv.Failed, inv.Unreadable = inventory(c, inv.HostID, out.platform, out.stdout)
		if inv.Answered {
			inv.Inventory = &found
		}
	case idleKind:
		var report session.IdleReport
		report, inv.Answered, inv.Failed, inv.Unreadable = idle(c, inv.HostID, out.stdout)
		inv.Idle = &report
	}
	said := out.rest
	if !inv.Answered && inv.Failed == "" {
		// If a worker crashes, its error text is where standard output is shown.
		said += "\n" + out.stdout
	}
	inv.Said = hint(said)
	return inv, nil
}

// stepOutput is the output of the step that a host has run. Only its standard output
// is the script's answer. The rest is context: a single line of
// noise on standard error is common, and harmless.
type stepOutput struct {
	platform string // the step's name
	stdout   string
	rest     string
}

// The list shows standard output, this title, and standard error, together at most
// 2,500 bytes (amazon-ssm-agent 3.3.1142.0, pluginutil; seen by running it). No line of
// a document's answer begins with a dash.
const (
	errorTitle   = "\n----------ERROR-------\n"
	stdoutWasCut = "\n---Output truncated---"
	stderrWasCut = "\n---Error truncated----"

	// maybeCutChars: an output of this size in the list may have been cut.
	maybeCutChars = 2_400
)

// output returns the output of the document's step for the host's platform. The steps
// are named after the platforms. The other step was skipped.
func (r *Reader) output(ctx context.Context, listed types.CommandInvocation) (stepOutput, error) {
	step, ran := stepThatRan(listed.CommandPlugins)
	if !ran {
		return stepOutput{}, nil
	}
	shown := aws.ToString(step.Output)
	stdout, stderr, _ := strings.Cut(shown, errorTitle)
	out := stepOutput{
		platform: aws.ToString(step.Name),
		stdout:   strings.TrimSuffix(stdout, stdoutWasCut),
		rest:     strings.TrimSuffix(stderr, stderrWasCut),
	}
	if len(shown) < maybeCutChars && !strings.Contains(shown, "truncated--") {
		return out, nil
	}
	if err := r.wait(ctx); err != nil {
		return stepOutput{}, err
	}
	var tries throttledTries
	full, err := r.API.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
		CommandId:  listed.CommandId,
		InstanceId: listed.InstanceId,
		PluginName: step.Name,
	}, tries.count)
	r.pace.heard(tries.n)
	if err != nil {
		return stepOutput{}, fmt.Errorf("read the whole output: %w", tries.explain(err))
	}
	// If the step ended by its time-out, it has no output of its own, only what the
	// list shows.
	if whole := aws.ToString(full.StandardOutputContent); whole != "" {
		out.stdout = whole
	}
	return out, nil
}

// stepThatRan returns the step that was not skipped. The agent gives a skipped step the
// status Skipped, a text in the list, and no standard output. It is not documented
// which status the service shows for it.
func stepThatRan(steps []types.CommandPlugin) (types.CommandPlugin, bool) {
	for _, step := range steps {
		skipped := step.Status == "Skipped" || strings.HasPrefix(aws.ToString(step.Output), "Step execution skipped")
		if !skipped && aws.ToString(step.Output) != "" {
			return step, true
		}
	}
	return types.CommandPlugin{}, false
}
