package template

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

// assertRules checks the section Rules, conditions on parameters that CloudFormation asserts before it changes
// anything. The error has the description of every assertion that fails.
func (r *resolver) assertRules(section *yaml.Node) error {
	rules, err := fieldsOf("Rules", section)
	if err != nil {
		return err
	}
	var faults []error
	for _, rule := range rules {
		faults = append(faults, r.assertRule("Rules: "+rule.name, rule.value))
	}
	return errors.Join(faults...)
}

func (r *resolver) assertRule(at string, rule *yaml.Node) error {
	fields, err := fieldsOf(at, rule)
	if err != nil {
		return err
	}
	var assertions *yaml.Node
	applies := true
	for _, f := range fields {
		switch f.name {
		case "RuleCondition":
			if applies, err = r.decideOfParameters(at, f.value); err != nil {
				return err
			}
		case "Assertions":
			assertions = f.value
		default:
			return fmt.Errorf("%s: %s is not supported", at, f.name)
		}
	}
	if assertions == nil || assertions.Kind != yaml.SequenceNode || len(assertions.Content) == 0 {
		return fmt.Errorf("%s: Assertions: must be a list that is not empty", at)
	}
	var faults []error
	for _, a := range assertions.Content {
		holds, description, err := r.assertion(at, a)
		switch {
		case err != nil:
			faults = append(faults, err)
		case applies && !holds:
			faults = append(faults, fmt.Errorf("%s: %s", at, description))
		}
	}
	return errors.Join(faults...)
}

func (r *resolver) assertion(at string, n *yaml.Node) (holds bool, description string, err error) {
	fields, err := fieldsOf(at+": Assertions", n)
	if err != nil {
		return false, "", err
	}
	description = "an assertion fails"
	asserted := false
	for _, f := range fields {
		switch f.name {
		case "Assert":
			asserted = true
			if holds, err = r.decideOfParameters(at, f.value); err != nil {
				return false, "", err
			}
		case "AssertDescription":
			description = f.value.Value
		default:
			return false, "", fmt.Errorf("%s: Assertions: %s is not supported", at, f.name)
		}
	}
	if !asserted {
		return false, "", fmt.Errorf("%s: Assertions: Assert: missing", at)
	}
	return holds, description, nil
}

// decideOfParameters evaluates the function of a rule or of a condition. Rules come before conditions and cannot use
// them; conditions that use others are not supported.
func (r *resolver) decideOfParameters(at string, n *yaml.Node) (bool, error) {
	if usesCondition(n) {
		return false, fmt.Errorf("%s: line %d: must not depend on a condition", at, n.Line)
	}
	return r.decide(at, n)
}

func usesCondition(n *yaml.Node) bool {
	if name, _, ok := function(n); ok && name == "If" {
		return true
	}
	for _, inner := range n.Content {
		if usesCondition(inner) {
			return true
		}
	}
	return false
}
