package memtable_test

import (
	"testing"

	"dcv-session-broker/internal/session/tabletest"
)

func TestConformance(t *testing.T) { tabletest.Run(t, tabletest.Memory) }
