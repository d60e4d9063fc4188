package template

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parameters are the template's parameters with their values: a string, or for a list type the list's text.
type parameters map[string]parameter

type parameter struct {
	value string
	list  bool
}

func (p parameters) effective() map[string]string {
	values := make(map[string]string, len(p))
	for name, v := range p {
		values[name] = v.value
	}
	return values
}

// resolved returns the value of a reference to the parameter.
func (p parameter) resolved() any {
	if !p.list {
		return p.value
	}
	var items []any
	for item := range strings.SplitSeq(p.value, ",") {
		items = append(items, strings.TrimSpace(item))
	}
	return items
}

func setParameters(section *yaml.Node, given map[string]string) (parameters, error) {
	fields, err := fieldsOf("Parameters", section)
	if err != nil {
		return nil, err
	}
	set := make(parameters, len(fields))
	for _, f := range fields {
		value, isGiven := given[f.name]
		p, err := setParameter(f.value, value, isGiven)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", f.name, err)
		}
		set[f.name] = p
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := set[name]; !ok {
			return nil, fmt.Errorf("parameter %s: the template has no such parameter", name)
		}
	}
	return set, nil
}

// declaredParameter is a parameter's declaration in the template.
type declaredParameter struct {
	Type           string   `yaml:"Type"`
	Default        *string  `yaml:"Default"`
	AllowedValues  []string `yaml:"AllowedValues"`
	AllowedPattern string   `yaml:"AllowedPattern"`
	MinValue       *float64 `yaml:"MinValue"`
	MaxValue       *float64 `yaml:"MaxValue"`
}

func setParameter(n *yaml.Node, value string, isGiven bool) (parameter, error) {
	var declared declaredParameter
	fields, err := fieldsOf("its declaration", n)
	if err != nil {
		return parameter{}, err
	}
	for _, f := range fields {
		switch f.name {
		case "Type", "Description", "ConstraintDescription", "AllowedPattern", "Default", "AllowedValues", "MinValue", "MaxValue":
		default:
			return parameter{}, fmt.Errorf("%s is not supported", f.name)
		}
	}
	if err := n.Decode(&declared); err != nil {
		return parameter{}, err
	}
	if !isGiven {
		if declared.Default == nil {
			return parameter{}, fmt.Errorf("has no default and was not given")
		}
		value = *declared.Default
	}

	var numbers bool
	p := parameter{value: value}
	switch declared.Type {
	case "String":
	case "Number":
		numbers = true
	case "CommaDelimitedList":
		p.list = true
	case "List<Number>":
		p.list, numbers = true, true
	default:
		return parameter{}, fmt.Errorf("type %q is not supported", declared.Type)
	}
	items := []string{value}
	if p.list {
		items = items[:0]
		for item := range strings.SplitSeq(value, ",") {
			items = append(items, strings.TrimSpace(item))
		}
	}
	for _, item := range items {
		if err := declared.check(item); err != nil {
			return parameter{}, err
		}
		if numbers {
			if err := declared.checkNumber(item); err != nil {
				return parameter{}, err
			}
		}
	}
	return p, nil
}

// javaCharacter matches a character's number in the notation of CloudFormation's Java,
// which differs from Go's.
var javaCharacter = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)

func (d declaredParameter) check(value string) error {
	if d.AllowedValues != nil && !slices.Contains(d.AllowedValues, value) {
		return fmt.Errorf("%q is none of %s", value, strings.Join(d.AllowedValues, ", "))
	}
	if d.AllowedPattern != "" {
		whole, err := regexp.Compile("^(?:" + javaCharacter.ReplaceAllString(d.AllowedPattern, `\x{$1}`) + ")$")
		if err != nil {
			return fmt.Errorf("AllowedPattern: %w", err)
		}
		if !whole.MatchString(value) {
			return fmt.Errorf("%q does not match %s", value, d.AllowedPattern)
		}
	}
	return nil
}

func (d declaredParameter) checkNumber(value string) error {
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", value)
	}
	if (d.MinValue != nil && number < *d.MinValue) || (d.MaxValue != nil && number > *d.MaxValue) {
		return fmt.Errorf("%s is outside what is allowed", value)
	}
	return nil
}
