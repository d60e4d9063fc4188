package memtable

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"dcv-session-broker/internal/session"
)

// DynamoDB's limits: see the suite in session/tabletest.
const (
	maxKeyBytes       = 2048
	maxSortKeyBytes   = 1024
	maxItemBytes      = 400 << 10
	maxValues         = 100        // of a condition
	maxStatementBytes = 8192 - 255 // without the table's name
)

// indexKeys are the attributes that are keys of the table's indexes, with their longest
// length in bytes. They are texts.
var indexKeys = map[string]int{
	session.AttrDueShard:      maxKeyBytes,
	session.AttrNextAttemptAt: maxSortKeyBytes,
	session.AttrLiveHostID:    maxKeyBytes,
	session.AttrOwner:         maxKeyBytes,
}

// check refuses the writes that DynamoDB refuses for any record. For values and
// operators that no write can have, which are mistakes in the program, it panics, as
// package dynamo does.
func check(w session.Write) error {
	if n := len(w.SessionID); n == 0 || n > maxKeyBytes {
		return fmt.Errorf("a key of %d bytes", n)
	}
	if w.New && len(w.If)+len(w.Remove) > 0 {
		return errors.New("a new record with conditions, or with attributes to remove")
	}
	if !w.New && len(w.Set)+len(w.Remove) == 0 {
		return errors.New("a write that changes nothing")
	}
	if statementBytes(w) > maxStatementBytes {
		return errors.New("a write whose statement would be too long")
	}
	named := map[string]bool{session.AttrSessionID: true}
	name := func(attr string) error {
		if attr == "" || named[attr] {
			return fmt.Errorf("%q is no name, or named twice, or the key", attr)
		}
		named[attr] = true
		return nil
	}
	for attr, v := range w.Set {
		mustFit(v)
		if err := name(attr); err != nil {
			return err
		}
	}
	for _, attr := range w.Remove {
		if err := name(attr); err != nil {
			return err
		}
	}
	for _, c := range w.If {
		for _, v := range c.Values {
			mustFit(v)
		}
		if c.Attr == "" || c.Op == session.Is && (len(c.Values) == 0 || len(c.Values) > maxValues) {
			return fmt.Errorf("a condition on %q with %d values", c.Attr, len(c.Values))
		}
	}
	return nil
}

// statementBytes returns the length of the write's PartiQL statement in package dynamo,
// without the table's name.
func statementBytes(w session.Write) int {
	if w.New {
		n := len(`INSERT INTO "" VALUE {'SessionId':?}`)
		for attr := range w.Set {
			n += len(`,'':?`) + len(attr) + strings.Count(attr, "'")
		}
		return n
	}
	n := len(`UPDATE "" WHERE "SessionId"=? RETURNING ALL OLD *`)
	quoted := func(attr string) int { return len(`""`) + len(attr) + strings.Count(attr, `"`) }
	for attr := range w.Set {
		n += len(` SET =?`) + quoted(attr)
	}
	for _, attr := range w.Remove {
		n += len(` REMOVE `) + quoted(attr)
	}
	for _, c := range w.If {
		n += len(` AND `) + quoted(c.Attr)
		switch {
		case c.Op == session.Exists:
			n += len(` IS NOT MISSING`)
		case c.Op == session.Missing:
			n += len(` IS MISSING`)
		case c.Op == session.Is && len(c.Values) > 1:
			n += len(` IN []`) + 2*len(c.Values) - 1
		case c.Op == session.Before:
			n += len(`( IS MISSING OR <?)`) + quoted(c.Attr)
		default:
			n += len(`=?`)
		}
	}
	return n
}

// checkChange refuses a record that DynamoDB would refuse. For an update that shows
// only when its condition is met (DynamoDB Local 3.1.0).
func checkChange(w session.Write, changed session.Record) error {
	if len(w.SessionID) > maxSortKeyBytes { // it is the sort key of by-live-host and by-owner
		return fmt.Errorf("a key of %d bytes", len(w.SessionID))
	}
	for attr, longest := range indexKeys {
		v, isSet := w.Set[attr]
		if text, isText := v.(string); isSet && (!isText || text == "" || len(text) > longest) {
			return fmt.Errorf("%.100v cannot be %s, a key of an index", v, attr)
		}
	}
	if n := itemBytes(changed); n > maxItemBytes {
		return fmt.Errorf("a record of %d bytes", n)
	}
	return nil
}

// itemBytes returns the size of a record by DynamoDB's rules ("DynamoDB item sizes and
// formats"): a number has one byte for two digits, and one more.
func itemBytes(r session.Record) int {
	n := 0
	for attr, v := range r {
		n += len(attr)
		switch v := v.(type) {
		case string:
			n += len(v)
		case int64:
			n += (len(strconv.FormatInt(v, 10))+1)/2 + 1
		case bool:
			n++
		}
	}
	return n
}

func mustFit(v any) {
	switch v.(type) {
	case string, int64, bool:
	default:
		panic(fmt.Sprintf("memtable: a record holds no %T", v))
	}
}

func meets(r session.Record, conditions []session.Condition) bool {
	for _, c := range conditions {
		if !holds(r, c) {
			return false
		}
	}
	return true
}

func holds(r session.Record, c session.Condition) bool {
	have, there := r[c.Attr]
	switch c.Op {
	case session.Is:
		for _, v := range c.Values {
			if there && have == v {
				return true
			}
		}
		return false
	case session.Exists:
		return there
	case session.Missing:
		return !there
	case session.Before:
		// Texts sort by their bytes, as in DynamoDB; other types do not compare
		// with them.
		text, isText := have.(string)
		return !there || isText && text < c.Values[0].(string)
	}
	panic(fmt.Sprintf("memtable: no condition of kind %d", c.Op))
}

func failed(w session.Write, kind, cause error) session.Result {
	if cause == nil {
		return session.Result{Err: fmt.Errorf("session %s: %w", w.SessionID, kind)}
	}
	return session.Result{Err: fmt.Errorf("session %s: %w: %w", w.SessionID, kind, cause)}
}
