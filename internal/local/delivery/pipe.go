package delivery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/local/template"
)

// Announcement is the event that a pipe makes of a stream record, or nil if it
// lets none through.
func Announcement(pipe template.Pipe, record json.RawMessage, now time.Time) (json.RawMessage, error) {
	if matches, _ := pipe.Matches(record); !matches { // one that the filter cannot read is dropped
		return nil, nil
	}
	detail, err := fill(pipe.InputTemplate, record)
	if err != nil {
		return nil, fmt.Errorf("pipe %s: %w", pipe.LogicalID, err)
	}
	return json.Marshal(map[string]any{
		"version": "0", "id": awsenv.NewID(), "source": pipe.Source, "detail-type": pipe.DetailType,
		"account": account, "region": region, "time": now.UTC().Format(time.RFC3339), "resources": []string{},
		"detail": detail,
	})
}

var placeholder = regexp.MustCompile(`"?<\$[^>]*>"?`)

// fill makes a detail of an input template: a JSON object with paths in it. It
// does what is documented, and refuses the rest: a path in quotes is a text
// without quotes in it, one without them an object, and both are there
// (EventBridge user guide, "Amazon EventBridge Pipes input transformation").
func fill(input string, record json.RawMessage) (json.RawMessage, error) {
	var root any
	if err := json.Unmarshal(record, &root); err != nil {
		return nil, err
	}
	var wrong error
	text := placeholder.ReplaceAllStringFunc(input, func(place string) string {
		quoted := strings.HasPrefix(place, `"`) && strings.HasSuffix(place, `"`)
		value := root
		for _, step := range strings.Split(strings.Trim(place, `"<>`), ".")[1:] {
			object, _ := value.(map[string]any)
			value = object[step]
		}
		switch v := value.(type) {
		case string:
			if quoted && !strings.ContainsAny(v, `"\`) {
				return `"` + v + `"`
			}
		case map[string]any:
			if !quoted {
				var encoded bytes.Buffer
				encoder := json.NewEncoder(&encoded)
				encoder.SetEscapeHTML(false)
				if err := encoder.Encode(v); err == nil {
					return strings.TrimSpace(encoded.String())
				}
			}
		}
		wrong = fmt.Errorf("input template: %s is %v, of which it is not documented what comes out", place, value)
		return "null"
	})
	if wrong == nil && !json.Valid([]byte(text)) {
		wrong = fmt.Errorf("input template: what comes out is no JSON: %s", text)
	}
	return json.RawMessage(text), wrong
}
