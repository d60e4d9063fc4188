package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Pattern is an event pattern: EventBridge's for rules, and Lambda's for the filters of event sources, which is the
// same language. It matches as AWS's own matcher does (github.com/aws/event-ruler), in particular: a field of the
// event that is an array matches if one of its elements does; fields of objects in an array must match in the same
// element; and "exists" is about leaves, and an object is not a leaf.
type Pattern struct {
	source string
	root   object
}

// ParsePattern reads a pattern. Unknown parts are an error, also AWS's operators that this matcher does not have.
func ParsePattern(src []byte) (*Pattern, error) {
	v, err := decode(src)
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("pattern: must be a JSON object")
	}
	root, err := parseObject("", m)
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, src); err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	return &Pattern{compact.String(), root}, nil
}

// String is the pattern's JSON.
func (p *Pattern) String() string { return p.source }

// Match tells whether an event (a JSON object) matches. It returns an error if the event is not a JSON object.
func (p *Pattern) Match(event []byte) (bool, error) { return matchAny([]*Pattern{p}, event) }

// matchAny tells whether an event matches one of the patterns. It reads the event once: the local system and the
// simulation match each change of a record against many.
func matchAny(patterns []*Pattern, event []byte) (bool, error) {
	d := json.NewDecoder(bytes.NewReader(event))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return false, fmt.Errorf("event: %w", err)
	}
	if _, err := d.Token(); m == nil || err != io.EOF {
		return false, errors.New("event: must be a JSON object, and nothing else")
	}
	v := withNulls(m)
	return slices.ContainsFunc(patterns, func(p *Pattern) bool { return p.root.match(v) }), nil
}

// withNulls replaces each null by null{}, and returns v.
func withNulls(v any) any {
	switch v := v.(type) {
	case nil:
		return null{}
	case map[string]any:
		for name, inner := range v {
			v[name] = withNulls(inner)
		}
	case []any:
		for i, inner := range v {
			v[i] = withNulls(inner)
		}
	}
	return v
}

// object is the pattern of an object: every field must match.
type object struct {
	objects map[string]object
	leaves  map[string]leaf
}

// leaf is the pattern of a field: one of the tests must be true for one of its values.
type leaf []test

func parseObject(at string, m map[string]any) (object, error) {
	o := object{objects: map[string]object{}, leaves: map[string]leaf{}}
	if len(m) == 0 {
		return o, fmt.Errorf("%s: an empty object is not allowed", or(at, "the pattern"))
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		where := strings.TrimPrefix(at+"."+name, ".")
		if strings.HasPrefix(name, "$") {
			return o, fmt.Errorf("%s: is not supported", where)
		}
		if strings.Contains(name, ".") {
			// The real matcher treats "a.b" and {"a": {"b"}} alike; no pattern should depend on that.
			return o, fmt.Errorf("%s: a field's name with a dot in it is not supported", where)
		}
		var err error
		switch v := m[name].(type) {
		case map[string]any:
			o.objects[name], err = parseObject(where, v)
		case []any:
			o.leaves[name], err = parseLeaf(where, v)
		default:
			err = fmt.Errorf("%s: must be an object or an array", where)
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func parseLeaf(at string, values []any) (leaf, error) {
	var l leaf
	if len(values) == 0 {
		return l, fmt.Errorf("%s: an empty array matches nothing and is not allowed", at)
	}
	for _, v := range values {
		m, isOperator := v.(map[string]any)
		if !isOperator {
			t, err := exactly(v)
			if err != nil {
				return l, fmt.Errorf("%s: %w", at, err)
			}
			l = append(l, t)
			continue
		}
		if len(m) != 1 {
			return l, fmt.Errorf("%s: an operator is an object with one key", at)
		}
		for name, argument := range m {
			parse, known := operators[name]
			if !known {
				return l, fmt.Errorf("%s: operator %q is not supported", at, name)
			}
			t, err := parse(argument)
			if err != nil {
				return l, fmt.Errorf("%s: %s: %w", at, name, err)
			}
			l = append(l, t)
		}
	}
	return l, nil
}

// match matches v, the value where the object is expected.
func (o object) match(v any) bool {
	return slices.ContainsFunc(elements(v), func(element any) bool {
		m, _ := element.(map[string]any) // not an object: its fields are absent
		for name, inner := range o.objects {
			if !inner.match(m[name]) {
				return false
			}
		}
		for name, l := range o.leaves {
			if !l.match(m[name]) {
				return false
			}
		}
		return true
	})
}

func (l leaf) match(v any) bool {
	values := slices.DeleteFunc(elements(v), func(element any) bool { return !isLeaf(element) })
	if len(values) == 0 {
		values = []any{nil}
	}
	return slices.ContainsFunc(values, func(value any) bool {
		return slices.ContainsFunc(l, func(t test) bool { return t(value) })
	})
}

// elements returns the values of a field: those of an array, at any depth, or the value itself. An empty array is
// like a missing field.
func elements(v any) []any {
	list, ok := v.([]any)
	if !ok {
		return []any{v}
	}
	var all []any
	for _, item := range list {
		all = append(all, elements(item)...)
	}
	if all == nil {
		all = []any{nil}
	}
	return all
}

// isLeaf tells whether v is a leaf. JSON's null is one; nil is a missing field.
func isLeaf(v any) bool {
	_, isObject := v.(map[string]any)
	return v != nil && !isObject
}

// null stands for JSON's null in decoded values.
type null struct{}

// decode reads JSON with numbers as written and null as null{}. It refuses a key that occurs twice in an object.
func decode(src []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case nil:
		return null{}, nil
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string) // More and Token guarantee a string
			if _, ok := m[name]; ok {
				return nil, fmt.Errorf("%q stands twice in an object", name)
			}
			if m[name], err = decodeValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	}
	return t, nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
