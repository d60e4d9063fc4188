package tabletest

import (
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/streamevent"
)

// Memory is a new table in memory as a Subject, with which others are compared.
func Memory(t TB) Subject {
	table := memtable.New()
	feed := table.Feed()
	return Subject{
		Table:  table,
		Index:  table,
		Hosts:  table,
		Reader: memtable.Reader{Table: table},
		Put:    table.Put,
		Delete: table.Delete,
		Get:    table.Get,
		Changes: func() []Change {
			var shown []streamevent.Record
			for _, c := range feed.Ready() {
				shown = append(shown, c.Event(time.Now(), "arn:aws:dynamodb:us-east-1:000000000000:table/Sessions/stream/1"))
			}
			changes, err := FromEvents(shown)
			if err != nil {
				t.Fatalf("%v", err)
			}
			return changes
		},
	}
}
