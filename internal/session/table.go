package session

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// Table is the Sessions table.
type Table interface {
	// Write applies each write on its own and answers each in its place, in as
	// few calls as the table allows. Writes to different records happen in no
	// particular order, writes to one record in the order given. One that
	// fails leaves the others as they are.
	//
	// Each Result's Err is nil or wraps one of:
	//
	//   - ErrCondition: the condition did not hold; nothing was written, and
	//     Old is the record as it is.
	//   - ErrNotWritten: the table refused it; nothing was written.
	//   - ErrUnclear: no usable answer came; it may have been written or not.
	Write(ctx context.Context, writes []Write) []Result
}

var (
	ErrCondition  = errors.New("condition not met")
	ErrNotWritten = errors.New("not written")
	ErrUnclear    = errors.New("unclear whether written")
)

// A Write changes one existing record if all its conditions hold; a record
// that does not exist meets none, not even an empty list. Set, Remove and the
// key name distinct attributes.
//
// With New it makes the record instead: Set is all of it, and If and Remove are
// empty. If there is one already, that is ErrCondition, with Old.
type Write struct {
	SessionID string
	New       bool
	If        []Condition
	Set       Record
	Remove    []string
}

// changes are the attributes that the write sets or removes, in order.
func (w Write) changes() []string {
	return slices.Concat(slices.Sorted(maps.Keys(w.Set)), w.Remove)
}

// A Condition is about one attribute of the record as it is before the write.
type Condition struct {
	Attr string
	Op   Op
	// Values, as in a Record: one or more for Is, one for Before, none for the
	// others.
	Values []any
}

// An Op is the kind of a Condition.
type Op int

const (
	// Is: the attribute is there and equals one of Values.
	Is Op = iota + 1
	// Exists: the attribute is there.
	Exists
	// Missing: the attribute is not there.
	Missing
	// Before: the attribute is a text that sorts before Values[0], which is a
	// string (a time, see TimeFormat), or is not there.
	Before
)

func is(attr string, values ...any) Condition {
	c := Condition{Attr: attr, Op: Is}
	for _, v := range values {
		c.Values = append(c.Values, value(v))
	}
	return c
}

func missing(attr string) Condition { return Condition{Attr: attr, Op: Missing} }

func exists(attr string) Condition { return Condition{Attr: attr, Op: Exists} }

// same is the condition that an attribute is as it was seen, there or not.
func same(seen Record, attr string) Condition {
	if v, ok := seen[attr]; ok {
		return is(attr, v)
	}
	return missing(attr)
}

// before is the condition that an attribute is an earlier time, or not there.
func before(attr string, t time.Time) Condition {
	return Condition{Attr: attr, Op: Before, Values: []any{value(t)}}
}

func set(w *Write, attr string, v any) { w.Set[attr] = value(v) }

// setText sets a text unless it is empty.
func setText(w *Write, attr, text string) {
	if text != "" {
		set(w, attr, text)
	}
}

// replaceText is setText for an attribute that may exist: it removes it if the text is empty.
func replaceText(w *Write, attr, text string) {
	if setText(w, attr, text); text == "" {
		w.Remove = append(w.Remove, attr)
	}
}

// after returns the record after the write, from the one before it.
func (w Write) after(old Record) Record {
	r := make(Record, len(old)+len(w.Set))
	maps.Copy(r, old)
	maps.Copy(r, w.Set)
	for _, attr := range w.Remove {
		delete(r, attr)
	}
	return r
}

// A Result is the outcome of one Write.
type Result struct {
	// Old is the record before the write, with or without success; nil if
	// there is none, or if it is not known (ErrNotWritten, ErrUnclear).
	Old Record
	Err error
	// MayLand: a try of the write had no answer, and may still be carried out after
	// this result. ErrUnclear implies it.
	MayLand bool
}

// mayLand tells whether a try of the write may still be carried out.
func (r Result) mayLand() bool { return r.MayLand || errors.Is(r.Err, ErrUnclear) }
