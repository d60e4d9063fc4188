package dynamo

import "slices"

const (
	// maxStatementBytes limits a statement without the table's name, so that the limit is
	// the same for every table: a statement has at most 8,192 characters (API reference,
	// BatchStatementRequest), which DynamoDB Local counts in bytes, and a name at most
	// 255. A longer one would fail its whole call.
	maxStatementBytes = 8192 - 255
	// maxKeyBytes is the longest partition key.
	maxKeyBytes = 2048
)

// canBeKey tells whether a text can be a partition key of a table or an index. DynamoDB
// fails the whole call for a text that cannot.
func canBeKey(text string) bool { return text != "" && len(text) <= maxKeyBytes }

// possible returns the keys that a table can have.
func possible(keys []string) []string {
	if !slices.ContainsFunc(keys, func(k string) bool { return !canBeKey(k) }) {
		return keys
	}
	return slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return !canBeKey(k) })
}

// tooLong tells whether the write's statement is longer than DynamoDB allows.
func (p *pending) tooLong(tableName string) bool {
	return len(*p.statement.Statement)-len(tableName) > maxStatementBytes
}
