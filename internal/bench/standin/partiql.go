package standin

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A plan is an UPDATE as internal/dynamo writes it, by the places of its
// parameters.
type plan struct {
	key        int
	set        map[string]int
	remove     []string
	conditions []condition
}

type condition struct {
	attr       string
	op         string // "=", "IS MISSING OR <", "IN", "IS MISSING", "IS NOT MISSING"
	parameters []int
}

// batchExecuteStatement runs UPDATE statements, each on its own, and answers the
// old items: with RETURNING ALL OLD *, and with failed conditions.
func (t *Table) batchExecuteStatement(body []byte) ([]byte, error) {
	var in struct {
		Statements []struct {
			Statement  string
			Parameters []json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if n := len(in.Statements); n < 1 || n > 25 {
		return nil, &Fault{"ValidationException", "1 to 25 statements"}
	}
	out := []byte(`{"Responses":[`)
	for i, s := range in.Statements {
		p, err := t.plan(s.Statement)
		if err != nil {
			return nil, &Fault{"ValidationException", err.Error()}
		}
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = t.execute(out, p, s.Parameters); err != nil {
			return nil, err
		}
	}
	return append(out, "]}"...), nil
}

func (t *Table) execute(out []byte, p *plan, parameters []json.RawMessage) ([]byte, error) {
	id, err := keyOf(Item{"SessionId": parameters[p.key]})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old, there := t.items[id]
	if !there || !p.met(old, parameters) {
		out = append(out, `{"Error":{"Code":"ConditionalCheckFailed","Message":"The conditional request failed"`...)
		if there {
			out = old.write(append(out, `,"Item":`...))
		}
		return append(out, "}}"...), nil
	}
	changed := copyOf(old)
	for attr, at := range p.set {
		changed[attr] = parameters[at]
	}
	for _, attr := range p.remove {
		delete(changed, attr)
	}
	if !t.asIs {
		t.items[id] = changed
	}
	return append(old.write(append(out, `{"TableName":"Sessions","Item":`...)), '}'), nil
}

func (p *plan) met(item Item, parameters []json.RawMessage) bool {
	for _, c := range p.conditions {
		v, there := item[c.attr]
		met := false
		switch c.op {
		case "IS MISSING":
			met = !there
		case "IS NOT MISSING":
			met = there
		case "IS MISSING OR <":
			met = !there || string(v) < string(parameters[c.parameters[0]])
		default:
			for _, at := range c.parameters {
				met = met || there && string(v) == string(parameters[at])
			}
		}
		if !met {
			return false
		}
	}
	return true
}

// plan parses a statement, once.
func (t *Table) plan(statement string) (*plan, error) {
	if p, known := t.plans.Load(statement); known {
		return p.(*plan), nil
	}
	text := statement
	parameter := 0
	word := func(prefix string) bool {
		rest, ok := strings.CutPrefix(text, prefix)
		if ok {
			text = rest
		}
		return ok
	}
	name := func() (quoted string) {
		quoted, text, _ = strings.Cut(text, `"`)
		return quoted
	}
	value := func() int {
		parameter++
		return parameter - 1
	}
	p := &plan{set: map[string]int{}, key: -1}
	if !word(`UPDATE "`) {
		return nil, fmt.Errorf("not an UPDATE: %s", statement)
	}
	name() // the table's
	for {
		switch {
		case word(` SET "`):
			attr := name()
			if !word("=?") {
				return nil, fmt.Errorf("SET %s without =?: %s", attr, statement)
			}
			p.set[attr] = value()
		case word(` REMOVE "`):
			p.remove = append(p.remove, name())
		case word(` AND ("`):
			c := condition{attr: name(), op: "IS MISSING OR <", parameters: []int{value()}}
			if !word(` IS MISSING OR "` + c.attr + `"<?)`) {
				return nil, fmt.Errorf("not understood at %q", text)
			}
			p.conditions = append(p.conditions, c)
		case word(` WHERE "`), word(` AND "`):
			c := condition{attr: name()}
			switch {
			case word("=?"):
				c.op, c.parameters = "=", []int{value()}
			case word(" IS MISSING"):
				c.op = "IS MISSING"
			case word(" IS NOT MISSING"):
				c.op = "IS NOT MISSING"
			case word(" IN [?"):
				c.op, c.parameters = "IN", []int{value()}
				for word(",?") {
					c.parameters = append(c.parameters, value())
				}
				if !word("]") {
					return nil, fmt.Errorf("IN without ]: %s", statement)
				}
			default:
				return nil, fmt.Errorf("not understood at %q", text)
			}
			if c.attr == "SessionId" && c.op == "=" {
				p.key = c.parameters[0]
			} else {
				p.conditions = append(p.conditions, c)
			}
		case word(" RETURNING ALL OLD *"):
			if text != "" || p.key < 0 {
				return nil, fmt.Errorf("no key, or more than a statement: %s", statement)
			}
			t.plans.Store(statement, p)
			return p, nil
		default:
			return nil, fmt.Errorf("not understood at %q", text)
		}
	}
}
