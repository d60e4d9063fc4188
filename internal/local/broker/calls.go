package broker

import (
	"context"
	"maps"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

// calls counts what each function asks of the services, by
// "<service>:<Operation>".
type calls struct {
	mu     sync.Mutex
	counts map[string]map[string]int
}

func (c *calls) count(function, operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]map[string]int{}
	}
	if c.counts[function] == nil {
		c.counts[function] = map[string]int{}
	}
	c.counts[function][operation]++
}

func (c *calls) all() map[string]map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]map[string]int{}
	for function, counts := range c.counts {
		all[function] = maps.Clone(counts)
	}
	return all
}

func (c *calls) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts = nil
}

// middleware counts a client's tries: each time that it goes out on the wire.
func (c *calls) middleware(function, service string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		counter := middleware.FinalizeMiddlewareFunc("countCalls", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			c.count(function, service+":"+awsmiddleware.GetOperationName(ctx))
			return next.HandleFinalize(ctx, in)
		})
		return stack.Finalize.Insert(counter, "Retry", middleware.After)
	}
}

// countedTable counts the operations of the in-memory table.
type countedTable struct {
	session.Table
	function string
	calls    *calls
}

func (t *countedTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	if len(writes) > 0 {
		t.calls.count(t.function, "table:Write")
	}
	return t.Table.Write(ctx, writes)
}

// countedSystemsManager counts what a function asks of Systems Manager.
type countedSystemsManager struct {
	fleet    *fleet.Fleet
	function string
	calls    *calls
}

func (s *countedSystemsManager) SendCommand(ctx context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	s.calls.count(s.function, "ssm:SendCommand")
	return s.fleet.SendCommand(ctx, in, opts...)
}

func (s *countedSystemsManager) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, opts ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	s.calls.count(s.function, "ssm:DescribeInstanceInformation")
	return s.fleet.DescribeInstanceInformation(ctx, in, opts...)
}

func (s *countedSystemsManager) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	s.calls.count(s.function, "ssm:ListCommandInvocations")
	return s.fleet.ListCommandInvocations(ctx, in, opts...)
}

func (s *countedSystemsManager) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, opts ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	s.calls.count(s.function, "ssm:GetCommandInvocation")
	return s.fleet.GetCommandInvocation(ctx, in, opts...)
}
