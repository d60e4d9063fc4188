package describesessions

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

const (
	// maxResults is the API's limit of a page, and the default.
	maxResults = 1000
	maxIDs     = 1000
	maxFilters = 100
)

// A query is a parsed request.
type query struct {
	session.Query
	// nothing is true if the filters exclude each other.
	nothing bool
}

// parseQuery reads a body as the API's description of sessions; an empty one,
// or null, which generated clients send for none, means all. It names every
// fault.
func parseQuery(body []byte, fleetTag string) (query, []httpapi.Fault) {
	q := query{Query: session.Query{Limit: maxResults}}
	if httpapi.IsBlank(body) || httpapi.IsNull(body) {
		return q, nil
	}
	if reason := httpapi.NotJSON(body); reason != "" {
		return q, []httpapi.Fault{{Field: "body", Reason: reason}}
	}
	fields, fault := httpapi.ParseObject(body)
	if fault == httpapi.NotObject {
		fault = "is not a JSON object"
	}
	if fault != "" {
		return q, []httpapi.Fault{{Field: "body", Reason: fault}}
	}
	p := queryParser{query: q, fleetTag: fleetTag}
	p.field(fields, "SessionIds", p.sessionIDs)
	p.field(fields, "Filters", p.filters)
	p.field(fields, "MaxResults", p.maxResults)
	p.field(fields, "Details", func(raw json.RawMessage) (fault string) {
		p.Details, fault = httpapi.ParseBool(raw)
		return fault
	})
	p.field(fields, "NextToken", p.nextToken)
	p.fault(nil, "body", fields.Rest())
	return p.query, p.faults
}

type queryParser struct {
	query
	fleetTag string
	faults   []httpapi.Fault
}

func (p *queryParser) fault(index *int, field, reason string) {
	if reason != "" {
		p.faults = append(p.faults, httpapi.Fault{Index: index, Field: field, Reason: reason})
	}
}

// field parses a field; one that is null counts as missing.
func (p *queryParser) field(fields httpapi.Object, name string, parse func(json.RawMessage) (fault string)) {
	p.fault(nil, name, fields.Take(name, func(raw json.RawMessage) string {
		if raw == nil || string(raw) == "null" {
			return ""
		}
		return parse(raw)
	}))
}

// elements parses each element of an array, up to a limit.
func (p *queryParser) elements(field string, raw json.RawMessage, limit int, parse func(json.RawMessage) (faults []string)) (fault string) {
	array, ok := httpapi.Elements(raw)
	if !ok {
		return "is not an array"
	}
	i := -1
	for element := range array {
		if i++; i == limit {
			return fmt.Sprintf("has more than %d elements; those after it were not looked at", limit)
		}
		at := i
		for _, reason := range parse(element) {
			p.fault(&at, field, reason)
		}
	}
	return ""
}

func (p *queryParser) sessionIDs(raw json.RawMessage) (fault string) {
	return p.elements("SessionIds", raw, maxIDs, func(raw json.RawMessage) []string {
		id, reason := httpapi.ParseID(raw)
		p.IDs = append(p.IDs, id)
		return []string{reason}
	})
}

func (p *queryParser) filters(raw json.RawMessage) (fault string) {
	return p.elements("Filters", raw, maxFilters, func(raw json.RawMessage) (faults []string) {
		fields, fault := httpapi.ParseObject(raw)
		if fault != "" {
			return []string{fault}
		}
		var key string
		check := func(field, reason string) {
			if reason != "" {
				faults = append(faults, strings.TrimSpace(field+" "+reason))
			}
		}
		check("Key", fields.Take("Key", func(raw json.RawMessage) (reason string) {
			key, reason = parseKey(raw)
			return reason
		}))
		check("Value", fields.Take("Value", func(raw json.RawMessage) string { return p.filter(key, raw) }))
		check("", fields.Rest())
		return faults
	})
}

// fleetTagFilter names the one tag that every host has.
const fleetTagFilter = "tag:" + session.FleetTagKey

func parseKey(raw json.RawMessage) (key, fault string) {
	key, fault = parseText(raw)
	switch {
	case fault != "" || key == "owner" || key == "host" || key == fleetTagFilter:
		return key, fault
	case strings.HasPrefix(key, "tag:"):
		return "", "names a tag that is not known: of the tags of hosts, only " + session.FleetTagKey + " is"
	}
	return "", "is neither owner nor host nor " + fleetTagFilter
}

// filter narrows the query by the value of a filter.
func (p *queryParser) filter(key string, raw json.RawMessage) (fault string) {
	value, fault := httpapi.ParseID(raw)
	switch {
	case fault != "":
	case key == "owner":
		if p.Owner != "" && p.Owner != value {
			p.nothing = true
		}
		p.Owner = value
	case key == "host":
		if p.HostID != "" && p.HostID != value || !session.IsHostID(value) {
			p.nothing = true
		}
		p.HostID = value
	case key == fleetTagFilter && value != p.fleetTag:
		p.nothing = true
	}
	return fault
}

func parseText(raw json.RawMessage) (text, fault string) {
	switch {
	case raw == nil:
		return "", "is missing"
	case raw[0] != '"' || json.Unmarshal(raw, &text) != nil:
		return "", "is not a string"
	}
	return text, ""
}

func (p *queryParser) maxResults(raw json.RawMessage) (fault string) {
	// ParseFloat also fails for a number out of range; 1.0 is a whole number.
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || n != math.Trunc(n) || n < 1 || n > maxResults {
		return fmt.Sprintf("is not a whole number from 1 to %d", maxResults)
	}
	p.Limit = int(n)
	return ""
}

// nextToken is parsed last, since it depends on all other fields except the limit and the details.
func (p *queryParser) nextToken(raw json.RawMessage) (fault string) {
	token, fault := parseText(raw)
	if fault != "" || token == "" || len(p.faults) > 0 {
		return fault
	}
	p.After, fault = p.place(token)
	return fault
}
