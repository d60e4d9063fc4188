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

// StreamsAPI is the part of *dynamodbstreams.Client that a StreamReader uses.
type StreamsAPI interface {
	DescribeStream(context.Context, *streams.DescribeStreamInput, ...func(*streams.Options)) (*streams.DescribeStreamOutput, error)
	GetShardIterator(context.Context, *streams.GetShardIteratorInput, ...func(*streams.Options)) (*streams.GetShardIteratorOutput, error)
	GetRecords(context.Context, *streams.GetRecordsInput, ...func(*streams.Options)) (*streams.GetRecordsOutput, error)
}

const (
	defaultEvery = 100 * time.Millisecond
	// listEvery is how often the reader lists shards while there are open ones: a stream
	// gets new ones every few hours.
	listEvery = 2 * time.Second
)

// A StreamReader reads a table's stream, as Lambda does for its functions.
type StreamReader struct {
	Client    StreamsAPI
	StreamARN string
	// Every is the time between two reads; 100 ms if it is not set.
	Every time.Duration
	// Handle receives the records, at least one, in the order of each item's changes. The
	// reader waits for it.
	Handle func([]streamevent.Record)
	Log    *slog.Logger // slog.Default() if it is not set
}

// A shard is a part of the stream. After it is closed its children have the records of
// its items, so they are read after it.
type shard struct {
	id, parent string
	iterator   string // where to read next; "": it must be requested
	after      string // the last handled record; "": none
	done       bool
}

// Run reads from the oldest record until the context ends, and returns the context's
// error, or an error if the stream does not exist. It logs other failures and tries
// again. It skips no record and handles none twice.
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
				log.Warn("the shards of the table's stream cannot be listed: it is tried again", "Cause", err)
			}
		}
		now := readable(shards)
		open = len(now) > 0
		for _, s := range now {
			if err := r.read(ctx, s); err != nil && ctx.Err() == nil {
				log.Warn("the table's stream cannot be read: it is tried again", "Shard", s.id, "Cause", err)
			}
			open = open && !s.done // otherwise its children must be found
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// list returns all shards, from all pages: a child without its parent would count as
// one whose parent is gone.
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

// merge returns the found shards, with the positions of the known ones.
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

// readable returns the shards that are not read to their end and whose parents are, or
// are gone.
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

// read handles the new records of a shard.
func (r *StreamReader) read(ctx context.Context, s *shard) error {
	for {
		if s.iterator == "" {
			if err := r.seek(ctx, s); err != nil {
				return err
			}
		}
		out, err := r.Client.GetRecords(ctx, &streams.GetRecordsInput{ShardIterator: &s.iterator})
		if err != nil {
			s.iterator = "" // it may have expired; seek gets another
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

// seek requests an iterator after the last handled record.
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

// lost tells what an error means for the shard: records, and shards with them, exist
// for a day.
func (r *StreamReader) lost(s *shard, err error) error {
	if trimmed := (*types.TrimmedDataAccessException)(nil); errors.As(err, &trimmed) {
		s.after = ""
	}
	if gone := (*types.ResourceNotFoundException)(nil); errors.As(err, &gone) {
		s.done = true
	}
	return err
}
