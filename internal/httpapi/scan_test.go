package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var valid = []string{
	`[]`, ` [ ] `, `{}`, "{ }", `7`, `null`, `"[1]"`, `[1]`, `[1,2 , 3]`, "[\t-1.5e3\r\n,true,null ]", `["]", "\"", "\\", "\\\"]", ","]`,
	`[[],[[]],{"a":[{}]},"x"]`, `{"a":1}`, `{"a" : 1 , "b":"}" ,"c":{"d":"{"}}`, `{"\"":1,"\\":2,"\u0061":3,"":4}`, `{"a":1,"a":[2]}`,
	`["\ud834\udd1e","\ud834","é"]`,
}

// Iterating returns the same as encoding/json.
func TestElementsAreThoseOfAnyReader(t *testing.T) {
	for _, text := range valid {
		var want []json.RawMessage
		isArray := json.Unmarshal([]byte(text), &want) == nil && text != "null"
		all, ok := Elements([]byte(text))
		if ok != isArray {
			t.Errorf("%s: an array: %v", text, ok)
		}
		if !ok {
			continue
		}
		got := []json.RawMessage{}
		for v := range all {
			got = append(got, bytes.Clone(v))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestFieldsAreThoseOfAnyReader(t *testing.T) {
	for _, text := range valid {
		var want map[string]json.RawMessage
		isObject := json.Unmarshal([]byte(text), &want) == nil && text != "null"
		all, ok := fieldsOf([]byte(text))
		if ok != isObject {
			t.Errorf("%s: an object: %v", text, ok)
		}
		if !ok {
			continue
		}
		got := map[string]json.RawMessage{}
		for name, v := range all {
			got[name] = bytes.Clone(v) // the last of two, as in encoding/json
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestWalkingCanEndEarly(t *testing.T) {
	all, _ := Elements([]byte(`[1,2,3]`))
	for v := range all {
		if string(v) == "2" {
			break
		}
	}
	fields, _ := fieldsOf([]byte(`{"a":1,"b":2}`))
	for name := range fields {
		if name == "a" {
			break
		}
	}
}
