package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// test is what is asked of one value of a field. The value is a leaf: a string, json.Number, bool or null{}.
type test func(v any) bool

// operators parse the argument of an operator of a pattern. "exists": false is not among them: it is about a field
// that has no value to be tested.
var operators = map[string]func(argument any) (test, error){
	"prefix":             prefix,
	"suffix":             suffix,
	"equals-ignore-case": equalsIgnoreCase,
	"anything-but":       anythingBut,
	"numeric":            numeric,
	"exists":             exists,
}

// exactly is a plain value in a pattern. Numbers are equal by value, whatever they look like.
func exactly(v any) (test, error) {
	switch v := v.(type) {
	case json.Number:
		number, err := v.Float64()
		return func(w any) bool { n, ok := asNumber(w); return ok && n == number }, err
	case string, bool, null:
		return func(w any) bool { return v == w }, nil
	}
	return nil, errors.New("an array in the array of a field's values is not allowed")
}

var (
	prefix = affix(strings.HasPrefix)
	suffix = affix(strings.HasSuffix)
)

// affix is prefix or suffix: of a string, or {"equals-ignore-case": string}.
func affix(has func(s, affix string) bool) func(any) (test, error) {
	return func(argument any) (test, error) {
		fold := func(s string) string { return s }
		if m, ok := argument.(map[string]any); ok {
			inner, ok := m["equals-ignore-case"]
			if !ok || len(m) != 1 {
				return nil, errors.New("must be a string or equals-ignore-case")
			}
			argument, fold = inner, strings.ToLower
		}
		wanted, ok := argument.(string)
		if !ok {
			return nil, errors.New("must be a string")
		}
		return func(v any) bool {
			s, ok := v.(string)
			return ok && has(fold(s), fold(wanted))
		}, nil
	}
}

func equalsIgnoreCase(argument any) (test, error) {
	wanted, ok := argument.(string)
	if !ok {
		return nil, errors.New("must be a string")
	}
	return func(v any) bool { s, ok := v.(string); return ok && strings.EqualFold(s, wanted) }, nil
}

func exists(argument any) (test, error) {
	if argument != true {
		return nil, errors.New("must be true or false")
	}
	return func(any) bool { return true }, nil
}

// anythingBut is the opposite of a value, of a list of strings or of numbers, or of prefix, suffix or
// equals-ignore-case with a string or a list of them.
func anythingBut(argument any) (test, error) {
	parse := exactly
	if m, ok := argument.(map[string]any); ok {
		if len(m) != 1 {
			return nil, errors.New("must have one operator")
		}
		for name, inner := range m {
			switch argument = inner; name {
			case "prefix":
				parse = prefix
			case "suffix":
				parse = suffix
			case "equals-ignore-case":
				parse = equalsIgnoreCase
			default:
				return nil, fmt.Errorf("operator %q is not supported here", name)
			}
		}
		for _, v := range listed(argument) {
			if s, ok := v.(string); !ok || s == "" {
				return nil, errors.New("must be a string that is not empty, or a list of such")
			}
		}
	}
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
		t, err := parse(v)
		if err != nil {
			return nil, err
		}
		excluded = append(excluded, t)
	}
	if (texts == 0) == (numbers == 0) {
		return nil, errors.New("must be all strings or all numbers")
	}
	return func(v any) bool {
		return !slices.ContainsFunc(excluded, func(t test) bool { return t(v) })
	}, nil
}

func listed(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// numeric is one comparison, or a range: a lower bound, then an upper one.
func numeric(argument any) (test, error) {
	list, ok := argument.([]any)
	if !ok || (len(list) != 2 && len(list) != 4) {
		return nil, errors.New("must be an array of an operator and a number, once or twice")
	}
	var tests []test
	var signs []string
	for i := 0; i < len(list); i += 2 {
		sign, isText := list[i].(string)
		bound, isNumber := asNumber(list[i+1])
		if !isText || !isNumber {
			return nil, errors.New("must be an array of an operator and a number, once or twice")
		}
		compare, ok := comparisons[sign]
		if !ok {
			return nil, fmt.Errorf("operator %q is not supported", sign)
		}
		signs = append(signs, sign[:1])
		tests = append(tests, func(v any) bool { n, ok := asNumber(v); return ok && compare(n, bound) })
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	if signs[0] != ">" || signs[1] != "<" {
		return nil, errors.New("a range is a lower bound, then an upper one")
	}
	return func(v any) bool { return tests[0](v) && tests[1](v) }, nil
}

var comparisons = map[string]func(a, b float64) bool{
	"=":  func(a, b float64) bool { return a == b },
	"<":  func(a, b float64) bool { return a < b },
	"<=": func(a, b float64) bool { return a <= b },
	">":  func(a, b float64) bool { return a > b },
	">=": func(a, b float64) bool { return a >= b },
}

func asNumber(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}
