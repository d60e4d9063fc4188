package template

import (
	"encoding/json"
	"errors"
	"slices"
)

// test tests one value of a field. The value is a leaf: a string, json.Number, bool or null{}; or nil if the field
// has none.
type test func(v any) bool

// operators parse the argument of a pattern's operator. AWS has more; these are those that template.yaml uses.
var operators = map[string]func(argument any) (test, error){
	"anything-but": anythingBut,
	"exists":       exists,
}

// exactly returns the test for a plain value in a pattern. Numbers are equal by value, in any notation.
func exactly(v any) (test, error) {
	switch v := v.(type) {
	case json.Number:
		number, err := v.Float64()
		return func(w any) bool {
			n, isNumber := w.(json.Number)
			if !isNumber {
				return false
			}
			f, err := n.Float64()
			return err == nil && f == number
		}, err
	case string, bool, null:
		return func(w any) bool { return v == w }, nil
	}
	return nil, errors.New("an array in the array of a field's values is not allowed")
}

func exists(argument any) (test, error) {
	wanted, isBool := argument.(bool)
	if !isBool {
		return nil, errors.New("must be true or false")
	}
	return func(v any) bool { return (v != nil) == wanted }, nil
}

// anythingBut returns the test that excludes a value, or a list of strings or of numbers.
func anythingBut(argument any) (test, error) {
	var texts, numbers int
	var excluded []test
	for _, v := range listed(argument) {
		switch v.(type) {
		case string:
			texts++
		case json.Number:
			numbers++
		default:
			return nil, errors.New("must be a string, a number, or a list of one of them")
		}
		t, err := exactly(v)
		if err != nil {
			return nil, err
		}
		excluded = append(excluded, t)
	}
	if (texts == 0) == (numbers == 0) {
		return nil, errors.New("must be all strings or all numbers")
	}
	return func(v any) bool {
		return v != nil && !slices.ContainsFunc(excluded, func(t test) bool { return t(v) })
	}, nil
}

func listed(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}
