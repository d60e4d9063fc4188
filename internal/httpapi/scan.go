package httpapi

import (
	"encoding/json"
	"iter"
	"strings"
)

// The functions here iterate over valid JSON without copies: a decoder of encoding/json
// for each entry was a large part of the cost of a large request.

// Elements returns the values of an array; ok is false for any other value.
func Elements(raw []byte) (all iter.Seq[json.RawMessage], ok bool) {
	raw = trimSpace(raw)
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	return func(yield func(json.RawMessage) bool) {
		for rest := trimSpace(raw[1:]); rest[0] != ']'; {
			var value []byte
			value, rest = split(rest)
			if !yield(value) {
				return
			}
			rest = trimSpace(rest)
			if rest[0] == ',' {
				rest = trimSpace(rest[1:])
			}
		}
	}, true
}

// fieldsOf returns the names and values of an object, in their order; ok is false for
// any other value.
func fieldsOf(raw []byte) (all iter.Seq2[string, json.RawMessage], ok bool) {
	raw = trimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	return func(yield func(string, json.RawMessage) bool) {
		for rest := trimSpace(raw[1:]); rest[0] != '}'; {
			var name, value []byte
			name, rest = split(rest)
			value, rest = split(trimSpace(trimSpace(rest)[1:])) // after the colon
			if !yield(unquote(name), value) {
				return
			}
			rest = trimSpace(rest)
			if rest[0] == ',' {
				rest = trimSpace(rest[1:])
			}
		}
	}, true
}

// split separates the first value from the rest.
func split(raw []byte) (value, rest []byte) {
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return raw[:i+1], raw[i+1:]
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return raw[:i], raw[i:] // the end of a number, or of a word
			}
			if depth--; depth == 0 {
				return raw[:i+1], raw[i+1:]
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return raw[:i], raw[i:]
			}
		}
	}
	return raw, nil
}

// trimSpace removes JSON's white space from the beginning, which is less than Go's.
func trimSpace(raw []byte) []byte {
	for len(raw) > 0 && (raw[0] == ' ' || raw[0] == '\t' || raw[0] == '\r' || raw[0] == '\n') {
		raw = raw[1:]
	}
	return raw
}

// unquote returns the value of a string. Most strings have no escapes.
func unquote(quoted []byte) string {
	text := string(quoted)
	if !strings.Contains(text, `\`) {
		return text[1 : len(text)-1]
	}
	var meant string
	if err := json.Unmarshal(quoted, &meant); err != nil {
		panic(err) // it was valid
	}
	return meant
}
