package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// ParseEntries reads a body as an array of entries. It names every fault in the entries
// up to the batch limit. More entries are one further fault.
func ParseEntries[E any](body []byte, maxBatch int, parse func(*EntryFields) E) (entries []E, faults []Fault) {
	bodyFault := func(reason string) []Fault { return []Fault{{Field: "body", Reason: reason}} }

	if IsBlank(body) {
		return nil, bodyFault("is empty; it must be a JSON array of entries")
	}
	if reason := NotJSON(body); reason != "" {
		return nil, bodyFault(reason)
	}
	array, ok := Elements(body)
	if !ok {
		return nil, bodyFault("is not a JSON array of entries")
	}
	for raw := range array {
		i := len(entries)
		if i == maxBatch {
			faults = append(faults, bodyFault(fmt.Sprintf("has more than %d entries; those after it were not looked at", maxBatch))...)
			break
		}
		var entry E
		object, fault := ParseObject(raw)
		fields := EntryFields{object: object}
		if fields.check("entry", fault); fault == "" {
			entry = parse(&fields)
			fields.check("entry", object.Rest())
		}
		for _, f := range fields.faults {
			f.Index = &i
			faults = append(faults, f)
		}
		entries = append(entries, entry)
	}
	return entries, faults
}

// EntryFields are the fields of one entry. They collect the faults.
type EntryFields struct {
	object Object
	faults []Fault
}

func (f *EntryFields) check(field, reason string) {
	if reason != "" {
		f.Fault(field, reason)
	}
}

// Fault adds a fault of a field.
func (f *EntryFields) Fault(field, reason string) {
	f.faults = append(f.faults, Fault{Field: field, Reason: reason})
}

// Faulty tells whether a field has a fault.
func (f *EntryFields) Faulty(field string) bool {
	return slices.ContainsFunc(f.faults, func(fault Fault) bool { return fault.Field == field })
}

// Take parses a field; parse gets nil if it is missing.
func (f *EntryFields) Take(field string, parse func(json.RawMessage) (fault string)) {
	f.check(field, f.object.Take(field, parse))
}

// ID reads the field with the ID of a session, or of an owner.
func (f *EntryFields) ID(field string) (id string) {
	f.Take(field, func(raw json.RawMessage) (fault string) {
		id, fault = ParseID(raw)
		return fault
	})
	return id
}

// Bool reads a field that is true or false; missing and null are false.
func (f *EntryFields) Bool(field string) (value bool) {
	f.Take(field, func(raw json.RawMessage) (fault string) {
		value, fault = ParseBool(raw)
		return fault
	})
	return value
}

// Optional parses a field unless it is missing or null, and tells whether it exists. A
// field whose name differs from this one only in case, "_" or "-" is a fault: it would
// be ignored like any unknown field.
func (f *EntryFields) Optional(field string, parse func(json.RawMessage) (fault string)) (given bool) {
	f.Take(field, func(raw json.RawMessage) string {
		if raw == nil || string(raw) == "null" {
			return ""
		}
		given = true
		return parse(raw)
	})
	if name := f.object.otherSpelling(field); name != "" {
		f.Fault(field, fmt.Sprintf("is spelled %s, not %.40q", field, name))
	}
	return given
}

// A BatchAnswer is the body of a 200: the answer to each entry. Its shape and the order
// of its fields are those of Session Manager's DeleteSessions.
type BatchAnswer[Successful, Unsuccessful any] struct {
	RequestID        string         `json:"RequestId"`
	SuccessfulList   []Successful   `json:"SuccessfulList"`
	UnsuccessfulList []Unsuccessful `json:"UnsuccessfulList"`
	// DryRun is only in the answer to a dry run.
	DryRun bool `json:"DryRun,omitempty"`
}

// Respond returns the answer.
func (a BatchAnswer[Successful, Unsuccessful]) Respond(log *slog.Logger) events.APIGatewayV2HTTPResponse {
	if a.SuccessfulList == nil {
		a.SuccessfulList = []Successful{}
	}
	if a.UnsuccessfulList == nil {
		a.UnsuccessfulList = []Unsuccessful{}
	}
	log.Info("request answered", "DryRun", a.DryRun, "Successful", len(a.SuccessfulList), "Unsuccessful", len(a.UnsuccessfulList))
	return Respond(http.StatusOK, a)
}

// Failed returns the answer if no entry could be answered. A dry run changes nothing,
// so it can always be repeated.
func Failed(log *slog.Logger, id string, dryRun bool, cause error) events.APIGatewayV2HTTPResponse {
	if dryRun || errors.Is(cause, session.ErrTableDown) {
		log.Error("request answered 503: the sessions table, or for a dry run the host directory, does not answer", "Cause", cause)
		return Unavailable(id, "Sessions cannot be changed right now. Repeat the call.")
	}
	log.Error("request failed", "Cause", cause)
	return InternalError(id)
}
