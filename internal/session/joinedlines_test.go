package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written is what a step's loggers write, joined and as it is, without the time.
func written(t *testing.T, step func(log *slog.Logger)) (joined, single []map[string]any) {
	t.Helper()
	for join, lines := range map[bool]*[]map[string]any{true: &joined, false: &single} {
		var text bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&text, nil)).With("RequestId", "r1")
		write := func() {}
		if join {
			log, write = joinLines(log)
		}
		step(log)
		write()
		for line := range strings.Lines(text.String()) {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			delete(object, slog.TimeKey)
			*lines = append(*lines, object)
		}
	}
	return joined, single
}

func TestLinesThatSayTheSameAreJoined(t *testing.T) {
	joined, _ := written(t, func(log *slog.Logger) {
		for _, id := range []string{"s1", "s2", "s3"} {
			log := log.With("SessionId", id, "HostId", "i-"+id[1:], "Owner", "user1")
			if id == "s2" {
				log.Warn("trouble", "Cause", errors.New("x y"))
			} else {
				log.Info("done", "Attempts", 1, "Metric", Count(DeletionsAccepted, 1))
			}
		}
		log.Info("of no session")
	})
	one := map[string]any{"Metric": "DeletionsAccepted"}
	want := []map[string]any{
		{"level": "INFO", "msg": "done", "RequestId": "r1", "Owner": "user1", "Attempts": 1.0, "SessionList": "HostId=i-1 SessionId=s1; HostId=i-3 SessionId=s3;"},
		{"level": "WARN", "msg": "trouble", "RequestId": "r1", "SessionId": "s2", "HostId": "i-2", "Owner": "user1", "Cause": "x y"},
		{"level": "INFO", "msg": "of no session", "RequestId": "r1"},
	}
	for _, line := range joined {
		if m, is := line["Metric"].(map[string]any); is {
			one["Metric"] = m["Metric"]
			delete(line, "Metric")
		}
	}
	if diff := cmp.Diff(want, joined); diff != "" || one["Metric"] != "DeletionsAccepted" {
		t.Errorf("%s\n%v", diff, one)
	}
}

// Whatever is joined, nothing of it is lost: split again, the lines are what they would have been by themselves.
func TestJoinedLinesAreTheLinesThatTheyWereJoinedOf(t *testing.T) {
	joined, single := written(t, func(log *slog.Logger) {
		for n := range 100 {
			log := log.With("SessionId", fmt.Sprintf("s%d", n), "HostId", fmt.Sprint("i-", n%7), "CommandId", fmt.Sprint("c", n/50))
			switch {
			case n%9 == 0:
				log.Info("another thing", "HostEmpty", "true")
			case n%11 == 0:
				log.Info("done", "Owner", `O'Neill; 100%25 a "name" \`)
			case n%13 == 0:
				log.Info("done", "Owner", "", "CloseAt", time.Date(2026, 11, 29, 12, n%60, 0, 5e6, time.UTC))
			default:
				log.Info("done", "Owner", "a=b", "AfterSeconds", 1e6+float64(n)/1e3)
			}
		}
		for _, id := range []string{"a b", "a;b", "a%3Bb"} {
			log.Info("done", "SessionId", id)
		}
	})
	if len(joined) > len(single)/4 {
		t.Errorf("%d lines of %d", len(joined), len(single))
	}
	var split []map[string]any
	for _, line := range joined {
		if n := strings.Count(fmt.Sprint(line["SessionList"]), "SessionId="); n > maxJoined {
			t.Errorf("a line of %d sessions", n)
		}
		if list := fmt.Sprint(line["SessionList"]); strings.Contains(list, "CommandId") {
			t.Errorf("nobody finds the command of this line: %v", line)
		}
		split = append(split, SplitLine(line)...)
	}
	for _, line := range single { // the values that differ are text
		if after, is := line["AfterSeconds"].(float64); is {
			line["AfterSeconds"] = strconv.FormatFloat(after, 'f', -1, 64)
		}
	}
	byID := func(lines []map[string]any) map[string]string {
		of := map[string]string{}
		for _, line := range lines {
			text, err := json.Marshal(line)
			if err != nil {
				t.Fatal(err)
			}
			of[fmt.Sprint(line["SessionId"])] += string(text)
		}
		return of
	}
	if diff := cmp.Diff(byID(single), byID(split)); diff != "" {
		t.Errorf("-by themselves +joined and split:\n%s", diff)
	}
}
