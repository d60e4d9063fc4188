package memtable_test

import (
	"testing"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session/tabletest"
)

func TestReaderConformance(t *testing.T) {
	tabletest.RunReader(t, func(tabletest.TB) tabletest.ReaderSubject {
		table := memtable.New()
		return tabletest.ReaderSubject{Reader: memtable.Reader{Table: table}, Put: table.Put, Delete: table.Delete}
	})
}
