// Package template reads template.yaml, the only description of the system, for a system on one machine: the functions
// and their event sources, the events that a rule or a filter matches, the queues and tables, and the documents of
// hosts. It evaluates the file as CloudFormation and SAM do, and refuses what it does not support, so that a mistake in
// the template shows on a laptop, not only after a deployment.
//
// Names: a reference to a resource is its logical ID, an attribute of a resource is "LogicalID.Attribute". Resources that
// only an account can use (roles, log groups, alarms, the API's authorizer and its user pool) are resolved, so that a wrong
// reference shows, and Resource returns them; they have no effect here.
package template

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"gopkg.in/yaml.v3"
)

// Template is a template with its parameters set, its conditions evaluated and its references resolved.
type Template struct {
	parameters map[string]string
	resources  []Resource

	functions []Function
	rules     []Rule
	queues    []Queue
	tables    []Table
	documents []Document
	pipes     []Pipe
}

// Resource is one resource that the template creates, with its properties resolved to the types of encoding/json
// (maps, slices, strings, numbers, booleans). SAM's Globals are merged in.
type Resource struct {
	LogicalID  string
	Type       string
	Properties map[string]any
}

// Load reads the template at path with the given parameters; those not given take their defaults. The error names every
// fault found, each with its logical ID and property.
func Load(path string, params map[string]string) (*Template, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	t, err := Parse(src, params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return t, nil
}

// Parse is Load for a template in memory.
func Parse(src []byte, params map[string]string) (*Template, error) {
	root, err := nodesOf(string(src))
	if err != nil {
		return nil, err
	}
	s, err := readSections(root)
	if err != nil {
		return nil, err
	}
	parameters, err := setParameters(s.parameters, params)
	if err != nil {
		return nil, err
	}
	r, err := newResolver(s, parameters)
	if err != nil {
		return nil, err
	}
	if err := r.assertRules(s.rules); err != nil {
		return nil, err
	}
	resources, err := r.resources(s)
	if err != nil {
		return nil, err
	}
	if s.outputs != nil {
		// Read only to find faults.
		if _, err := r.outputs(s.outputs); err != nil {
			return nil, err
		}
	}
	t := &Template{parameters: parameters.effective(), resources: resources}
	return t, t.build()
}

// lastRead is the last text and its nodes, which do not change. Tests load one template hundreds of times, with different
// parameters: most of that time was parsing YAML.
var lastRead struct {
	sync.Mutex
	text string
	root *yaml.Node
}

func nodesOf(text string) (*yaml.Node, error) {
	lastRead.Lock()
	defer lastRead.Unlock()
	if lastRead.root != nil && lastRead.text == text {
		return lastRead.root, nil
	}
	var file yaml.Node
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		return nil, err
	}
	if len(file.Content) != 1 {
		return nil, errors.New("the template is empty")
	}
	lastRead.text, lastRead.root = text, file.Content[0]
	return lastRead.root, nil
}

// Parameters returns the values in effect, including defaults.
func (t *Template) Parameters() map[string]string { return t.parameters }

// Functions returns the Lambda functions, in the order of the template.
func (t *Template) Functions() []Function { return t.functions }

// Rules returns the EventBridge rules, in the order of the template.
func (t *Template) Rules() []Rule { return t.rules }

// Queues returns the SQS queues, in the order of the template.
func (t *Template) Queues() []Queue { return t.queues }

// Tables returns the DynamoDB tables, in the order of the template.
func (t *Template) Tables() []Table { return t.tables }

// Documents returns the Systems Manager documents, in the order of the template.
func (t *Template) Documents() []Document { return t.documents }

// Resources returns all resources that the template creates with its parameters, in its order.
func (t *Template) Resources() []Resource { return t.resources }

// Resource returns the resource of this logical ID, if the template creates it with its parameters.
func (t *Template) Resource(logicalID string) (Resource, bool) {
	for _, r := range t.resources {
		if r.LogicalID == logicalID {
			return r, true
		}
	}
	return Resource{}, false
}
