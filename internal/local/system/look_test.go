package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The routes for an operator's commands show one record, the open deletions, the Hosts
// table, the functions' log lines, and the template's settings.
func TestLooking(t *testing.T) {
	c := newControlled(t)
	c.want(http.StatusOK, http.MethodPut, "/local/hosts/"+host1+"/sessions/s-1", `{"Owner": "user1"}`)
	c.want(http.StatusOK, http.MethodPut, "/local/hosts/"+host1+"/sessions/s-2", `{"Owner": "user1"}`)
	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/lose-events", "")
	if open := c.want(http.StatusOK, http.MethodGet, "/local/deletions", ""); open != "[]" {
		t.Errorf("open: %s", open)
	}
	c.system.Advance(time.Hour)
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "s-1", "Owner": "user1"}, {"SessionId": "s-2", "Owner": "user1"}]`)

	var record map[string]any
	var open []map[string]any
	var lines []map[string]any
	var settings struct {
		Parameters map[string]string
		Documents  map[string]struct {
			SchemaVersion string `json:"schemaVersion"`
		}
	}
	for path, into := range map[string]any{
		"/local/sessions/s-1": &record, "/local/deletions": &open, "/local/template": &settings,
	} {
		if err := json.Unmarshal([]byte(c.want(http.StatusOK, http.MethodGet, path, "")), into); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if record["State"] != "DELETING" || len(open) != 2 || open[0]["State"] != "DELETING" {
		t.Errorf("record %v, open %v", record, open)
	}
	if settings.Parameters["InventoryMinutes"] == "" || settings.Documents["CloseDocument"].SchemaVersion != "2.2" {
		t.Errorf("settings: %v", settings)
	}
	c.wantRefused(http.StatusNotFound, http.MethodGet, "/local/sessions/s-3", "")

	request := fmt.Sprint(record["DeletionRequestId"])
	said := c.want(http.StatusOK, http.MethodGet, "/local/log?session=s-1&request="+request, "")
	if err := json.Unmarshal([]byte(said), &lines); err != nil || len(lines) != 2 {
		t.Fatalf("%v: %s", err, said)
	}
	if lines[0]["Function"] != "delete-sessions" || lines[0]["SessionId"] != "s-1" || !strings.HasPrefix(fmt.Sprint(lines[0]["msg"]), "deletion accepted") || lines[1]["msg"] != "request answered" {
		t.Errorf("lines: %s", said)
	}
	if at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(lines[0]["time"])); err != nil || time.Until(at) < 50*time.Minute {
		t.Errorf("a line has the time %v: not the system's clock", lines[0]["time"])
	}
	if said := c.want(http.StatusOK, http.MethodGet, "/local/log?session=s-3", ""); said != "[]" {
		t.Errorf("lines of another session: %s", said)
	}
}

// New lines replace the oldest ones.
func TestKeptLinesAreBounded(t *testing.T) {
	k := &keptLog{}
	for i := range maxKept + 2 {
		k.keep(map[string]any{"SessionId": "s", "n": i})
	}
	if lines := k.about("s", nil); len(lines) != maxKept || lines[0]["n"] != 2 || lines[maxKept-1]["n"] != maxKept+1 {
		t.Errorf("%d lines, from %v to %v", len(lines), lines[0], lines[len(lines)-1])
	}
}

// Systems Manager and EC2 are also on the control API's port, for this machine only.
func TestServicesOnThePortOfTheControlAPI(t *testing.T) {
	c := newControlled(t)
	for _, path := range []string{"/local/ssm", "/local/ssm/", "/local/ec2", "/local/ec2/"} {
		if w := c.from("192.0.2.1:4711", http.MethodPost, path, ""); w.Code != http.StatusForbidden {
			t.Errorf("%s answers others: %d", path, w.Code)
		}
		if w := c.ask(http.MethodPost, path, ""); !strings.Contains(w.Body.String(), "UnknownOperation") && !strings.Contains(w.Body.String(), "InvalidAction") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
