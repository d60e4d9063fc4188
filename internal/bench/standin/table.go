package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// A Table is one table, by SessionId. Attributes are kept as DynamoDB's JSON
// shows them, {"S":"..."}, compact.
type Table struct {
	mu    sync.Mutex
	items map[string]Item
	asIs  bool
	plans sync.Map // by statement
}

// KeepAsIs has writes answered, but not done: the same batch can be marked again
// and again.
func (t *Table) KeepAsIs(asIs bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asIs = asIs
}

// An Item is an item's attributes.
type Item map[string]json.RawMessage

// Fill puts these items in place of all others.
func (t *Table) Fill(items map[string]Item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items = items
}

// Get is the item, nil if there is none.
func (t *Table) Get(id string) Item {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.items[id]
}

// Text is a string as an attribute.
func Text(s string) json.RawMessage {
	text, err := json.Marshal(map[string]string{"S": s})
	if err != nil {
		panic(err)
	}
	return text
}

func keyOf(key Item) (string, error) {
	var id struct{ S string }
	if err := json.Unmarshal(key["SessionId"], &id); err != nil || id.S == "" {
		return "", &Fault{"ValidationException", "the key is SessionId, a string"}
	}
	return id.S, nil
}

// write appends the item as JSON.
func (item Item) write(b []byte) []byte {
	b = append(b, '{')
	separator := false
	for attr, v := range item {
		if separator {
			b = append(b, ',')
		}
		separator = true
		b = append(b, '"')
		b = append(b, attr...) // names of this program's own: nothing to escape
		b = append(b, `":`...)
		b = append(b, v...)
	}
	return append(b, '}')
}

func (t *Table) getItem(body []byte) ([]byte, error) {
	var in struct{ Key Item }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	id, err := keyOf(in.Key)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	item, there := t.items[id]
	if !there {
		return []byte("{}"), nil
	}
	return append(item.write([]byte(`{"Item":`)), '}'), nil
}

// updateItem knows "SET a = :v, b = :w" and conditions "a = :v AND b = :w", or
// "attribute_exists(a)", with names in place of a.
func (t *Table) updateItem(body []byte) ([]byte, error) {
	var in struct {
		Key                       Item
		UpdateExpression          string
		ConditionExpression       string
		ExpressionAttributeNames  map[string]string
		ExpressionAttributeValues Item
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	id, err := keyOf(in.Key)
	if err != nil {
		return nil, err
	}
	pair := func(text string) (string, json.RawMessage, error) {
		name, value, ok := strings.Cut(strings.TrimSpace(text), " = ")
		if full, there := in.ExpressionAttributeNames[name]; there {
			name = full
		}
		v, there := in.ExpressionAttributeValues[value]
		if !ok || !there {
			return "", nil, fmt.Errorf("not understood: %q", text)
		}
		var short bytes.Buffer // not every SDK writes it so
		if err := json.Compact(&short, v); err != nil {
			return "", nil, err
		}
		return name, short.Bytes(), nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	item, there := t.items[id]
	if in.ConditionExpression != "" {
		for _, condition := range strings.Split(in.ConditionExpression, " AND ") {
			name, v, err := pair(condition)
			if err != nil {
				return nil, err
			}
			if string(item[name]) != string(v) {
				return nil, &Fault{"ConditionalCheckFailedException", "The conditional request failed"}
			}
		}
	}
	changed := Item{"SessionId": in.Key["SessionId"]}
	if there {
		changed = copyOf(item)
	}
	sets, ok := strings.CutPrefix(in.UpdateExpression, "SET ")
	if !ok {
		return nil, fmt.Errorf("not understood: %q", in.UpdateExpression)
	}
	for _, set := range strings.Split(sets, ",") {
		name, v, err := pair(set)
		if err != nil {
			return nil, err
		}
		changed[name] = v
	}
	if !t.asIs {
		t.items[id] = changed
	}
	return []byte("{}"), nil
}

func copyOf(item Item) Item {
	c := make(Item, len(item)+8)
	for attr, v := range item {
		c[attr] = v
	}
	return c
}
