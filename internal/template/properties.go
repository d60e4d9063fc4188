package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// properties reads the properties of one resource, or of an object inside one. It notes which were read, so that end
// can name unknown ones, and collects every fault instead of stopping at the first.
type properties struct {
	at     string // where: "LogicalID" or "LogicalID: Property.Property"
	fields map[string]any
	asked  map[string]bool
	faults *[]error
}

func propertiesOf(r Resource, faults *[]error) *properties {
	return &properties{at: r.LogicalID, fields: r.Properties, asked: map[string]bool{}, faults: faults}
}

func (p *properties) fail(name, format string, args ...any) {
	*p.faults = append(*p.faults, fmt.Errorf("%s: %s", p.path(name), fmt.Sprintf(format, args...)))
}

func (p *properties) path(name string) string {
	if strings.Contains(p.at, ": ") {
		return p.at + "." + name
	}
	return p.at + ": " + name
}

func (p *properties) get(name string) (any, bool) {
	p.asked[name] = true
	v, ok := p.fields[name]
	return v, ok
}

func (p *properties) has(name string) bool {
	_, ok := p.fields[name]
	return ok
}

// ignore names properties without a meaning on one machine.
func (p *properties) ignore(names ...string) {
	for _, name := range names {
		p.asked[name] = true
	}
}

// end reports the properties that were neither read nor ignored.
func (p *properties) end() {
	for _, name := range slices.Sorted(maps.Keys(p.fields)) {
		if !p.asked[name] {
			p.fail(name, "is not supported")
		}
	}
}

// text returns "" if the property is missing.
func (p *properties) text(name string) string {
	v, ok := p.get(name)
	if !ok {
		return ""
	}
	s, err := asText(v)
	if err != nil {
		p.fail(name, "%v", err)
	}
	return s
}

func (p *properties) required(name string) string {
	if !p.has(name) {
		p.fail(name, "missing")
	}
	return p.text(name)
}

// choice reads a text that must be one of the given ones; the first is the default.
func (p *properties) choice(name string, allowed ...string) string {
	if !p.has(name) {
		p.asked[name] = true
		return allowed[0]
	}
	s := p.text(name)
	if !slices.Contains(allowed, s) {
		p.fail(name, "%q is not supported, only %s", s, strings.Join(allowed, ", "))
	}
	return s
}

func (p *properties) integer(name string, standard int) int {
	v, ok := p.get(name)
	if !ok {
		return standard
	}
	n, err := asInteger(v)
	if err != nil {
		p.fail(name, "%v", err)
	}
	return n
}

// within reads an integer that must be between two bounds.
func (p *properties) within(name string, standard, least, most int) int {
	n := p.integer(name, standard)
	if n < least || n > most {
		p.fail(name, "%d is not between %d and %d", n, least, most)
	}
	return n
}

func (p *properties) seconds(name string, standard, least, most int) time.Duration {
	return time.Duration(p.within(name, standard, least, most)) * time.Second
}

func (p *properties) boolean(name string, standard bool) bool {
	v, ok := p.get(name)
	if !ok {
		return standard
	}
	s, err := asText(v)
	if err == nil && s != "true" && s != "false" {
		err = fmt.Errorf("%q is neither true nor false", s)
	}
	if err != nil {
		p.fail(name, "%v", err)
	}
	return s == "true"
}

func (p *properties) list(name string) []any {
	v, ok := p.get(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		p.fail(name, "must be a list")
	}
	return list
}

func (p *properties) texts(name string) []string {
	var texts []string
	for i, item := range p.list(name) {
		s, err := asText(item)
		if err != nil {
			p.fail(fmt.Sprintf("%s[%d]", name, i), "%v", err)
		}
		texts = append(texts, s)
	}
	return texts
}

// object returns an empty object if the property is missing.
func (p *properties) object(name string) *properties {
	v, ok := p.get(name)
	if !ok {
		v = map[string]any{}
	}
	return p.inner(name, v)
}

// objects reads a list of objects.
func (p *properties) objects(name string) []*properties {
	var all []*properties
	for i, item := range p.list(name) {
		all = append(all, p.inner(fmt.Sprintf("%s[%d]", name, i), item))
	}
	return all
}

// named reads an object whose keys are names, and returns its objects in the order of their names.
func (p *properties) named(name string) (names []string, objects []*properties) {
	all := p.object(name)
	names = slices.Sorted(maps.Keys(all.fields))
	for _, n := range names {
		objects = append(objects, all.object(n))
	}
	return names, objects
}

func (p *properties) inner(name string, v any) *properties {
	fields, ok := v.(map[string]any)
	if !ok {
		p.fail(name, "must be a mapping")
	}
	return &properties{at: p.path(name), fields: fields, asked: map[string]bool{}, faults: p.faults}
}

// asText converts a value to a text as CloudFormation does.
func asText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool, int, int64, uint64:
		return fmt.Sprint(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", errors.New("must be a text")
}

func asInteger(v any) (int, error) {
	s, err := asText(v)
	if err != nil {
		return 0, errors.New("must be an integer")
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not an integer", s)
	}
	return n, nil
}
