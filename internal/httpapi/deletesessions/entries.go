package deletesessions

import (
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// parseEntries reads a body as the API's array of entries.
func parseEntries(body []byte, maxBatch int) ([]session.Entry, []httpapi.Fault) {
	return httpapi.ParseEntries(body, maxBatch, func(fields *httpapi.EntryFields) session.Entry {
		return session.Entry{
			SessionID: fields.ID("SessionId"),
			Owner:     fields.ID("Owner"),
			Force:     fields.Bool("Force"),
		}
	})
}
