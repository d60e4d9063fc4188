package canceldeletions

import (
	"encoding/json"
	"fmt"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// parseEntries reads a body as an array of entries. Entries of one session and owner
// are one cancel, so they must name the same deletion.
func parseEntries(body []byte, maxBatch int) ([]session.CancelEntry, []httpapi.Fault) {
	entries, faults := httpapi.ParseEntries(body, maxBatch, func(fields *httpapi.EntryFields) (e session.CancelEntry) {
		e.SessionID, e.Owner = fields.ID("SessionId"), fields.ID("Owner")
		fields.Optional("RequestId", func(raw json.RawMessage) (fault string) {
			e.DeletionRequestID, fault = httpapi.ParseID(raw)
			return fault
		})
		return e
	})
	if len(faults) > 0 {
		return nil, faults
	}
	type target struct{ sessionID, owner string }
	first := make(map[target]int, len(entries))
	for i, e := range entries {
		of := target{e.SessionID, e.Owner}
		j, again := first[of]
		if !again {
			first[of] = i
		} else if e.DeletionRequestID != entries[j].DeletionRequestID {
			faults = append(faults, httpapi.Fault{
				Index: &i, Field: "RequestId", Reason: fmt.Sprintf("is not as in entry %d: entries for the same session are one cancel", j),
			})
		}
	}
	return entries, faults
}
