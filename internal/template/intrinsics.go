package template

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// function tells whether a node calls one of CloudFormation's functions, and returns its name (without "Fn::") and
// its argument. There is a short form, a YAML tag, and a long one, a mapping with one key.
func function(n *yaml.Node) (name string, argument *yaml.Node, ok bool) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		plain := *n
		plain.Tag = map[yaml.Kind]string{yaml.ScalarNode: "!!str", yaml.SequenceNode: "!!seq", yaml.MappingNode: "!!map"}[n.Kind]
		return n.Tag[1:], &plain, true
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 {
		key := n.Content[0].Value
		if name, found := strings.CutPrefix(key, "Fn::"); found {
			return name, n.Content[1], true
		}
		if key == "Ref" {
			return key, n.Content[1], true
		}
	}
	return "", nil, false
}

type intrinsic func(r *resolver, at string, argument *yaml.Node) (any, error)

// intrinsics are the functions that return a value. Those with a boolean result are in conditions.go.
var intrinsics map[string]intrinsic

func init() { // not a literal: the functions call each other through this map
	intrinsics = map[string]intrinsic{
		"Ref":    (*resolver).ref,
		"GetAtt": (*resolver).getAtt,
		"Sub":    (*resolver).sub,
		"If":     (*resolver).ifElse,
		"Select": (*resolver).selectItem,
		"Split":  (*resolver).split,
	}
}

func (r *resolver) ref(at string, argument *yaml.Node) (any, error) {
	return r.named(argument.Value)
}

// named returns the value of a name: of a pseudo parameter, a parameter, or a resource.
func (r *resolver) named(name string) (any, error) {
	if v, ok := pseudo[name]; ok {
		return v, nil
	}
	if p, ok := r.parameters[name]; ok {
		return p.resolved(), nil
	}
	return name, r.exists(name)
}

func (r *resolver) exists(logicalID string) error {
	created, ok := r.created[logicalID]
	switch {
	case !ok:
		return fmt.Errorf("there is no parameter or resource %q", logicalID)
	case !created:
		return fmt.Errorf("resource %q is not created: its condition does not hold", logicalID)
	}
	return nil
}

func (r *resolver) getAtt(at string, argument *yaml.Node) (any, error) {
	name := argument.Value
	if argument.Kind == yaml.SequenceNode {
		parts, err := r.strings(at, argument)
		if err != nil {
			return nil, err
		}
		name = strings.Join(parts, ".")
	}
	return r.attribute(name)
}

func (r *resolver) attribute(name string) (any, error) {
	logicalID, attribute, _ := strings.Cut(name, ".")
	if logicalID == "" || attribute == "" {
		return nil, fmt.Errorf("%q is not LogicalID.Attribute", name)
	}
	return name, r.exists(logicalID)
}

// placeholder matches ${Name}, ${Name.Attribute}, or ${!Literal}, which stands for ${Literal}.
var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

func (r *resolver) sub(at string, argument *yaml.Node) (any, error) {
	text, own := argument.Value, map[string]any{}
	if argument.Kind == yaml.SequenceNode {
		if len(argument.Content) != 2 {
			return nil, errors.New("needs a text and a mapping")
		}
		text = argument.Content[0].Value
		variables, err := r.value(at, argument.Content[1])
		if err != nil {
			return nil, err
		}
		var ok bool
		if own, ok = variables.(map[string]any); !ok {
			return nil, errors.New("needs a text and a mapping")
		}
	}
	var fault error
	filled := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := strings.TrimSpace(match[2 : len(match)-1])
		if literal, found := strings.CutPrefix(name, "!"); found {
			return "${" + literal + "}"
		}
		v, ok := own[name]
		var err error
		switch {
		case ok:
		case strings.Contains(name, "."):
			v, err = r.attribute(name)
		default:
			v, err = r.named(name)
		}
		s, textErr := asText(v)
		fault = errors.Join(fault, err, textErr)
		return s
	})
	return filled, fault
}

func (r *resolver) ifElse(at string, argument *yaml.Node) (any, error) {
	if argument.Kind != yaml.SequenceNode || len(argument.Content) != 3 {
		return nil, errors.New("needs a condition and two values")
	}
	holds, err := r.condition(at, argument.Content[0].Value)
	if err != nil {
		return nil, err
	}
	// Only the selected branch is resolved: the other one may refer to resources that are not created.
	if holds {
		return r.value(at, argument.Content[1])
	}
	return r.value(at, argument.Content[2])
}

func (r *resolver) selectItem(at string, argument *yaml.Node) (any, error) {
	args, err := r.arguments(at, argument, 2)
	if err != nil {
		return nil, err
	}
	index, err := asInteger(args[0])
	items, isList := args[1].([]any)
	if err != nil || !isList {
		return nil, errors.New("needs an index and a list")
	}
	if index < 0 || index >= len(items) {
		return nil, fmt.Errorf("index %d is not in the list", index)
	}
	return items[index], nil
}

func (r *resolver) split(at string, argument *yaml.Node) (any, error) {
	args, err := r.strings(at, argument)
	if err != nil {
		return nil, err
	}
	if len(args) != 2 || args[0] == "" {
		return nil, errors.New("needs a delimiter and a text")
	}
	var items []any
	for item := range strings.SplitSeq(args[1], args[0]) {
		items = append(items, item)
	}
	return items, nil
}

// arguments resolves a list with count values.
func (r *resolver) arguments(at string, n *yaml.Node, count int) ([]any, error) {
	v, err := r.value(at, n)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok || len(list) != count {
		return nil, fmt.Errorf("needs a list of %d", count)
	}
	return list, nil
}

// strings resolves a list of texts.
func (r *resolver) strings(at string, n *yaml.Node) ([]string, error) {
	v, err := r.value(at, n)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("needs a list")
	}
	texts := make([]string, len(list))
	for i, item := range list {
		if texts[i], err = asText(item); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
