package template

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

// condition evaluates the condition of this name.
func (r *resolver) condition(at, name string) (bool, error) {
	n, ok := r.conditions[name]
	if !ok {
		return false, fmt.Errorf("%s: there is no condition %q", at, name)
	}
	return r.decideOfParameters("Conditions: "+name, n)
}

// decide evaluates one of the functions with a boolean result.
func (r *resolver) decide(at string, n *yaml.Node) (bool, error) {
	name, argument, ok := function(n)
	if !ok {
		return false, fmt.Errorf("%s: line %d: must be a condition", at, n.Line)
	}
	switch name {
	case "Equals":
		args, err := r.arguments(at, argument, 2)
		if err != nil {
			return false, fmt.Errorf("%s: %w", at, err)
		}
		left, leftErr := asText(args[0])
		right, rightErr := asText(args[1])
		return left == right, errors.Join(leftErr, rightErr)
	case "Not":
		if argument.Kind != yaml.SequenceNode || len(argument.Content) != 1 {
			return false, fmt.Errorf("%s: line %d: Not needs a list of one condition", at, n.Line)
		}
		holds, err := r.decide(at, argument.Content[0])
		return !holds, err
	case "And", "Or":
		if argument.Kind != yaml.SequenceNode || len(argument.Content) < 2 || len(argument.Content) > 10 {
			return false, fmt.Errorf("%s: line %d: %s needs a list of 2 to 10 conditions", at, n.Line, name)
		}
		some, all := false, true
		for _, inner := range argument.Content {
			holds, err := r.decide(at, inner)
			if err != nil {
				return false, err
			}
			some, all = some || holds, all && holds
		}
		return name == "And" && all || name == "Or" && some, nil
	}
	return false, fmt.Errorf("%s: line %d: %s is not a condition", at, n.Line, name)
}
