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

// Hurried is the reader with next to no pauses between tries.
func (r *Reader) Hurried() *Reader {
	r.firstPause = time.Millisecond
	return r
}

// Patient is the reader with pauses that nobody can wait for.
func (r *Reader) Patient() *Reader {
	r.firstPause = 24 * time.Hour
	return r
}
