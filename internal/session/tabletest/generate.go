package tabletest

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

var (
	ids   = []string{"a", "b", "c", "é" + xs(maxIDBytes-len("é"))}
	genID = rapid.SampledFrom(ids)
	// IDs that few records have, some of which none can have.
	oddIDs   = []string{"", "A", xs(maxIDBytes + 1), xs(maxKeyBytes), xs(maxKeyBytes + 1)}
	genAnyID = rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 9).Draw(t, "odd ID") == 0 {
			return rapid.SampledFrom(oddIDs).Draw(t, "odd ID")
		}
		return genID.Draw(t, "id")
	})
	// Two of them are more than a record can hold.
	huge = xs(maxItemBytes / 2)
	// Those that can hold anything; one is a reserved word of expressions.
	attrs = []string{"State", "Attempts", "Confirmation", `an "odd" 'name' ö`}
	// Values of all types, among them those that are easily taken for missing
	// or for each other.
	genValue = rapid.SampledFrom([]any{"", "READY", "DELETING", "1", int64(0), int64(1), int64(-1), true, false})
	genSome  = rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 29).Draw(t, "huge") == 0 {
			return huge
		}
		return genValue.Draw(t, "value")
	})
	genText = rapid.SampledFrom([]string{"", "DELETING", "E", "READY", "READY ", "z"})
	genTime = rapid.Custom(func(t *rapid.T) time.Time {
		return noon.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "half milliseconds")) * time.Millisecond / 2)
	})
	// The keys of indexes, and texts for them.
	texts = map[string][]string{
		session.AttrOwner:         {"alice", "bob"},
		session.AttrLiveHostID:    {"i-1", "i-2", "é" + xs(maxKeyBytes-len("é"))},
		session.AttrDueShard:      {"0", "1"},
		session.AttrNextAttemptAt: {session.FormatTime(noon.Add(-time.Millisecond)), session.FormatTime(noon), session.FormatTime(noon.Add(time.Millisecond))},
	}
	keys = []string{session.AttrOwner, session.AttrLiveHostID, session.AttrDueShard, session.AttrNextAttemptAt}
)

// genKey is a value of the key of an index. The empty text is not for such
// attributes: no write that has it is carried out. Nor are other types, but
// DynamoDB Local (3.1.0) lets an UPDATE of PartiQL put them there, so they are
// not compared.
func genKey(attr string, otherwise bool) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		if otherwise && rapid.IntRange(0, 15).Draw(t, "unfit") == 0 {
			return ""
		}
		return rapid.SampledFrom(texts[attr]).Draw(t, attr)
	})
}

var genRecord = rapid.Custom(func(t *rapid.T) session.Record { return someRecord(t, false) })

func someRecord(t *rapid.T, unfit bool) session.Record {
	r := session.Record{id: genID.Draw(t, "id")}
	values := genValue
	if unfit {
		r[id], values = genAnyID.Draw(t, "any id"), genSome
	}
	for _, attr := range attrs {
		if rapid.Bool().Draw(t, attr+" is there") {
			r[attr] = values.Draw(t, attr)
		}
	}
	for _, attr := range keys {
		if rapid.Bool().Draw(t, attr+" is there") {
			r[attr] = genKey(attr, unfit).Draw(t, attr)
		}
	}
	return r
}

var genWrite = rapid.Custom(func(t *rapid.T) session.Write {
	if rapid.IntRange(0, 5).Draw(t, "new") == 5 {
		r := someRecord(t, true)
		w := session.Write{SessionID: r[id].(string), New: true, Set: r}
		delete(r, id)
		return w
	}
	w := session.Write{SessionID: genAnyID.Draw(t, "id"), Set: session.Record{}}
	for _, attr := range slices.Concat(attrs, keys) {
		switch rapid.SampledFrom([]string{"leave", "set", "remove"}).Draw(t, attr) {
		case "set":
			if slices.Contains(keys, attr) {
				w.Set[attr] = genKey(attr, true).Draw(t, "to")
			} else {
				w.Set[attr] = genSome.Draw(t, "to")
			}
		case "remove":
			w.Remove = append(w.Remove, attr)
		}
	}
	w.If = rapid.SliceOfN(genCondition, 0, 2).Draw(t, "if")
	switch rapid.IntRange(0, 29).Draw(t, "odd") {
	case 0:
		w.Remove = append(w.Remove, "")
	case 1:
		w.If = append(w.If, session.Condition{Op: session.Exists})
	case 2: // too long for a statement
		for n := range 1000 {
			w.Remove = append(w.Remove, fmt.Sprint("Attribute", n))
		}
	}
	return w
})

var genCondition = rapid.Custom(func(t *rapid.T) session.Condition {
	c := session.Condition{
		Attr: rapid.SampledFrom(slices.Concat(attrs, keys)).Draw(t, "attr"),
		Op:   rapid.SampledFrom([]session.Op{session.Is, session.Exists, session.Missing, session.Before}).Draw(t, "op"),
	}
	switch c.Op {
	case session.Is:
		c.Values = rapid.SliceOfN(genValue, 1, 3).Draw(t, "values")
		if some := texts[c.Attr]; some != nil {
			c.Values = append(c.Values, rapid.SampledFrom(some).Draw(t, "value"))
		}
	case session.Before:
		value := genText
		if some := texts[c.Attr]; some != nil {
			value = rapid.SampledFrom(some)
		}
		c.Values = []any{value.Draw(t, "value")}
	}
	return c
})

// An outcome is a result without the text of its error.
type outcome struct {
	Kind string
	Old  session.Record
}
