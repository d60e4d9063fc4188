package records

import (
	"context"
	"fmt"
	"sync"
	"time"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

// A Stack is a System in an AWS account.
type Stack struct {
	*dynamo.Reader
	Index dynamo.Index
	Hosts dynamo.Hosts
	Logs
	SystemsManager
	GiveUp time.Duration
}

const (
	// maxOpen is how many entries of one shard of the index of leases are read.
	maxOpen = 250
	// maxHosts is how many hosts are tried to complete a session's ID.
	maxHosts = 500
)

// lastTime is after every lease.
var lastTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Open implements System: it queries each shard of the index in parallel, then reads the records from the table, 100 a
// call. The index may be a moment behind the table.
func (s Stack) Open(ctx context.Context) (records []session.Record, all bool, err error) {
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		ids   []string
	)
	all = true
	for _, shard := range session.Shards() {
		group.Go(func() {
			due, failed := s.Index.Due(ctx, shard, lastTime, maxOpen)
			mu.Lock()
			defer mu.Unlock()
			if failed != nil {
				err = failed
			}
			all = all && len(due) < maxOpen
			for _, r := range due {
				id, _ := r[session.AttrSessionID].(string)
				ids = append(ids, id)
			}
		})
	}
	group.Wait()
	if err != nil {
		return nil, false, namePermission("dynamodb:Query on the index "+s.Index.Step.ByLease()+" of the table "+s.Index.Table, err)
	}
	records, err = s.Get(ctx, ids)
	return records, all, err
}

// Get implements session.Getter.
func (s Stack) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	records, err := s.Reader.Get(ctx, ids)
	return records, namePermission("dynamodb:BatchGetItem on the table "+s.Index.Table, err)
}

// Host implements System.
func (s Stack) Host(ctx context.Context, hostID string) (h Host, known bool, err error) {
	notes, err := s.Hosts.Notes(ctx, []string{hostID})
	if err != nil {
		return h, false, namePermission("dynamodb:BatchGetItem on the table "+s.Hosts.Table, err)
	}
	silences, err := s.Hosts.Silences(ctx, []string{hostID})
	silence, known := silences[hostID]
	return Host{notes[hostID], silence}, known, err
}

// HostIDs implements System: hosts that have answered, the longest silent first.
func (s Stack) HostIDs(ctx context.Context) ([]string, error) {
	ids, err := s.Hosts.AnsweredBefore(ctx, lastTime, maxHosts)
	return ids, namePermission("dynamodb:Query on the index by-answered of the table "+s.Hosts.Table, err)
}

// Clock implements System: it is this machine's clock.
func (s Stack) Clock(context.Context) (func() time.Time, error) { return time.Now, nil }

// GiveUpAfter implements System.
func (s Stack) GiveUpAfter() time.Duration { return s.GiveUp }

// namePermission adds to an error which permission is missing, if that is the cause.
func namePermission(permission string, err error) error {
	if Denied(err) {
		return fmt.Errorf("your credentials lack the permission %s: %w", permission, err)
	}
	return err
}
