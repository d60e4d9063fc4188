package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dcv-session-broker/internal/session"
)

// IsBlank tells whether a body is only white space.
func IsBlank(body []byte) bool { return len(trimSpace(body)) == 0 }

// IsNull tells whether a body is null, which generated clients send for a missing one.
func IsNull(body []byte) bool { return string(bytes.TrimRight(trimSpace(body), " \t\r\n")) == "null" }

// NotJSON returns where a body stops being JSON, without Go's terms.
func NotJSON(body []byte) (fault string) {
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

// An Object has the fields of a JSON object, each as raw JSON.
type Object struct {
	fields map[string]json.RawMessage
	twice  map[string]bool
}

// MaxFields bounds the memory of an object, which for many small fields is a multiple
// of its text. The API itself has few.
const MaxFields = 1000

// NotObject is the fault of JSON that is not an object.
const NotObject = "is not an object"

// ParseObject parses valid JSON; the fault is NotObject if it is not an object.
func ParseObject(raw json.RawMessage) (o Object, fault string) {
	all, ok := fieldsOf(raw)
	if !ok {
		return o, NotObject
	}
	o.fields = map[string]json.RawMessage{}
	n := 0
	for field, value := range all {
		if n++; n > MaxFields {
			return o, fmt.Sprintf("has more than %d fields", MaxFields)
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

// Take parses a field, nil if it is missing, and returns its fault. Two fields of one
// name are a fault, since it is not clear which is meant.
func (o Object) Take(field string, parse func(json.RawMessage) (fault string)) (fault string) {
	if o.twice[field] {
		delete(o.twice, field)
		return "is there twice"
	}
	return parse(o.fields[field])
}

// Rest returns the fault of the fields that were not taken.
func (o Object) Rest() (fault string) {
	if len(o.twice) > 0 {
		return "has a field twice"
	}
	return ""
}

// otherSpelling returns the name of a field that differs from this one only in case,
// "_" or "-"; "" if there is none.
func (o Object) otherSpelling(field string) (name string) {
	for other := range o.fields {
		if other != field && (name == "" || other < name) && spellsAlike(other, field) {
			name = other // the first of several
		}
	}
	return name
}

// spellsAlike is fast for most fields, which begin with another letter.
func spellsAlike(other, field string) bool {
	other = strings.TrimLeft(other, "_-")
	return len(other) >= len(field) && strings.EqualFold(other[:1], field[:1]) && strings.EqualFold(withoutDashes.Replace(other), field)
}

var withoutDashes = strings.NewReplacer("_", "", "-", "")

// ParseBool parses true or false; missing and null are false.
func ParseBool(raw json.RawMessage) (value bool, fault string) {
	switch string(raw) {
	case "", "null", "false":
		return false, ""
	case "true":
		return true, ""
	}
	return false, "is not true or false"
}

// ParseID reads the ID of a session, or of an owner.
func ParseID(raw json.RawMessage) (id, fault string) {
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
	case hasHalfPair(id):
		return "", notUnicode
	case strings.ContainsFunc(id, unicode.IsControl):
		return "", "has a control character"
	}
	return id, ""
}

const notUnicode = "is not valid Unicode"

// hasHalfPair tells whether a text may have half of a surrogate pair, which Go reads as U+FFFD.
func hasHalfPair(text string) bool { return strings.ContainsRune(text, utf8.RuneError) }

// ParseText reads a message for users, or a reason.
func ParseText(raw json.RawMessage) (text, fault string) {
	if raw[0] != '"' {
		return "", "is not a string"
	}
	if text = unquote(raw); hasHalfPair(text) {
		return "", notUnicode
	}
	return session.ParseText(text)
}

// ParseTime reads a time as it is written, of RFC 3339.
func ParseTime(raw json.RawMessage) (text, fault string) {
	if text, fault = ParseID(raw); fault != "" {
		return "", fault
	}
	// Go also accepts an hour of one digit, and a comma before the decimals.
	if _, err := time.Parse(time.RFC3339, text); err != nil || text[len("2006-01-02T15")] != ':' || strings.Contains(text, ",") {
		return "", "is not a time of RFC 3339, such as 2026-11-23T08:30:00.262883Z"
	}
	return text, ""
}
