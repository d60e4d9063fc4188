package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// written returns the lines of a step's loggers, joined and single, without the time.
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

// Each measurement of the joined lines counts, also of lines below the log level.
func TestJoinedLinesMeasureWhatEachMeasured(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn} {
		var text bytes.Buffer
		out := telemetryLike{slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: level}), map[Metric][]float64{}}
		log, write := joinLines(slog.New(out))
		for n := range 60 {
			log.Info("done", "SessionId", fmt.Sprint("s", n), "Metric", Count(DeletionsAccepted, 1), "Metric", Measure(DeletedAfterSeconds, float64(n)))
		}
		write()
		accepted, after := out.measured[DeletionsAccepted], out.measured[DeletedAfterSeconds]
		if slices.Sort(after); len(accepted) != 60 || len(after) != 60 || after[59] != 59 {
			t.Errorf("level %s: %v", level, out.measured)
		}
	}
}

// telemetryLike takes measurements out of lines of any level.
type telemetryLike struct {
	slog.Handler
	measured map[Metric][]float64
}

func (h telemetryLike) Enabled(context.Context, slog.Level) bool { return true }

func (h telemetryLike) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if m, is := a.Value.Any().(Measurement); is {
			h.measured[m.Metric] = append(h.measured[m.Metric], m.Value)
		}
		return true
	})
	return nil
}

// Joining loses nothing: split again, the lines are equal to the single ones.
func TestJoinedLinesAreTheLinesThatTheyWereJoinedOf(t *testing.T) {
	joined, single := written(t, func(log *slog.Logger) {
		for n := range 100 {
			log := log.With("SessionId", fmt.Sprintf("s%d", n), "HostId", fmt.Sprint("i-", n%7), "RequestId", fmt.Sprint("r", n/40), "AttemptId", fmt.Sprint("a", n/34),
				"CommandId", fmt.Sprint("c", n/70), "AfterSeconds", 1e6+float64(n)/1e3, "CloseAt", time.Date(2026, 11, 29, 12, n%60, 0, 5e6, time.UTC))
			switch {
			case n%9 == 0:
				log.Info("another thing", "HostEmpty", "true")
			case n%11 == 0:
				log.Info("done", "Owner", `O'Neill; SessionId=s1; 100%25 a "name" \`)
			case n%13 == 0:
				log.Info("done", "Owner", "")
			default:
				log.Info("done", "Owner", "a=b")
			}
		}
		for _, id := range []string{"a b", "a;b", "a%3Bb", "xSessionId=a", `q"b\<é>`, "SessionId"} {
			log.Info("done", "SessionId", id)
		}
	})
	if len(joined) > len(single)/4 {
		t.Errorf("%d lines of %d", len(joined), len(single))
	}
	var split []map[string]any
	for _, line := range joined {
		if n := strings.Count(fmt.Sprint(line["SessionList"]), ";"); n > maxJoined {
			t.Errorf("a line of %d sessions", n)
		}
		if list := fmt.Sprint(line["SessionList"]); regexp.MustCompile(`(Request|Attempt|Command)Id=`).MatchString(list) {
			t.Errorf("nobody finds the request, attempt or command of this line: %v", line)
		} else if n := strings.Count(list, "SessionId=s1;"); n > 1 || strings.Contains(list, "SessionId=a") {
			t.Errorf("a line is found under the ID of another session: %v", line)
		}
		split = append(split, SplitLine(line)...)
	}
	byID := func(lines []map[string]any) map[string]string {
		of := map[string]string{}
		for _, line := range lines {
			if after, is := line["AfterSeconds"].(float64); is { // a value that differs is text
				line["AfterSeconds"] = strconv.FormatFloat(after, 'f', -1, 64)
			}
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

// endedTable takes all writes, and then the time is up.
type endedTable struct{ end func() }

func (t endedTable) Write(_ context.Context, writes []Write) []Result {
	t.end()
	return make([]Result, len(writes))
}

// Writes that landed are logged, even if the function's time has ended.
func TestStepsAreLoggedThatAreWrittenAtTheLastMoment(t *testing.T) {
	for name, step := range map[string]func(context.Context, Table, *slog.Logger){
		"deletion confirmed: the record ends next": func(ctx context.Context, table Table, log *slog.Logger) {
			c := Confirmer{Table: table, Now: time.Now, Log: log}
			c.Apply(ctx, []Report{{SessionID: "s1", HostID: "i-1", Outcome: OutcomeClosed}, {SessionID: "s2", HostID: "i-2", Outcome: OutcomeClosed}})
		},
		"session deleted": func(ctx context.Context, table Table, log *slog.Logger) {
			f := Finisher{Table: table, Now: time.Now, Log: log}
			seen := func(id string) Record { return Record{"SessionId": id, "State": "DELETING", "Confirmation": "closed"} }
			f.Finish(ctx, []Record{seen("s1"), seen("s2")})
		},
	} {
		var text bytes.Buffer
		ctx, end := context.WithCancel(t.Context())
		step(ctx, endedTable{end}, slog.New(slog.NewJSONHandler(&text, nil)))
		if got := text.String(); strings.Count(got, name) != 1 || !strings.Contains(got, "SessionId=s1;") || !strings.Contains(got, "SessionId=s2;") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
