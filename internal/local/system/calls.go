package system

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/middleware"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

// calls counts each function's calls of the services, by "<service>:<Operation>", and
// refuses some of them.
type calls struct {
	refusals

	mu     sync.Mutex
	counts map[string]map[string]int
	// observe, if set, receives each call, with the input where that decides which
	// permission the call needs.
	observe func(function, operation string, in any)
}

// ask counts a call. If it returns an error, that is the service's answer.
func (c *calls) ask(function, operation string, in any) error {
	c.count(function, operation, in)
	return c.refusal(function, operation)
}

func (c *calls) count(function, operation string, in any) {
	if c.observe != nil {
		c.observe(function, operation, in)
	}
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

// middleware counts each try of a client, not each call.
func (c *calls) middleware(function, service string) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		counter := middleware.FinalizeMiddlewareFunc("countCalls", func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := c.ask(function, service+":"+awsmiddleware.GetOperationName(ctx), nil); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			return next.HandleFinalize(ctx, in)
		})
		return stack.Finalize.Insert(counter, "Retry", middleware.After)
	}
}

// countedTable, countedReader, countedIndex and countedHosts count the
// operations of the in-memory tables.
type countedTable struct {
	session.Table
	ask func(operation string, in any) error
}

func (t *countedTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	if len(writes) > 0 {
		if err := t.ask("Write", writes); err != nil {
			results := make([]session.Result, len(writes))
			for i := range results {
				results[i].Err = fmt.Errorf("%w: %w", session.ErrNotWritten, err)
			}
			return results
		}
	}
	return t.Table.Write(ctx, writes)
}

type countedReader struct {
	session.Reader
	count func(operation string, in any)
}

func (r *countedReader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	r.count("Get", nil)
	return r.Reader.Get(ctx, ids)
}

func (r *countedReader) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	r.count("Owned", nil)
	return r.Reader.Owned(ctx, owner, after, limit)
}

func (r *countedReader) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	r.count("OnHost", nil)
	return r.Reader.OnHost(ctx, hostID, after, limit)
}

func (r *countedReader) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	r.count("All", nil)
	return r.Reader.All(ctx, after, limit)
}

type countedIndex struct {
	localIndex
	count func(operation string, in any)
}

func (x *countedIndex) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	x.count("Due", nil)
	return x.localIndex.Due(ctx, shard, now, limit)
}

func (x *countedIndex) Open(ctx context.Context, shard string, limit int) ([]session.Record, error) {
	x.count("Open", nil)
	return x.localIndex.Open(ctx, shard, limit)
}

func (x *countedIndex) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	x.count("OnHost", nil)
	return x.localIndex.OnHost(ctx, hostID, after, limit)
}

type countedHosts struct {
	localHosts
	count func(operation string, in any)
}

func (t *countedHosts) RecordInventorySent(ctx context.Context, at time.Time) error {
	t.count("RecordInventorySent", nil)
	return t.localHosts.RecordInventorySent(ctx, at)
}

func (t *countedHosts) LastInventories(ctx context.Context) ([]time.Time, error) {
	t.count("LastInventories", nil)
	return t.localHosts.LastInventories(ctx)
}

func (t *countedHosts) ForgetInventory(ctx context.Context, at time.Time) error {
	t.count("ForgetInventory", nil)
	return t.localHosts.ForgetInventory(ctx, at)
}

func (t *countedHosts) Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error) {
	t.count("Newest", nil)
	return t.localHosts.Newest(ctx, hostIDs)
}

func (t *countedHosts) Notes(ctx context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	t.count("Notes", nil)
	return t.localHosts.Notes(ctx, hostIDs)
}

func (t *countedHosts) RecordAnswer(ctx context.Context, a session.HostAnswer) (bool, session.OwnerTag, error) {
	t.count("RecordAnswer", nil)
	return t.localHosts.RecordAnswer(ctx, a)
}

func (t *countedHosts) RecordOwnerTag(ctx context.Context, hostID string, tag session.OwnerTag) error {
	t.count("RecordOwnerTag", nil)
	return t.localHosts.RecordOwnerTag(ctx, hostID, tag)
}

func (t *countedHosts) AnsweredBefore(ctx context.Context, before time.Time, limit int) ([]string, error) {
	t.count("AnsweredBefore", nil)
	return t.localHosts.AnsweredBefore(ctx, before, limit)
}

func (t *countedHosts) AddHost(ctx context.Context, hostID string, then time.Time) error {
	t.count("AddHost", nil)
	return t.localHosts.AddHost(ctx, hostID, then)
}

func (t *countedHosts) MarkSilent(ctx context.Context, hostID string, before time.Time) (bool, error) {
	t.count("MarkSilent", nil)
	return t.localHosts.MarkSilent(ctx, hostID, before)
}

func (t *countedHosts) WalkedTo(ctx context.Context) (string, error) {
	t.count("WalkedTo", nil)
	return t.localHosts.WalkedTo(ctx)
}

func (t *countedHosts) RecordWalkedTo(ctx context.Context, hostID string) error {
	t.count("RecordWalkedTo", nil)
	return t.localHosts.RecordWalkedTo(ctx, hostID)
}

func (t *countedHosts) Silences(ctx context.Context, hostIDs []string) (map[string]session.Silence, error) {
	t.count("Silences", nil)
	return t.localHosts.Silences(ctx, hostIDs)
}

func (t *countedHosts) RecordAsked(ctx context.Context, hostID string, at time.Time) error {
	t.count("RecordAsked", nil)
	return t.localHosts.RecordAsked(ctx, hostID, at)
}

func (t *countedHosts) RecordRefused(ctx context.Context, hostIDs []string, at time.Time) error {
	t.count("RecordRefused", nil)
	return t.localHosts.RecordRefused(ctx, hostIDs, at)
}

func (t *countedHosts) RefusedHosts(ctx context.Context, limit int) ([]session.RefusedHost, error) {
	t.count("RefusedHosts", nil)
	return t.localHosts.RefusedHosts(ctx, limit)
}

func (t *countedHosts) ForgetRefused(ctx context.Context, noted session.RefusedHost) error {
	t.count("ForgetRefused", nil)
	return t.localHosts.ForgetRefused(ctx, noted)
}

type countedHostLister struct {
	session.HostLister
	count func(operation string, in any)
}

func (x *countedHostLister) HostsAfter(ctx context.Context, hostID string, limit int) ([]string, error) {
	x.count("HostsAfter", nil)
	return x.HostLister.HostsAfter(ctx, hostID, limit)
}

// countedSystemsManager counts a function's calls of Systems Manager and EC2.
type countedSystemsManager struct {
	fleet    *fleet.Fleet
	function string
	calls    *calls
}

func (s *countedSystemsManager) SendCommand(ctx context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if err := s.calls.ask(s.function, "ssm:SendCommand", in); err != nil {
		return nil, err
	}
	return s.fleet.SendCommand(ctx, in, opts...)
}

func (s *countedSystemsManager) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, opts ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	s.calls.count(s.function, "ssm:DescribeInstanceInformation", in)
	return s.fleet.DescribeInstanceInformation(ctx, in, opts...)
}

func (s *countedSystemsManager) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	s.calls.count(s.function, "ssm:ListCommandInvocations", in)
	return s.fleet.ListCommandInvocations(ctx, in, opts...)
}

func (s *countedSystemsManager) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	s.calls.count(s.function, "ssm:ListCommands", in)
	return s.fleet.ListCommands(ctx, in, opts...)
}

func (s *countedSystemsManager) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, opts ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	if err := s.calls.ask(s.function, "ssm:GetCommandInvocation", in); err != nil {
		return nil, err
	}
	return s.fleet.GetCommandInvocation(ctx, in, opts...)
}

func (s *countedSystemsManager) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, opts ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	s.calls.count(s.function, "ec2:DescribeInstances", in)
	return s.fleet.DescribeInstances(ctx, in, opts...)
}

func (s *countedSystemsManager) StopInstances(ctx context.Context, in *ec2.StopInstancesInput, opts ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error) {
	s.calls.count(s.function, "ec2:StopInstances", in)
	return s.fleet.StopInstances(ctx, in, opts...)
}
