package dynamodblocal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"dcv-session-broker/internal/streamevent"
)

// StreamsAPI is what a StreamReader calls of *dynamodbstreams.Client.
type StreamsAPI interface {
	DescribeStream(context.Context, *streams.DescribeStreamInput, ...func(*streams.Options)) (*streams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *streams.GetShardIteratorInput, ...func(*streams.Options)) (*streams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *streams.GetRecordsInput, ...func(*streams.Options)) (*streams.GetRecordsOutput, error)
}

const (
	defaultEvery = 100 * time.Millisecond
	// listEvery is how often new shards are looked for while there are open
	// ones: a stream gets some every few hours.
	listEvery = 2 * time.Second
)

// A StreamReader reads a table's stream, as Lambda does for its functions.
type StreamReader struct {
	Client    StreamsAPI
	StreamARN string
	// Every is the time from one look for new records to the next; 100 ms if
	// it is not set.
	Every time.Duration
	// Handle takes the records, at least one, in the order of each item's
	// changes. The reader waits for it.
	Handle func([]streamevent.Record)
	Log    *slog.Logger // slog.Default() if it is not set
}

// A shard is a part of the stream. When it is closed its children go on with
// its items, so they are read when it is read to its end.
type shard struct {
	id, parent string
	iterator   string // where to read next; "" is to be asked for
	after      string // the last record handled, "" for none
	done       bool
}

// Run reads from the oldest record that is there until the context ends, and
// returns its error, or that the stream does not exist. Other failures are
// logged and tried again; no record is skipped or handled twice.
func (r *StreamReader) Run(ctx context.Context) error {
	every := r.Every
	if every == 0 {
		every = defaultEvery
	}
	log := cmp.Or(r.Log, slog.Default())
	var (
		shards []*shard
		listed time.Time
		open   bool
	)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if !open || time.Since(listed) >= listEvery {
			found, err := r.list(ctx)
			if gone := (*types.ResourceNotFoundException)(nil); errors.As(err, &gone) {
				return err
			}
			if err == nil {
				shards, listed = merge(shards, found), time.Now()
			} else if ctx.Err() == nil {
				log.Warn("the table's stream cannot be listed: tried again", "Cause", err)
			}
		}
		now := readable(shards)
		open = len(now) > 0
		for _, s := range now {
			if err := r.read(ctx, s); err != nil && ctx.Err() == nil {
				log.Warn("the table's stream cannot be read: tried again", "Shard", s.id, "Cause", err)
			}
			open = open && !s.done // else its children are to be found
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// list is all shards that are there. Part of them would not do: a child listed
// without its parent counts as an orphan.
func (r *StreamReader) list(ctx context.Context) ([]*shard, error) {
	var all []*shard
	in := &streams.DescribeStreamInput{StreamArn: &r.StreamARN}
	for {
		out, err := r.Client.DescribeStream(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("describe stream %s: %w", r.StreamARN, err)
		}
		for _, s := range out.StreamDescription.Shards {
			all = append(all, &shard{id: aws.ToString(s.ShardId), parent: aws.ToString(s.ParentShardId)})
		}
		if in.ExclusiveStartShardId = out.StreamDescription.LastEvaluatedShardId; in.ExclusiveStartShardId == nil {
			return all, nil
		}
	}
}

// merge is the shards found, with how far those known have been read.
func merge(known, found []*shard) []*shard {
	for i, f := range found {
		for _, k := range known {
			if k.id == f.id {
				found[i] = k
			}
		}
	}
	return found
}

// readable is the shards that are not read to their end while their parents,
// as far as they are still there, are.
func readable(shards []*shard) []*shard {
	unread := make(map[string]bool)
	for _, s := range shards {
		unread[s.id] = !s.done
	}
	var readable []*shard
	for _, s := range shards {
		if !s.done && !unread[s.parent] {
			readable = append(readable, s)
		}
	}
	return readable
}

// read handles what is new in a shard.
func (r *StreamReader) read(ctx context.Context, s *shard) error {
	for {
		if s.iterator == "" {
			if err := r.seek(ctx, s); err != nil {
				return err
			}
		}
		out, err := r.Client.GetRecords(ctx, &streams.GetRecordsInput{ShardIterator: &s.iterator})
		if err != nil {
			s.iterator = "" // it may have expired; the place is known
			return r.lost(s, fmt.Errorf("get records: %w", err))
		}
		if len(out.Records) > 0 {
			records := make([]streamevent.Record, len(out.Records))
			for i, record := range out.Records {
				records[i] = r.event(record)
			}
			r.Handle(records)
			s.after = records[len(records)-1].DynamoDB.SequenceNumber
		}
		s.iterator = aws.ToString(out.NextShardIterator)
		s.done = s.iterator == ""
		if s.done || len(out.Records) == 0 {
			return nil
		}
	}
}

// seek asks for the place in the shard after the last record handled.
func (r *StreamReader) seek(ctx context.Context, s *shard) error {
	in := &streams.GetShardIteratorInput{
		StreamArn: &r.StreamARN, ShardId: &s.id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	}
	if s.after != "" {
		in.ShardIteratorType, in.SequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &s.after
	}
	out, err := r.Client.GetShardIterator(ctx, in)
	if err != nil {
		return r.lost(s, fmt.Errorf("get shard iterator: %w", err))
	}
	s.iterator = aws.ToString(out.ShardIterator)
	return nil
}

// lost is what an error says of the shard: records live for a day, and so do
// the shards that hold them.
func (r *StreamReader) lost(s *shard, err error) error {
	if trimmed := (*types.TrimmedDataAccessException)(nil); errors.As(err, &trimmed) {
		s.after = ""
	}
	if gone := (*types.ResourceNotFoundException)(nil); errors.As(err, &gone) {
		s.done = true
	}
	return err
}
