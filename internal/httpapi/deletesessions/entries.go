package deletesessions

import (
	"encoding/json"
	"fmt"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// parseEntries reads a body as the API's array of entries. It reads all of it
// and names every fault, up to the batch limit: what lies beyond is one fault
// itself.
func parseEntries(body []byte, maxBatch int) ([]session.Entry, []httpapi.Fault) {
	bodyFault := func(reason string) []httpapi.Fault { return []httpapi.Fault{{Field: "body", Reason: reason}} }

	if httpapi.IsBlank(body) {
		return nil, bodyFault("is empty; it must be a JSON array of entries")
	}
	if reason := httpapi.NotJSON(body); reason != "" {
		return nil, bodyFault(reason)
	}
	array, ok := httpapi.Elements(body)
	if !ok {
		return nil, bodyFault("is not a JSON array of entries")
	}
	var (
		entries []session.Entry
		faults  []httpapi.Fault
	)
	for raw := range array {
		i := len(entries)
		if i == maxBatch {
			faults = append(faults, bodyFault(fmt.Sprintf("has more than %d entries; those after it were not looked at", maxBatch))...)
			break
		}
		entry, wrong := parseEntry(raw)
		for _, f := range wrong {
			at := i
			f.Index = &at
			faults = append(faults, f)
		}
		entries = append(entries, entry)
	}
	return entries, faults
}

func parseEntry(raw json.RawMessage) (session.Entry, []httpapi.Fault) {
	fields, fault := httpapi.ParseObject(raw)
	if fault != "" {
		return session.Entry{}, []httpapi.Fault{{Field: "entry", Reason: fault}}
	}
	var (
		entry  session.Entry
		faults []httpapi.Fault
	)
	check := func(field, reason string) {
		if reason != "" {
			faults = append(faults, httpapi.Fault{Field: field, Reason: reason})
		}
	}
	check("SessionId", fields.Take("SessionId", idInto(&entry.SessionID)))
	check("Owner", fields.Take("Owner", idInto(&entry.Owner)))
	check("Force", fields.Take("Force", func(raw json.RawMessage) (reason string) {
		entry.Force, reason = httpapi.ParseBool(raw)
		return reason
	}))
	check("entry", fields.Rest())
	return entry, faults
}

func idInto(id *string) func(json.RawMessage) string {
	return func(raw json.RawMessage) (fault string) {
		*id, fault = httpapi.ParseID(raw)
		return fault
	}
}
