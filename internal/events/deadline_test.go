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
