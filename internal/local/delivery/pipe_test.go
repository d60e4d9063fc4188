package delivery_test

import (
	"encoding/json"
	"testing"
	"time"

	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/local/template"
)

var endedPattern = func() *template.Pattern {
	p, err := template.ParsePattern([]byte(`{"dynamodb": {"NewImage": {"State": {"S": ["DELETED"]}}}}`))
	if err != nil {
		panic(err)
	}
	return p
}()

const endedRecord = `{"eventID": "e1", "dynamodb": {"NewImage": {"State": {"S": "DELETED"}, "Owner": {"S": "a\"<b>\\"}}}}`

func TestPipeMakesAnEvent(t *testing.T) {
	pipe := template.Pipe{
		LogicalID: "P", Filters: []*template.Pattern{endedPattern}, Source: "broker", DetailType: "Ended",
		InputTemplate: `{"Id": "<$.eventID>", "Session": <$.dynamodb.NewImage>}`,
	}
	event, err := delivery.Announcement(pipe, json.RawMessage(endedRecord), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Source     string
		DetailType string `json:"detail-type"`
		Detail     struct {
			ID      string `json:"Id"`
			Session map[string]map[string]string
		}
	}
	if err := json.Unmarshal(event, &got); err != nil || got.Source != "broker" || got.DetailType != "Ended" || got.Detail.ID != "e1" ||
		got.Detail.Session["Owner"]["S"] != `a"<b>\` {
		t.Errorf("%s, %v", event, err)
	}
	if event, err := delivery.Announcement(pipe, json.RawMessage(`{"dynamodb": {"NewImage": {"State": {"S": "READY"}}}}`), time.Now()); event != nil || err != nil {
		t.Errorf("%s, %v", event, err)
	}
}

// What the guide does not say comes of a template is refused.
func TestPipeRefusesWhatIsNotDocumented(t *testing.T) {
	for _, input := range []string{
		`{"Owner": "<$.dynamodb.NewImage.Owner.S>"}`, // has quotes in it
		`{"Id": <$.eventID>}`,
		`{"Session": "<$.dynamodb.NewImage>"}`,
		`{"Name": "<$.dynamodb.NewImage.Name.S>"}`, // is not there
		`{"Session": <$.dynamodb.OldImage>}`,
		`{"Id": "<$.eventID>"`,
	} {
		pipe := template.Pipe{LogicalID: "P", Filters: []*template.Pattern{endedPattern}, InputTemplate: input}
		if event, err := delivery.Announcement(pipe, json.RawMessage(endedRecord), time.Now()); err == nil {
			t.Errorf("%s: %s", input, event)
		}
	}
}
