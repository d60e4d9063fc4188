package cleanup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"dcv-session-broker/internal/session"
)

const (
	// maxListed bounds the owners, and the hosts, of one event, since each is a call.
	maxListed = 1000
	// maxHours is a hundred years, which fits in a time.Duration.
	maxHours = 100 * 366 * 24
)

// RuleDefaults are the stack's grace period and message, for rules without their own.
type RuleDefaults struct {
	GracePeriod time.Duration
	Message     string
}

// parseRule reads an event {"task": "close", ...} and names every fault of it. A rule
// with a fault ends no session: a misspelled key, a list that a script left empty, or a
// missing condition would select more sessions than its author meant.
func parseRule(event json.RawMessage, defaults RuleDefaults) (rule session.Rule, faults []string) {
	rule.Limit, rule.GracePeriod = session.DefaultRuleLimit, defaults.GracePeriod
	o := parseObject(event, "", &faults)
	o.take("task", func(json.RawMessage) string { return "" })
	o.require("name", func(raw json.RawMessage) string {
		return parseChosenText(raw, &rule.Name, nameFault)
	})
	o.require("select", func(raw json.RawMessage) string {
		rule.Select = parseSelection(raw, &faults)
		return ""
	})
	o.take("reason", func(raw json.RawMessage) string { return parseChosenText(raw, &rule.Reason, textFault) })
	meant := true // the grace period is known
	o.take("gracePeriodSeconds", func(raw json.RawMessage) (fault string) {
		rule.GracePeriod, fault = session.ParseGracePeriod(string(raw))
		meant = fault == ""
		return fault
	})
	rule.Message = defaults.Message
	o.take("message", func(raw json.RawMessage) string {
		if rule.GracePeriod == 0 && meant {
			return "would be shown to nobody, since there is no grace period"
		}
		return parseChosenText(raw, &rule.Message, textFault)
	})
	o.take("dryRun", func(raw json.RawMessage) string { return parseBool(raw, &rule.DryRun) })
	o.take("limit", func(raw json.RawMessage) string {
		n, err := strconv.Atoi(string(raw))
		if rule.Limit = n; err != nil || n < 1 || n > session.MaxRuleLimit {
			return fmt.Sprintf("is not a whole number from 1 to %d", session.MaxRuleLimit)
		}
		return ""
	})
	o.end()
	return rule, faults
}

func textFault(text string) (fault string) {
	_, fault = session.ParseText(text)
	return fault
}

// nameFault returns the fault of a rule's name, which is in DeletionRequestedBy and
// which people search for.
func nameFault(name string) (fault string) {
	const marks, others = " _-", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(name) > 64 || strings.Trim(name, others+marks) != "" || strings.Contains(marks, name[:1]) {
		return "is not 1 to 64 letters, digits, spaces, - and _, the first a letter or digit"
	}
	return ""
}

func parseSelection(raw json.RawMessage, faults *[]string) (sel session.Selection) {
	o := parseObject(raw, "select.", faults)
	conditions, all := len(o.fields), o.fields["all"] != nil
	o.take("all", func(raw json.RawMessage) string {
		if string(raw) != "true" {
			return "can only be true"
		}
		return ""
	})
	o.take("owners", func(raw json.RawMessage) string { return parseTexts(raw, &sel.Owners) })
	o.take("hosts", func(raw json.RawMessage) string { return parseTexts(raw, &sel.HostIDs) })
	o.take("type", func(raw json.RawMessage) string {
		return parseChosenText(raw, &sel.Type, func(text string) string {
			if text != "virtual" && text != "console" {
				return "is not virtual or console"
			}
			return ""
		})
	})
	o.take("olderThanHours", func(raw json.RawMessage) string {
		hours, err := strconv.ParseFloat(string(raw), 64)
		if err != nil || hours <= 0 || hours > maxHours {
			return fmt.Sprintf("is not a number above 0, and at most %d", maxHours)
		}
		sel.OlderThan = time.Duration(hours * float64(time.Hour))
		return ""
	})
	o.take("createdBefore", func(raw json.RawMessage) string {
		var text string
		fault := parseText(raw, &text)
		if t, err := time.Parse(time.RFC3339, text); fault == "" && err == nil {
			sel.CreatedBefore = t
			return ""
		}
		return "is not a time like 2026-11-23T20:00:00Z"
	})
	o.end()
	switch {
	case o.fields == nil: // it is not an object
	case conditions == 0:
		*faults = append(*faults, `select has no condition; all sessions are {"all": true}`)
	case all && conditions > 1:
		*faults = append(*faults, "select.all stands alone: all sessions, or those that meet the conditions")
	}
	return sel
}

// An object is a JSON object whose fields are read one by one.
type object struct {
	path   string // the prefix of a field's name in a fault
	fields map[string]json.RawMessage
	faults *[]string
}

// parseObject reads an object. Two fields of one name are a fault, since it is not
// clear which is meant.
func parseObject(raw json.RawMessage, path string, faults *[]string) object {
	o := object{path: path, faults: faults}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		o.fault(cmp.Or(strings.TrimSuffix(path, "."), "event"), "is not an object")
		return o
	}
	o.fields = map[string]json.RawMessage{}
	for d.More() {
		var value json.RawMessage
		name, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil { // Lambda's runtime has checked that the event is JSON
			o.fault("event", "is not JSON")
			return o
		}
		if _, again := o.fields[name.(string)]; again {
			o.fault(path+name.(string), "is there twice")
		}
		o.fields[name.(string)] = value
	}
	return o
}

func (o object) fault(field, fault string) {
	*o.faults = append(*o.faults, field+" "+fault)
}

// take parses a field, if it exists.
func (o object) take(name string, parse func(raw json.RawMessage) (fault string)) {
	raw, there := o.fields[name]
	if !there {
		return
	}
	delete(o.fields, name)
	if fault := parse(raw); fault != "" {
		o.fault(o.path+name, fault)
	}
}

// require parses a field that must exist.
func (o object) require(name string, parse func(raw json.RawMessage) (fault string)) {
	if _, there := o.fields[name]; !there && o.fields != nil {
		o.fault(o.path+name, "is missing")
	}
	o.take(name, parse)
}

// end reports the fields that were not read.
func (o object) end() {
	for _, name := range slices.Sorted(maps.Keys(o.fields)) {
		o.fault(o.path+name, "is not known")
	}
}

func parseBool(raw json.RawMessage, into *bool) (fault string) {
	if text := string(raw); text != "true" && text != "false" {
		return "is not true or false"
	}
	*into = string(raw) == "true"
	return ""
}

// parseText reads a string that is not empty.
func parseText(raw json.RawMessage, into *string) (fault string) {
	if raw[0] != '"' || json.Unmarshal(raw, into) != nil {
		return "is not a string"
	}
	if *into == "" {
		return "is empty"
	}
	return ""
}

// parseChosenText is parseText with a check of the text.
func parseChosenText(raw json.RawMessage, into *string, check func(text string) (fault string)) (fault string) {
	if fault := parseText(raw, into); fault != "" {
		return fault
	}
	return check(*into)
}

// parseTexts reads a list of owners or hosts that is not empty.
func parseTexts(raw json.RawMessage, into *[]string) (fault string) {
	var all []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &all) != nil {
		return "is not a list"
	}
	if len(all) == 0 {
		return "is an empty list"
	}
	if len(all) > maxListed {
		return fmt.Sprintf("has more than %d elements", maxListed)
	}
	for i, raw := range all {
		var text string
		fault := parseText(raw, &text)
		if fault == "" && (len(text) > session.MaxIDBytes || strings.ContainsFunc(text, unicode.IsControl)) {
			fault = fmt.Sprintf("is longer than %d bytes, or has a control character", session.MaxIDBytes)
		}
		if fault != "" {
			return fmt.Sprintf("[%d] %s", i, fault)
		}
		*into = append(*into, text)
	}
	return ""
}
