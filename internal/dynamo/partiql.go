package dynamo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// statement returns the write in PartiQL. Every value is a parameter. Attribute names
// are quoted, since many are reserved words, and other programs may add attributes with
// any name. A quote in a name is doubled.
//
// The syntax that it uses, and where DynamoDB's developer guide allows it (the tests
// run each against DynamoDB Local):
//
//   - UPDATE ... SET a=? SET b=? REMOVE c REMOVE d WHERE ... RETURNING ALL
//     OLD *: "PartiQL update statements". The keyword is repeated for every
//     attribute, as in the guide's examples: a list after REMOVE is an error.
//     BatchExecuteStatement returns the item of RETURNING too; the guide does
//     not say so, but it was seen on AWS (paritysuite/dynamodb-conformance,
//     pull request 103).
//   - A WHERE that no item meets is ConditionalCheckFailed, also when there is
//     no item of that key: the same page. An UPDATE never makes an item.
//   - =, <, AND, OR and IN [...] of up to 100 values: "PartiQL arithmetic,
//     comparison, and logical operators", "PartiQL select statements".
//   - IS MISSING, IS NOT MISSING: "Using the MISSING function".
//   - INSERT INTO ... VALUE {'a':?}: "PartiQL insert statements"; DuplicateItem
//     if there is one, and never its attributes.
func statement(tableName string, w session.Write) types.BatchStatementRequest {
	var (
		text       strings.Builder
		parameters = make([]types.AttributeValue, 0, len(w.Set)+len(w.If)+4)
	)
	text.Grow(800) // enough for a mark; only an inventory's is longer
	name := func(words, name string) {
		text.WriteString(words)
		text.WriteByte('"')
		text.WriteString(strings.ReplaceAll(name, `"`, `""`))
		text.WriteByte('"')
	}
	parameter := func(words string, v any) {
		text.WriteString(words)
		text.WriteByte('?')
		parameters = append(parameters, attributeValue(v))
	}

	if w.New {
		name("INSERT INTO ", tableName)
		text.WriteString(" VALUE {")
		literal := func(separator, attr string, v any) {
			text.WriteString(separator + "'" + strings.ReplaceAll(attr, "'", "''") + "':")
			parameter("", v)
		}
		literal("", session.AttrSessionID, w.SessionID)
		for _, attr := range slices.Sorted(maps.Keys(w.Set)) {
			literal(",", attr, w.Set[attr])
		}
		text.WriteByte('}')
		all := text.String()
		return types.BatchStatementRequest{Statement: &all, Parameters: parameters}
	}

	name("UPDATE ", tableName)
	// Sorted, so that equal writes are equal statements.
	attrs := slices.AppendSeq(make([]string, 0, len(w.Set)), maps.Keys(w.Set))
	slices.Sort(attrs)
	for _, attr := range attrs {
		name(" SET ", attr)
		parameter("=", w.Set[attr])
	}
	for _, attr := range w.Remove {
		name(" REMOVE ", attr)
	}
	name(" WHERE ", session.AttrSessionID)
	parameter("=", w.SessionID)
	for _, c := range w.If {
		if c.Op == session.Before {
			name(" AND (", c.Attr)
			name(" IS MISSING OR ", c.Attr)
			parameter("<", c.Values[0])
			text.WriteByte(')')
			continue
		}
		name(" AND ", c.Attr)
		switch {
		case c.Op == session.Is && len(c.Values) == 1:
			parameter("=", c.Values[0])
		case c.Op == session.Is:
			text.WriteString(" IN [")
			for i, v := range c.Values {
				parameter(","[:min(i, 1)], v)
			}
			text.WriteByte(']')
		case c.Op == session.Exists:
			text.WriteString(" IS NOT MISSING")
		case c.Op == session.Missing:
			text.WriteString(" IS MISSING")
		default:
			panic(fmt.Sprintf("dynamo: no condition of kind %d", c.Op))
		}
	}
	text.WriteString(" RETURNING ALL OLD *")

	all := text.String()
	return types.BatchStatementRequest{
		Statement:                           &all,
		Parameters:                          parameters,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}
