package template

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

// condition decides the condition of this name, once.
func (r *resolver) condition(at, name string) (bool, error) {
	if holds, ok := r.decided[name]; ok {
		return holds, nil
	}
	n, ok := r.conditions[name]
	if !ok {
		return false, fmt.Errorf("%s: there is no condition %q", at, name)
	}
	if r.deciding[name] {
		return false, fmt.Errorf("%s: condition %q depends on itself", at, name)
	}
	r.deciding[name] = true
	holds, err := r.decide("Conditions: "+name, n)
	if err != nil {
		return false, err
	}
	r.decided[name] = holds
	return holds, nil
}

// decide evaluates one of the functions that give a truth.
func (r *resolver) decide(at string, n *yaml.Node) (bool, error) {
	name, argument, ok := function(n)
	if !ok && n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "Condition" {
		name, argument, ok = "Condition", n.Content[1], true
	}
	if !ok {
		return false, fmt.Errorf("%s: line %d: must be a condition", at, n.Line)
	}
	switch name {
	case "Condition":
		return r.condition(at, argument.Value)
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
		if argument.Kind != yaml.SequenceNode || len(argument.Content) < 2 {
			return false, fmt.Errorf("%s: line %d: %s needs a list of two conditions or more", at, n.Line, name)
		}
		result := name == "And"
		for _, c := range argument.Content {
			holds, err := r.decide(at, c)
			if err != nil {
				return false, err
			}
			if name == "And" {
				result = result && holds
			} else {
				result = result || holds
			}
		}
		return result, nil
	}
	return false, fmt.Errorf("%s: line %d: %s is not a condition", at, n.Line, name)
}
