package template

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// pseudo are the values of CloudFormation's pseudo parameters on one machine.
var pseudo = map[string]any{
	"AWS::AccountId": "000000000000",
	"AWS::NoValue":   noValue{},
	"AWS::Partition": "aws",
	"AWS::Region":    "us-east-1",
	"AWS::StackId":   "arn:aws:cloudformation:us-east-1:000000000000:stack/local/00000000-0000-0000-0000-000000000000",
	"AWS::StackName": "local",
	"AWS::URLSuffix": "amazonaws.com",
}

// noValue is the value of AWS::NoValue: a property or list element with it is left out.
type noValue struct{}

// resolver turns YAML with CloudFormation's functions in it into plain values: map[string]any, []any, string, int,
// float64, bool and nil.
type resolver struct {
	parameters parameters
	conditions map[string]*yaml.Node
	// created says for each resource of the template whether its condition holds.
	created map[string]bool
}

func newResolver(s sections, p parameters) (*resolver, error) {
	r := &resolver{
		parameters: p,
		conditions: map[string]*yaml.Node{},
		created:    map[string]bool{},
	}
	conditions, err := fieldsOf("Conditions", s.conditions)
	if err != nil {
		return nil, err
	}
	for _, c := range conditions {
		r.conditions[c.name] = c.value
	}
	for _, c := range conditions {
		if _, err := r.condition("Conditions", c.name); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// resources resolves all resources whose condition holds, in the order of the template.
func (r *resolver) resources(s sections) ([]Resource, error) {
	fields, err := fieldsOf("Resources", s.resources)
	if err != nil {
		return nil, err
	}
	// References go both ways, so the conditions of all resources are evaluated first.
	declared := make([]declaration, len(fields))
	for i, f := range fields {
		if declared[i], err = r.declaration(f); err != nil {
			return nil, err
		}
		r.created[f.name] = declared[i].created
	}
	globals, err := r.globals(s.globals)
	if err != nil {
		return nil, err
	}
	var resources []Resource
	var faults []error
	for _, d := range declared {
		if !d.created {
			continue
		}
		properties, err := r.value(d.logicalID, d.properties)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		own, ok := properties.(map[string]any)
		if !ok && properties != nil {
			faults = append(faults, fmt.Errorf("%s: Properties must be a mapping", d.logicalID))
			continue
		}
		resources = append(resources, Resource{d.logicalID, d.kind, merge(globals[d.kind], own)})
	}
	return resources, errors.Join(faults...)
}

// declaration is a resource before its properties are resolved.
type declaration struct {
	logicalID, kind string
	created         bool
	properties      *yaml.Node
}

func (r *resolver) declaration(f field) (declaration, error) {
	d := declaration{logicalID: f.name, properties: &yaml.Node{Kind: yaml.MappingNode}}
	attributes, err := fieldsOf(f.name, f.value)
	if err != nil {
		return d, err
	}
	if d.created, err = r.isCreated(f.name, attributes); err != nil {
		return d, err
	}
	for _, a := range attributes {
		switch a.name {
		case "Type":
			d.kind = a.value.Value
		case "Properties":
			d.properties = a.value
		case "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata":
		default:
			return d, fmt.Errorf("%s: %s is not supported", f.name, a.name)
		}
	}
	if d.kind == "" {
		return d, fmt.Errorf("%s: Type: missing", f.name)
	}
	return d, nil
}

// isCreated tells whether the condition in these attributes holds; without one it
// returns true.
func (r *resolver) isCreated(at string, attributes []field) (bool, error) {
	for _, a := range attributes {
		if a.name == "Condition" {
			return r.condition(at, a.value.Value)
		}
	}
	return true, nil
}

// globals returns the properties of SAM's section Globals by type, which every resource of the type gets unless it has
// its own.
func (r *resolver) globals(section *yaml.Node) (map[string]map[string]any, error) {
	fields, err := fieldsOf("Globals", section)
	if err != nil {
		return nil, err
	}
	globals := map[string]map[string]any{}
	for _, f := range fields {
		if f.name != "Function" && f.name != "HttpApi" {
			return nil, fmt.Errorf("Globals: %s is not supported", f.name)
		}
		v, err := r.value("Globals: "+f.name, f.value)
		if err != nil {
			return nil, err
		}
		properties, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("Globals: %s must be a mapping", f.name)
		}
		globals["AWS::Serverless::"+f.name] = properties
	}
	return globals, nil
}

// merge puts a resource's own properties over the global ones as SAM does: mappings are merged, lists are appended to,
// anything else is replaced.
func merge(global, own map[string]any) map[string]any {
	merged := maps.Clone(global)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range own {
		switch v := value.(type) {
		case map[string]any:
			if g, ok := merged[name].(map[string]any); ok {
				value = merge(g, v)
			}
		case []any:
			if g, ok := merged[name].([]any); ok {
				value = append(append([]any{}, g...), v...)
			}
		}
		merged[name] = value
	}
	return merged
}

func (r *resolver) outputs(section *yaml.Node) (map[string]any, error) {
	fields, err := fieldsOf("Outputs", section)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for _, f := range fields {
		attributes, err := fieldsOf("Outputs: "+f.name, f.value)
		if err != nil {
			return nil, err
		}
		created, err := r.isCreated("Outputs: "+f.name, attributes)
		if err != nil {
			return nil, err
		}
		for _, a := range attributes {
			if a.name == "Value" && created {
				if values[f.name], err = r.value("Outputs: "+f.name, a.value); err != nil {
					return nil, err
				}
			}
		}
	}
	return values, nil
}

// value resolves a node; at is its place, for the error.
func (r *resolver) value(at string, n *yaml.Node) (any, error) {
	if n.Kind == yaml.AliasNode {
		return nil, fmt.Errorf("%s: line %d: YAML aliases are not supported", at, n.Line)
	}
	if name, argument, ok := function(n); ok {
		call, known := intrinsics[name]
		if !known {
			return nil, fmt.Errorf("%s: line %d: function %s is not supported", at, n.Line, name)
		}
		v, err := call(r, at, argument)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %s: %w", at, n.Line, name, bare(at, err))
		}
		return v, nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		fields, err := fieldsOf(at, n)
		if err != nil {
			return nil, err
		}
		m := make(map[string]any, len(fields))
		for _, f := range fields {
			v, err := r.value(at+"."+f.name, f.value)
			if err != nil {
				return nil, err
			}
			if v != (any)(noValue{}) {
				m[f.name] = v
			}
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			v, err := r.value(fmt.Sprintf("%s[%d]", at, i), item)
			if err != nil {
				return nil, err
			}
			if v != (any)(noValue{}) {
				list = append(list, v)
			}
		}
		return list, nil
	default:
		return scalar(at, n)
	}
}

func scalar(at string, n *yaml.Node) (any, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, fmt.Errorf("%s: line %d: %w", at, n.Line, err)
	}
	if _, isTime := v.(time.Time); isTime {
		// YAML reads 2012-10-17 as a time; CloudFormation does not.
		return n.Value, nil
	}
	return v, nil
}

// bare removes from an error the prefix that its wrapper adds again.
func bare(at string, err error) error {
	if text, found := strings.CutPrefix(err.Error(), at+": "); found {
		return errors.New(text)
	}
	return err
}
