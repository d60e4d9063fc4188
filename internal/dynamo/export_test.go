package dynamo

import "time"

// Hurried returns the table with almost no pauses between tries.
func (t *Table) Hurried() *Table {
	t.firstPause = time.Millisecond
	return t
}

// Patient returns the table with pauses that are longer than any test.
func (t *Table) Patient() *Table {
	t.firstPause = 24 * time.Hour
	return t
}

// Hurried returns the reader with almost no pauses between tries.
func (r *Reader) Hurried() *Reader {
	r.firstPause = time.Millisecond
	return r
}

// Patient returns the reader with pauses that are longer than any test.
func (r *Reader) Patient() *Reader {
	r.firstPause = 24 * time.Hour
	return r
}
