package deletesessions

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// Defaults are the stack's grace period and message for entries without their own.
type Defaults struct {
	GracePeriod time.Duration
	Message     string
}

// parseEntries reads a body as the API's array of entries.
func parseEntries(body []byte, maxBatch int, defaults Defaults) ([]session.Entry, []httpapi.Fault) {
	parsed, faults := httpapi.ParseEntries(body, maxBatch, func(fields *httpapi.EntryFields) parsedEntry {
		return parseEntry(fields, defaults)
	})
	if slices.ContainsFunc(parsed, func(e parsedEntry) bool { return e.AsksCloseAt }) {
		faults = append(faults, contradictions(parsed, faults)...)
	}
	entries := slices.Grow([]session.Entry(nil), len(parsed))
	notices := map[notice]bool{}
	for _, e := range parsed {
		entries = append(entries, e.Entry)
		if e.GracePeriod > 0 {
			notices[notice{e.Message, e.GracePeriod}] = true
		}
	}
	if len(notices) > maxNotices {
		faults = append(faults, httpapi.Fault{Field: "body",
			Reason: fmt.Sprintf("has %d different messages or grace periods; one request may have %d", len(notices), maxNotices)})
	}
	return entries, faults
}

// maxNotices is how many different texts one request may have, since each is a separate
// command.
const maxNotices = 16

// A notice is the values on which the text for users depends.
type notice struct {
	message     string
	gracePeriod time.Duration
}

// A parsedEntry is an entry, with the fields that are its own, not the stack's defaults.
type parsedEntry struct {
	session.Entry
	ownGracePeriod, ownMessage bool
}

func parseEntry(fields *httpapi.EntryFields, defaults Defaults) (e parsedEntry) {
	e.SessionID = fields.ID("SessionId")
	e.Owner = fields.ID("Owner")
	e.Force = fields.Bool("Force")
	e.ownGracePeriod = fields.Optional("GracePeriodSeconds", func(raw json.RawMessage) (fault string) {
		e.GracePeriod, fault = session.ParseGracePeriod(string(raw))
		return fault
	})
	e.ownMessage = fields.Optional("Message", into(&e.Message, httpapi.ParseText))
	hasReason := fields.Optional("Reason", into(&e.Reason, httpapi.ParseText))
	hasHost := fields.Optional("HostId", into(&e.HostID, httpapi.ParseID))
	hasCreation := fields.Optional("CreationTime", into(&e.CreationTime, httpapi.ParseTime))
	e.AsksCloseAt = e.ownGracePeriod || e.ownMessage || hasReason || hasHost || hasCreation

	if !e.ownGracePeriod && !e.Force {
		e.GracePeriod = defaults.GracePeriod
	}
	switch {
	case fields.Faulty("GracePeriodSeconds"): // it is not known which one was meant
	case e.Force && e.GracePeriod > 0:
		fields.Fault("GracePeriodSeconds", "contradicts Force, which ends the session immediately")
	case e.GracePeriod == 0 && e.Message != "":
		fields.Fault("Message", "would be shown to nobody, since there is no grace period")
	case e.GracePeriod > 0 && !e.ownMessage:
		e.Message = defaults.Message
	}
	return e
}

// into returns a parser that stores the parsed text.
func into(text *string, parse func(json.RawMessage) (text, fault string)) func(json.RawMessage) (fault string) {
	return func(raw json.RawMessage) (fault string) {
		*text, fault = parse(raw)
		return fault
	}
}

// contradictions returns the faults of entries for the same session and owner, which
// are one deletion, and differ. It compares the entries without the stack's defaults,
// so that these do not decide whether a request is valid. It ignores fields with
// faults.
func contradictions(entries []parsedEntry, known []httpapi.Fault) (faults []httpapi.Fault) {
	faulty := map[int]bool{}
	for _, f := range known {
		if f.Index != nil {
			faulty[*f.Index] = true
		}
	}
	type key struct{ sessionID, owner string }
	first := make(map[key]int, len(entries))
	for i, e := range entries {
		if faulty[i] {
			continue
		}
		k := key{e.SessionID, e.Owner}
		before, again := first[k]
		if !again {
			first[k] = i
			continue
		}
		for _, field := range differences(e, entries[before]) {
			faults = append(faults, httpapi.Fault{
				Index: &i, Field: field,
				Reason: fmt.Sprintf("is not as in entry %d: entries for the same session are one deletion", before),
			})
		}
	}
	return faults
}

// differences returns the fields in which two entries differ, except Force.
func differences(a, b parsedEntry) (fields []string) {
	differ := func(field string, differ bool) {
		if differ {
			fields = append(fields, field)
		}
	}
	differ("GracePeriodSeconds", a.ownGracePeriod != b.ownGracePeriod || a.ownGracePeriod && a.GracePeriod != b.GracePeriod)
	differ("Message", a.ownMessage != b.ownMessage || a.ownMessage && a.Message != b.Message)
	differ("Reason", a.Reason != b.Reason)
	differ("HostId", a.HostID != b.HostID)
	differ("CreationTime", a.CreationTime != b.CreationTime)
	return fields
}
