package events_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// slowReads is a Systems Manager with slow calls. The command c7 was sent to hostID(7).
// The host's output is in says; by default it has closed its session.
type slowReads struct {
	takes time.Duration
	says  map[string]string
	read  int
}

func (s *slowReads) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.read++
	var n int
	if _, err := fmt.Sscanf(aws.ToString(in.CommandId), "c%d", &n); err != nil {
		return nil, err
	}
	comment, output := fmt.Sprint("close a", n), fmt.Sprintf(`{"id":%q,"result":"closed"}`, sessionID(n))
	if inventory, ok := s.says[hostID(n)]; ok {
		comment, output = "inventory inv1 2026-11-23T19:01:02.123Z", inventory
	}
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{{
		CommandId: in.CommandId, InstanceId: aws.String(hostID(n)), Comment: aws.String(comment), Status: types.CommandInvocationStatusSuccess,
		CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(output)}},
	}}}, nil
}

func (s *slowReads) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return nil, errors.New("nothing was cut")
}

// hangingIndex is a table that does not answer.
type hangingIndex struct{ session.Index }

func (hangingIndex) OnHost(ctx context.Context, _, _ string, _ int) ([]session.Record, bool, error) {
	<-ctx.Done()
	return nil, false, ctx.Err()
}

// If there are more events than can be read in the function's time, or a call hangs,
// the answers that were read are recorded, and the other messages come again.
func TestWhatWasReadInTimeIsRecorded(t *testing.T) {
	const functionsTime = 30 * time.Second
	for name, tc := range map[string]struct {
		reads               slowReads
		deletions, recorded int
	}{
		"in time":    {slowReads{takes: 100 * time.Millisecond}, 100, 100},
		"slow reads": {slowReads{takes: 900 * time.Millisecond}, 100, 22},
		// They delay only themselves.
		"an inventory's table hangs": {slowReads{takes: 100 * time.Millisecond, says: map[string]string{hostID(40): `{"end":0}`}}, 100, 99},
		"three inventories' tables hang": {slowReads{takes: 100 * time.Millisecond, says: map[string]string{
			hostID(0): `{"end":0}`, hostID(1): `{"end":0}`, hostID(40): `{"end":0}`,
		}}, 100, 97},
		"one of two inventories' tables hangs": {slowReads{takes: 100 * time.Millisecond, says: map[string]string{hostID(0): `{"end":0}`}}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetWorld(t)
			var bodies []string
			for n := range tc.deletions {
				f.put(sessionID(n), hostID(n), "DELETING", fmt.Sprint("a", n))
				bodies = append(bodies, finished(fmt.Sprintf("c%02d", n), hostID(n)))
			}
			h := f.hostEvents()
			h.Reader = &runcommand.Reader{API: &tc.reads}
			h.Reconciler, h.Reaper = f.reconciler(), f.reaper()
			h.Reconciler.Index = hangingIndex{f}
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), functionsTime)
				defer cancel()
				response, err := h.Handle(ctx, batchOf(bodies...))
				if err != nil || ctx.Err() != nil {
					t.Fatal("it did not end in time", err)
				}
				recorded := 0
				for _, r := range f.table.All() {
					if r[session.AttrConfirmation] == "closed" {
						recorded++
					}
				}
				if again := len(response.BatchItemFailures); recorded != tc.recorded || again != tc.deletions-recorded {
					t.Errorf("%d answers read: %d recorded, not %d, and %d come again", tc.reads.read, recorded, tc.recorded, again)
				}
			})
		})
	}
}

// slowIndex is a table that answers after some time.
type slowIndex struct {
	session.Index
	takes time.Duration
}

func (x slowIndex) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	select {
	case <-time.After(x.takes):
		return x.Index.OnHost(ctx, hostID, after, limit)
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
}

// failingReads is a Systems Manager that fails except for one command.
type failingReads struct {
	*slowReads
	except string
}

func (r failingReads) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if aws.ToString(in.CommandId) != r.except {
		return nil, errors.New("connection refused")
	}
	return r.slowReads.ListCommandInvocations(ctx, in, opts...)
}

// Commands that cannot be read leave their time to the others, and the answer of a command that
// took its whole part of the time to be read is applied.
func TestSlowCommandHasTheTimeOfThoseThatFail(t *testing.T) {
	const fail = 20
	f := newFleetWorld(t)
	f.put("gone", hostID(fail), "READY", "")
	var bodies []string
	for n := range fail + 1 {
		bodies = append(bodies, finished(fmt.Sprintf("c%02d", n), hostID(n)))
	}
	h := f.hostEvents()
	h.Reader = &runcommand.Reader{API: failingReads{&slowReads{takes: 17 * time.Second, says: map[string]string{hostID(fail): `{"end":0}`}}, "c20"}}
	h.Reconciler = f.reconciler()
	h.Reconciler.Index = slowIndex{f, 2 * time.Second}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		response, err := h.Handle(ctx, batchOf(bodies...))
		if err != nil || len(response.BatchItemFailures) != fail {
			t.Errorf("come again: %v, %v", response, err)
		}
	})
	f.has("gone", "Confirmation", "vanished")
}

// If what ran on many stopped hosts cannot be recorded, the function ends in time, and their
// messages come again.
func TestStoppedHostsWhoseTableHangsComeAgain(t *testing.T) {
	f := newFleetWorld(t)
	var bodies []string
	for n := range 30 {
		f.statuses[hostID(n)] = session.Stopped
		bodies = append(bodies, stopped(hostID(n)))
	}
	h := f.hostEvents()
	h.Reaper = f.reaper()
	h.Reaper.Index = hangingIndex{f}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		defer cancel()
		response, err := h.Handle(ctx, batchOf(bodies...))
		if err != nil || ctx.Err() != nil || len(response.BatchItemFailures) != len(bodies) {
			t.Errorf("come again: %d, %v, %v", len(response.BatchItemFailures), err, ctx.Err())
		}
	})
}
