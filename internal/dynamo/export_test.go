package dynamo

import "time"

// Hurried is the table with next to no pauses between tries.
func (t *Table) Hurried() *Table {
	t.firstPause = time.Millisecond
	return t
}

// Patient is the table with pauses that nobody can wait for.
func (t *Table) Patient() *Table {
	t.firstPause = 24 * time.Hour
	return t
}
