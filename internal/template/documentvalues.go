package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Values adds the defaults to the parameters given for the document, or returns why
// Systems Manager refuses them.
func (d Document) Values(given map[string][]string) (map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := d.Parameters[name]; !ok {
			return nil, fmt.Errorf("%s is no parameter of %s", name, d.LogicalID)
		}
	}
	complete := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		declared := d.Parameters[name]
		values, isGiven := given[name]
		switch {
		case !isGiven && declared.Default == nil:
			return nil, fmt.Errorf("%s is missing", name)
		case !isGiven:
			values = []string{*declared.Default}
		case len(values) != 1:
			return nil, fmt.Errorf("%s is a String: it has exactly one value", name)
		}
		if fault := declared.fault(values[0]); fault != "" {
			return nil, fmt.Errorf("%s %s", name, fault)
		}
		complete[name] = values[0]
	}
	return complete, nil
}

// fault returns why the parameter cannot have that value, or "".
func (p DocumentParameter) fault(value string) string {
	chars := utf8.RuneCountInString(value)
	switch {
	case p.AllowedPattern != nil && !p.AllowedPattern.MatchString(value):
		return fmt.Sprintf("does not match %s", p.AllowedPattern)
	case p.AllowedValues != nil && !slices.Contains(p.AllowedValues, value):
		return "is none of " + strings.Join(p.AllowedValues, ", ")
	case chars < p.MinChars:
		return fmt.Sprintf("is shorter than %d characters", p.MinChars)
	case p.MaxChars > 0 && chars > p.MaxChars:
		return fmt.Sprintf("is longer than %d characters", p.MaxChars)
	}
	return ""
}
