package template

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

const transform = "AWS::Serverless-2016-10-31"

// sections are the top-level sections of the template as written.
type sections struct {
	parameters, rules, conditions, globals, resources, outputs *yaml.Node
}

func readSections(root *yaml.Node) (sections, error) {
	var s sections
	fields, err := fieldsOf("the template", root)
	if err != nil {
		return s, err
	}
	for _, f := range fields {
		switch f.name {
		case "AWSTemplateFormatVersion", "Description", "Metadata":
		case "Transform":
			if f.value.Value != transform {
				return s, fmt.Errorf("Transform: %q is not supported, only %s", f.value.Value, transform)
			}
		case "Parameters":
			s.parameters = f.value
		case "Rules":
			s.rules = f.value
		case "Conditions":
			s.conditions = f.value
		case "Globals":
			s.globals = f.value
		case "Resources":
			s.resources = f.value
		case "Outputs":
			s.outputs = f.value
		default:
			return s, fmt.Errorf("%s: sections of this name are not supported", f.name)
		}
	}
	if s.resources == nil {
		return s, fmt.Errorf("Resources: missing")
	}
	return s, nil
}

// field is one key of a YAML mapping with its value, in the order of the file.
type field struct {
	name  string
	value *yaml.Node
}

// fieldsOf returns the fields of a mapping. It refuses equal keys, of which the YAML library silently takes the last.
func fieldsOf(at string, n *yaml.Node) ([]field, error) {
	if n == nil {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: line %d: must be a mapping", at, n.Line)
	}
	var fields []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i].Value
		if slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return nil, fmt.Errorf("%s: line %d: %q stands here a second time", at, n.Content[i].Line, name)
		}
		fields = append(fields, field{name, n.Content[i+1]})
	}
	return fields, nil
}
