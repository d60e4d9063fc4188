package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// floodRecords is how many records one host has, from before there was a bound;
// floodHosts how many hosts have one due deletion each.
const (
	floodRecords = 200_000
	floodHosts   = 10_000
	flooder      = "i-0f100000000000000"
)

// quietHosts of the others have a session each, and are silent: more than one run of
// inventory checks.
const quietHosts = 2_000

// floodLimits are the limits of one run. One task may use 8 s of a processor, which are 55 s at 256 MB by Lambda's rule, and
// 256 MB: both tasks together, in one process, must not exceed the limits of one. If a run of deletions needed more than half
// of the minute until the next one, its last hosts would get their commands late.
const (
	floodProcessor     = 8 * time.Second
	floodMegabytes     = 256
	floodCommanded     = 30 * time.Second
	floodInventorySent = 10 * time.Second
)

// measureFlood runs cleanup's tasks deletions and inventory at the same time, while one
// host has flooded the table and is gone, and ten thousand others have due deletions. The
// tables are in memory, or generated while they are read, and each call has a latency:
// only the rules are measured, without the SDK. Both tasks are in one process; in AWS
// each has its own.
func measureFlood(ctx context.Context, r *report) error {
	awsenv.CollectRarely()
	f := &flooded{Table: memtable.New(), hosts: floodedHosts{memtable.NewHosts()}, began: time.Now(), commanded: map[string]bool{}}
	if err := f.fill(ctx); err != nil {
		return err
	}
	function := cleanup.New(cleanup.Parts{
		Table: f, Index: f, Reader: memtable.Reader{Table: f.Table}, HostLister: f, HostTable: f.hosts, SystemsManager: f, EC2: f, Now: time.Now, NewID: awsenv.NewID, Log: quiet,
	}, cleanup.Settings{GiveUp: time.Hour, SilentAfter: 15 * time.Minute, EndStopped: true, CloseDocument: "close", InventoryDocument: "inventory", FleetTag: "bench"})
	used := processorTime()
	f.began = time.Now()
	ctx, cancel := context.WithTimeout(ctx, 55*time.Second)
	defer cancel()
	var (
		tasks sync.WaitGroup
		errs  [2]error
		took  [2]time.Duration
	)
	for n, task := range []string{"deletions", "inventory"} {
		tasks.Go(func() {
			_, errs[n] = function.Handle(ctx, cleanup.Event{Task: task})
			took[n] = time.Since(f.began)
		})
	}
	tasks.Wait()
	unknown := 0
	for _, record := range f.All() {
		if record[session.AttrState] == string(session.Unknown) {
			unknown++
		}
	}
	r.say("one host with %d records, which is gone, %d hosts with a due deletion each, of which %d are silent:", floodRecords, floodHosts, quietHosts)
	r.say("cleanup's task deletions: %d hosts commanded within %.1f s, %d of the gone host's records ended by both tasks", len(f.commanded), f.lastSent.Seconds(), f.ended)
	r.say("cleanup's task inventory, at the same time: sent after %.1f s, done after %.1f s (of 55), sessions of %d silent hosts marked", f.inventorySent.Seconds(), took[1].Seconds(), unknown)
	used, peak := processorTime()-used, peakMegabytes()
	r.say("both together: %.1f s of a processor (each has 8), at most %d MB of the whole process (each has 256)", used.Seconds(), peak)
	if len(f.commanded) != floodHosts || f.inventorySent == 0 || unknown == 0 {
		return fmt.Errorf("%d hosts commanded, not %d; inventory sent after %v; sessions of %d silent hosts marked", len(f.commanded), floodHosts, f.inventorySent, unknown)
	}
	var over []string
	limit := func(is, most float64, format string) {
		if is > most {
			over = append(over, fmt.Sprintf(format, is, most))
		}
	}
	limit(used.Seconds(), floodProcessor.Seconds(), "both tasks took %.1f s of a processor: one may have %.0f")
	limit(float64(peak), floodMegabytes, "the process took %.0f MB: a task may have %.0f")
	limit(f.lastSent.Seconds(), floodCommanded.Seconds(), "the last host with a due deletion was commanded after %.1f s: %.0f is on time")
	limit(f.inventorySent.Seconds(), floodInventorySent.Seconds(), "the inventory was sent after %.1f s: %.0f is on time")
	if err := beyond(over); err != nil {
		return fmt.Errorf("%w:\n%s", err, strings.Join(over, "\n"))
	}
	// If the time for the gone host was not enough, the task reports it and the next run
	// continues.
	if err := errs[1]; errs[0] != nil || ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(errs[:]...)
	}
	return nil
}

// fill adds all hosts with their due deletions and sessions. The gone host has been quiet
// for longest.
func (f *flooded) fill(ctx context.Context) error {
	now := time.Now()
	old := session.FormatTime(now.Add(-3 * time.Minute))
	for n := range floodHosts + 1 {
		hostID, answered := fmt.Sprintf("i-%017d", n), now
		switch {
		case n == floodHosts:
			hostID, answered = flooder, now.Add(-2*time.Hour)
		case n < quietHosts:
			answered = now.Add(-time.Hour)
			f.Put(session.Listed(session.Session{ID: fmt.Sprint("quiet-", n), Owner: "alice", HostID: hostID, CreationTime: "2026-11-23T08:30:00Z"}))
		}
		record := session.Listed(session.Session{ID: fmt.Sprint("due-", n), Owner: "alice", HostID: hostID, CreationTime: "2026-11-23T08:30:00Z"})
		record[session.AttrState], record[session.AttrAttemptID], record[session.AttrDeletionRequestID] = "DELETING", "a1", "r1"
		record[session.AttrDeletionRequestedAt], record[session.AttrNextAttemptAt] = old, old
		record[session.AttrAttempts], record[session.AttrDueShard] = int64(1), fmt.Sprint(n%4)
		f.Put(record)
		if _, _, err := f.hosts.RecordAnswer(ctx, session.HostAnswer{HostID: hostID, SentAt: answered, At: answered}); err != nil {
			return err
		}
	}
	for ago := 15 * time.Minute; ago > 0; ago -= 5 * time.Minute {
		if err := f.hosts.RecordInventorySent(ctx, now.Add(-ago)); err != nil {
			return err
		}
	}
	return nil
}

// flooded has the tables and services. The records of the flooding host are generated
// when they are read.
type flooded struct {
	*memtable.Table
	hosts floodedHosts
	began time.Time

	mu            sync.Mutex
	ended         int
	commanded     map[string]bool
	lastSent      time.Duration
	inventorySent time.Duration
}

const floodCall = 5 * time.Millisecond

// floodedHosts is the Hosts table, whose calls take their time.
type floodedHosts struct{ *memtable.Hosts }

func (h floodedHosts) AnsweredBefore(ctx context.Context, before time.Time, limit int) ([]string, error) {
	time.Sleep(floodCall)
	return h.Hosts.AnsweredBefore(ctx, before, limit)
}

func (h floodedHosts) Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error) {
	time.Sleep(floodCall)
	return h.Hosts.Newest(ctx, hostIDs)
}

func (h floodedHosts) MarkSilent(ctx context.Context, hostID string, before time.Time) (bool, error) {
	time.Sleep(floodCall)
	return h.Hosts.MarkSilent(ctx, hostID, before)
}

func (f *flooded) HostsAfter(ctx context.Context, hostID string, limit int) ([]string, error) {
	time.Sleep(floodCall)
	return f.Table.HostsAfter(ctx, hostID, limit)
}

func (f *flooded) Write(ctx context.Context, writes []session.Write) []session.Result {
	time.Sleep(floodCall)
	results := make([]session.Result, len(writes))
	for i, w := range writes {
		if strings.HasPrefix(w.SessionID, "flood-") {
			f.mu.Lock()
			f.ended++
			f.mu.Unlock()
			continue
		}
		results[i] = f.Table.Write(ctx, []session.Write{w})[0]
	}
	return results
}

func (f *flooded) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	time.Sleep(floodCall)
	if hostID != flooder {
		return f.Table.OnHost(ctx, hostID, after, limit)
	}
	first := 0
	if _, err := fmt.Sscanf(after, "flood-%d", &first); err == nil {
		first++
	}
	var records []session.Record
	for n := first; n < min(first+limit, floodRecords); n++ {
		records = append(records, session.Listed(session.Session{
			ID: fmt.Sprintf("flood-%06d", n), Owner: "mallory", HostID: flooder, CreationTime: "2026-11-23T08:30:00Z", FirstSeenAt: f.began.Add(-time.Hour),
		}))
	}
	return records, first+limit < floodRecords, nil
}

func (f *flooded) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	time.Sleep(8 * floodCall)
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(in.Targets) > 0 {
		f.inventorySent = time.Since(f.began)
		return &ssm.SendCommandOutput{}, nil
	}
	for _, id := range in.InstanceIds {
		f.commanded[id] = true
	}
	f.lastSent = time.Since(f.began)
	return &ssm.SendCommandOutput{}, nil
}

func (f *flooded) ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return &ssm.ListCommandsOutput{}, nil
}

func (f *flooded) DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return &ssm.DescribeInstanceInformationOutput{}, nil
}

// DescribeInstances knows all but the flooder.
func (f *flooded) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	time.Sleep(8 * floodCall)
	var running []types.Instance
	for _, id := range in.Filters[0].Values {
		if id != flooder {
			running = append(running, types.Instance{InstanceId: aws.String(id), State: &types.InstanceState{Name: types.InstanceStateNameRunning}})
		}
	}
	return &ec2.DescribeInstancesOutput{Reservations: []types.Reservation{{Instances: running}}}, nil
}

func (f *flooded) StopInstances(context.Context, *ec2.StopInstancesInput, ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error) {
	return &ec2.StopInstancesOutput{}, nil
}

// peakMegabytes is the most memory that the process had, on Linux.
func peakMegabytes() int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return used.Maxrss / 1024
}
