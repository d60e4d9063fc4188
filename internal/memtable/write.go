package memtable

import (
	"errors"
	"fmt"

	"dcv-session-broker/internal/session"
)

// DynamoDB's limits for a partition key and a sort key.
const (
	maxKeyBytes     = 2048
	maxSortKeyBytes = 1024
)

// indexKeys are the attributes that are keys of the table's indexes, and how long
// they can be, in bytes. They are texts.
var indexKeys = map[string]int{
	session.AttrDueShard:      maxKeyBytes,
	session.AttrNextAttemptAt: maxSortKeyBytes,
	session.AttrLiveHostID:    maxKeyBytes,
	session.AttrOwner:         maxKeyBytes,
}

// check refuses the writes that DynamoDB refuses. Values and operators that no
// write can have are mistakes in the program: it panics, as package dynamo
// does.
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
	named := map[string]bool{session.AttrSessionID: true}
	name := func(attr string) error {
		if named[attr] {
			return fmt.Errorf("%s is named twice, or is the key", attr)
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
		if c.Op == session.Is && len(c.Values) == 0 {
			return fmt.Errorf("a condition on %s without a value", c.Attr)
		}
	}
	return nil
}

// checkKeys refuses what cannot be in the indexes. Of an update that shows only
// when its condition is met (DynamoDB Local 3.1.0).
func checkKeys(w session.Write) error {
	for attr, longest := range indexKeys {
		v, isSet := w.Set[attr]
		if text, isText := v.(string); isSet && (!isText || text == "" || len(text) > longest) {
			return fmt.Errorf("%v cannot be %s, a key of an index", v, attr)
		}
	}
	return nil
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
		return isText && text < c.Values[0].(string)
	}
	panic(fmt.Sprintf("memtable: no condition of kind %d", c.Op))
}

func failed(w session.Write, kind, cause error) session.Result {
	if cause == nil {
		return session.Result{Err: fmt.Errorf("session %s: %w", w.SessionID, kind)}
	}
	return session.Result{Err: fmt.Errorf("session %s: %w: %w", w.SessionID, kind, cause)}
}
