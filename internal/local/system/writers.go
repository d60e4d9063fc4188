package system

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// ControlAPI names the control API as the author of a change.
const ControlAPI = "control API"

// writers records which function made each change of the Sessions table, which the
// stream does not show. It keeps each write until the stream shows it.
type writers struct {
	mu     sync.Mutex
	writes map[string][]*keptWrite // by session ID, in the order of writing
}

type keptWrite struct {
	by     string
	set    streamevent.Item
	remove []string
}

// maxWritten is how many writes of one session are kept: the stream does not show
// writes that changed nothing.
const maxWritten = 16

func (w *writers) wrote(by string, write session.Write) *keptWrite {
	made := &keptWrite{by, streamevent.ItemOf(write.Set), write.Remove}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writes == nil {
		w.writes = map[string][]*keptWrite{}
	}
	kept := w.writes[write.SessionID]
	if len(kept) == maxWritten {
		kept = kept[1:]
	}
	w.writes[write.SessionID] = append(kept, made)
	return made
}

// failed removes a write that changed nothing. If of has already assigned that write to
// a change, since another write sets the same (an entry with another owner), failed
// removes the other write.
func (w *writers) failed(sessionID string, write *keptWrite) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.take(sessionID, func(kept *keptWrite) bool { return kept == write }) == nil {
		w.take(sessionID, func(kept *keptWrite) bool { return reflect.DeepEqual(kept, write) })
	}
}

// of returns who made the change, or "" if that is not known.
func (w *writers) of(r streamevent.Record) string {
	id, _ := r.DynamoDB.Keys[session.AttrSessionID]["S"].(string)
	is := r.DynamoDB.NewImage
	if is == nil {
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	made := w.take(id, func(kept *keptWrite) bool {
		for attr, value := range kept.set {
			if !reflect.DeepEqual(is[attr], value) {
				return false
			}
		}
		return !slices.ContainsFunc(kept.remove, func(attr string) bool { return is[attr] != nil })
	})
	if made == nil {
		return ""
	}
	return made.by
}

// take removes and returns the first write for which meant is true. The lock must be held.
func (w *writers) take(id string, meant func(*keptWrite) bool) (first *keptWrite) {
	kept := w.writes[id]
	n := slices.IndexFunc(kept, meant)
	if n < 0 {
		return nil
	}
	first = kept[n]
	if kept = slices.Delete(kept, n, n+1); len(kept) == 0 {
		delete(w.writes, id)
	} else {
		w.writes[id] = kept
	}
	return first
}

// watchedTable records a function's writes.
type watchedTable struct {
	session.Table
	by      string
	writers *writers
}

func (t *watchedTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	kept := make([]*keptWrite, len(writes))
	for n, w := range writes { // before the write: the stream may be faster than the answer
		kept[n] = t.writers.wrote(t.by, w)
	}
	results := t.Table.Write(ctx, writes)
	for n, r := range results {
		if (errors.Is(r.Err, session.ErrCondition) || errors.Is(r.Err, session.ErrNotWritten)) && !r.MayLand {
			t.writers.failed(writes[n].SessionID, kept[n])
		}
	}
	return results
}
