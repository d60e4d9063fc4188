package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// A Fault is one thing that is wrong with a request.
type Fault struct {
	// Index is the place in the array: of entries, or the one that Field names;
	// null if there is none.
	Index *int `json:"Index"`
	// Field is the name of one, or "entry", "body" or "dryRun".
	Field  string
	Reason string
}

// parseEntries reads a body as the API's array of entries. It reads all of it
// and names every fault, up to the batch limit: what lies beyond is one fault
// itself.
func parseEntries(body []byte, maxBatch int) ([]session.Entry, []Fault) {
	bodyFault := func(reason string) []Fault { return []Fault{{Field: "body", Reason: reason}} }

	if blank(body) {
		return nil, bodyFault("is empty; it must be a JSON array of entries")
	}
	if reason := notJSON(body); reason != "" {
		return nil, bodyFault(reason)
	}
	array, ok := elementsOf(body)
	if !ok {
		return nil, bodyFault("is not a JSON array of entries")
	}
	var (
		entries []session.Entry
		faults  []Fault
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

func blank(body []byte) bool { return len(bytes.Trim(body, " \t\r\n")) == 0 }

// notJSON tells where a body stops being JSON, without what Go calls things.
func notJSON(body []byte) (fault string) {
	if !utf8.Valid(body) {
		return "is not valid UTF-8"
	}
	if json.Valid(body) {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(body))
	var whole json.RawMessage
	err := d.Decode(&whole)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Sprintf("is not valid JSON: %s at byte %d", syntax.Error(), syntax.Offset)
	}
	if err != nil {
		return "is not valid JSON: it ends too early"
	}
	end := d.InputOffset()
	if _, err := d.Token(); err != io.EOF {
		return fmt.Sprintf("is not valid JSON: there is more after the first value, which ends at byte %d", end)
	}
	return ""
}

// An object is a JSON object's fields, each as it stands there.
type object struct {
	fields map[string]json.RawMessage
	twice  map[string]bool
}

// maxFields bounds what an object takes in memory: many times its text, if it is
// all fields. The API knows of four.
const maxFields = 1000

const notObject = "is not an object"

// parseObject reads valid JSON; the fault is notObject if it is something else.
func parseObject(raw json.RawMessage) (o object, fault string) {
	all, ok := fieldsOf(raw)
	if !ok {
		return o, notObject
	}
	o.fields = map[string]json.RawMessage{}
	n := 0
	for field, value := range all {
		if n++; n > maxFields {
			return o, fmt.Sprintf("has more than %d fields", maxFields)
		}
		if _, again := o.fields[field]; again {
			if o.twice == nil {
				o.twice = map[string]bool{}
			}
			o.twice[field] = true
		}
		o.fields[field] = value
	}
	return o, ""
}

// take has a field parsed, nil if it is not there, and tells its fault. With two
// of one name there is no telling which is meant.
func (o object) take(field string, parse func(json.RawMessage) (fault string)) (fault string) {
	if o.twice[field] {
		delete(o.twice, field)
		return "is there twice"
	}
	return parse(o.fields[field])
}

// rest is the fault of the fields that nobody took.
func (o object) rest() (fault string) {
	if len(o.twice) > 0 {
		return "has a field twice"
	}
	return ""
}

func parseEntry(raw json.RawMessage) (session.Entry, []Fault) {
	fields, fault := parseObject(raw)
	if fault != "" {
		return session.Entry{}, []Fault{{Field: "entry", Reason: fault}}
	}
	var (
		entry  session.Entry
		faults []Fault
	)
	check := func(field, reason string) {
		if reason != "" {
			faults = append(faults, Fault{Field: field, Reason: reason})
		}
	}
	check("SessionId", fields.take("SessionId", idInto(&entry.SessionID)))
	check("Owner", fields.take("Owner", idInto(&entry.Owner)))
	check("Force", fields.take("Force", func(raw json.RawMessage) (reason string) {
		entry.Force, reason = parseForce(raw)
		return reason
	}))
	check("entry", fields.rest())
	return entry, faults
}

func idInto(id *string) func(json.RawMessage) string {
	return func(raw json.RawMessage) (fault string) {
		*id, fault = parseID(raw)
		return fault
	}
}

// parseID reads the ID of a session, or of an owner.
func parseID(raw json.RawMessage) (id, fault string) {
	switch {
	case raw == nil:
		return "", "is missing"
	case raw[0] != '"':
		return "", "is not a string"
	}
	switch id = unquote(raw); {
	case id == "":
		return "", "is empty"
	case len(id) > session.MaxIDBytes:
		return "", fmt.Sprintf("is longer than %d bytes", session.MaxIDBytes)
	case strings.ContainsRune(id, utf8.RuneError):
		// Go reads half of a surrogate pair as U+FFFD: another ID.
		return "", "is not valid Unicode"
	case strings.ContainsFunc(id, unicode.IsControl):
		return "", "has a control character"
	}
	return id, ""
}

func parseForce(raw json.RawMessage) (force bool, fault string) {
	switch string(raw) {
	case "", "null", "false":
		return false, ""
	case "true":
		return true, ""
	}
	return false, "is not true or false"
}

// body is the request's body as it was sent, without a byte order mark. Windows
// PowerShell 5.1 puts one before the text that it writes as UTF-8, and RFC 8259
// lets a reader ignore it.
func body(req events.APIGatewayV2HTTPRequest) ([]byte, error) {
	text := []byte(req.Body)
	if req.IsBase64Encoded {
		var err error
		if text, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return nil, err
		}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}
