package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// A Fault is one thing that is wrong with a request.
type Fault struct {
	Index  *int   `json:"Index"` // the entry's place in the array; null for the body as a whole
	Field  string // "SessionId", "Owner", "Force", "entry", "body" or "dryRun"
	Reason string
}

// parseEntries reads a body as the API's array of entries. It reads all of it
// and names every fault, up to the batch limit: what lies beyond is one fault
// itself.
func parseEntries(body []byte, maxBatch int) ([]session.Entry, []Fault) {
	bodyFault := func(reason string) []Fault { return []Fault{{Field: "body", Reason: reason}} }

	if !utf8.Valid(body) {
		return nil, bodyFault("is not valid UTF-8")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, bodyFault("is empty; it must be a JSON array of entries")
	}
	if err := validJSON(body); err != nil {
		return nil, bodyFault("is not valid JSON: " + err.Error())
	}
	array := json.NewDecoder(bytes.NewReader(body))
	if first, err := array.Token(); err != nil || first != json.Delim('[') {
		return nil, bodyFault("is not a JSON array of entries")
	}
	var (
		entries []session.Entry
		faults  []Fault
	)
	for i := 0; array.More(); i++ {
		if i == maxBatch {
			faults = append(faults, bodyFault(fmt.Sprintf("has more than %d entries; those after it were not looked at", maxBatch))...)
			break
		}
		var raw json.RawMessage
		if err := array.Decode(&raw); err != nil {
			return nil, bodyFault("is not valid JSON")
		}
		entry, wrong := parseEntry(raw)
		for _, f := range wrong {
			f.Index = &i
			faults = append(faults, f)
		}
		entries = append(entries, entry)
	}
	return entries, faults
}

// validJSON tells where a body stops being JSON, without what Go calls things.
func validJSON(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	var whole json.RawMessage
	err := d.Decode(&whole)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		return fmt.Errorf("%s at byte %d", syntax.Error(), syntax.Offset)
	}
	if err != nil {
		return errors.New("it ends too early")
	}
	end := d.InputOffset()
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is more after the first value, which ends at byte %d", end)
	}
	return nil
}

func parseEntry(raw json.RawMessage) (session.Entry, []Fault) {
	var fields map[string]json.RawMessage
	if raw[0] != '{' || json.Unmarshal(raw, &fields) != nil {
		return session.Entry{}, []Fault{{Field: "entry", Reason: "is not an object"}}
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
	var reason string
	entry.SessionID, reason = parseID(fields["SessionId"])
	check("SessionId", reason)
	entry.Owner, reason = parseID(fields["Owner"])
	check("Owner", reason)
	entry.Force, reason = parseForce(fields["Force"])
	check("Force", reason)
	return entry, faults
}

func parseID(raw json.RawMessage) (id, fault string) {
	switch {
	case raw == nil:
		return "", "is missing"
	case raw[0] != '"' || json.Unmarshal(raw, &id) != nil:
		return "", "is not a string"
	case id == "":
		return "", "is empty"
	case len(id) > session.MaxIDBytes:
		return "", fmt.Sprintf("is longer than %d bytes", session.MaxIDBytes)
	case strings.ContainsRune(id, utf8.RuneError):
		// Go reads half of a surrogate pair as U+FFFD: another ID.
		return "", "is not valid Unicode"
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

// parseDryRun reads ?dryRun=. The gateway joins the values of a parameter that
// is there twice.
func parseDryRun(req events.APIGatewayV2HTTPRequest) (dryRun bool, wrong *Fault) {
	switch text, there := req.QueryStringParameters["dryRun"]; {
	case !there || text == "false":
		return false, nil
	case text == "true":
		return true, nil
	}
	return false, &Fault{Field: "dryRun", Reason: "is not true or false"}
}

// body is the request's body as it was sent.
func body(req events.APIGatewayV2HTTPRequest) ([]byte, error) {
	if !req.IsBase64Encoded {
		return []byte(req.Body), nil
	}
	return base64.StdEncoding.DecodeString(req.Body)
}
