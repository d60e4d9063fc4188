package system

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/events/endedsessions"
)

// The part of DEPLOYING.md for receivers of events.
func eventsForOthers(t *testing.T) string {
	t.Helper()
	deploying, err := os.ReadFile("../../operate/DEPLOYING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, found := strings.Cut(string(deploying), "\n## Events for others\n")
	part, _, _ = strings.Cut(part, "\n## ")
	if !found {
		t.Fatal("DEPLOYING.md has no such part")
	}
	return part
}

// shape replaces texts that differ from event to event by a placeholder for their kind.
func shape(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			v[name] = shape(inner)
		}
	case string:
		for kind, pattern := range map[string]string{
			"time": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$`, "UUID": `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`,
		} {
			if regexp.MustCompile(pattern).MatchString(v) {
				return kind
			}
		}
	}
	return value
}

// The example of DEPLOYING.md is a real event, except for its texts.
func TestDeployingShowsWhatIsAnnounced(t *testing.T) {
	example := regexp.MustCompile("(?s)```json\n(.*?)```").FindStringSubmatch(eventsForOthers(t))
	if example == nil {
		t.Fatal("DEPLOYING.md shows no event")
	}
	var told, real map[string]any
	if err := json.Unmarshal([]byte(example[1]), &told); err != nil {
		t.Fatal(err)
	}

	events := make(chan json.RawMessage, 10)
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(), Announced: func(event json.RawMessage) { events <- event },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	c := &controlled{t: t, system: sys, api: sys.Handler()}
	c.want(http.StatusOK, http.MethodPut, "/local/hosts/i-0a1b2c3d4e5f60001/sessions/SessionId123", `{"Owner": "user1"}`)
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "SessionId123", "Owner": "user1"}]`)
	select {
	case event := <-events:
		if err := json.Unmarshal(event, &real); err != nil {
			t.Fatal(err)
		}
	case <-time.After(waitLimit):
		t.Fatal("nothing is announced")
	}

	// The example does not show EventBridge's own fields.
	for _, name := range []string{"version", "id", "account", "region", "time", "resources"} {
		delete(real, name)
	}
	detail := real["detail"].(map[string]any)
	detail["Stack"], detail["RequestedBy"] = "dcv-session-broker", "1example23456789"
	detail["Id"] = told["detail"].(map[string]any)["Id"]
	if diff := cmp.Diff(shape(real), shape(told)); diff != "" {
		t.Errorf("(-announced +DEPLOYING.md):\n%s", diff)
	}
}

// DEPLOYING.md explains every field, and no other.
func TestDeployingExplainsEveryField(t *testing.T) {
	_, fields, _ := strings.Cut(eventsForOthers(t), "| field | |")
	fields, _, _ = strings.Cut(fields, "\n\n")
	explained := map[string]bool{"Stack": true} // explains itself
	for _, row := range regexp.MustCompile(`(?m)^\| (`+"`[^|]*`"+`) \|`).FindAllStringSubmatch(fields, -1) {
		for _, name := range strings.Split(row[1], ", ") {
			explained[strings.Trim(name, "`")] = true
		}
	}
	there := map[string]bool{}
	kind := reflect.TypeFor[endedsessions.Detail]()
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
		if name == "" {
			name = kind.Field(i).Name
		}
		there[name] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(explained))); diff != "" {
		t.Errorf("(-announced +DEPLOYING.md):\n%s", diff)
	}
	if !strings.Contains(fmt.Sprint(explained), "HostEmpty") {
		t.Error("the table of fields is not found")
	}
}
