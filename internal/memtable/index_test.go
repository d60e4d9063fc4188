package memtable_test

import (
	"testing"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session/tabletest"
)

func TestIndexConformance(t *testing.T) {
	tabletest.RunIndex(t, func(tabletest.TB) tabletest.IndexSubject {
		table := memtable.New()
		return tabletest.IndexSubject{Index: table, Hosts: table, Put: table.Put}
	})
}

func TestHostsConformance(t *testing.T) {
	tabletest.RunHosts(t, func(tabletest.TB) tabletest.HostsSubject { return memtable.NewHosts() })
}
