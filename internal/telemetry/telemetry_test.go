package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/telemetry"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// invoke runs a function that logs, and returns its lines.
func invoke(t *testing.T, level slog.Level, log func(*slog.Logger) error) []string {
	t.Helper()
	var text bytes.Buffer
	out := telemetry.JSON(&text, level, "studio", func() time.Time { return noon })
	func() {
		defer func() { _ = recover() }()
		_, _ = out.Reporting(func() error { return log(out.Log) }).Invoke(invocation("i1"), nil)
	}()
	return lines(text.String())
}

func lines(text string) []string {
	return slices.DeleteFunc(strings.Split(text, "\n"), func(s string) bool { return s == "" })
}

func invocation(id string) context.Context {
	return lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: id})
}

func TestMetricsAreWrittenOnceAfterTheInvocation(t *testing.T) {
	got := invoke(t, slog.LevelInfo, func(log *slog.Logger) error {
		log = log.With("RequestId", "r1")
		log.Info("one", "Metric", session.Count(session.DeletionsAccepted, 1), "SessionId", "s1")
		log.Info("two", "Metric", session.Count(session.DeletionsAccepted, 2), "Metric", session.Measure(session.DeletedAfterSeconds, 1.5))
		log.Info("three", "Metric", session.Measure(session.DeletedAfterSeconds, 0), "Metric", session.Count(session.DeletionsForced, 0))
		return nil
	})
	want := `{"DeletedAfterSeconds":[1.5,0],"DeletionsAccepted":[3],"Stack":"studio","_aws":{"Timestamp":1795521600000,"CloudWatchMetrics":[` +
		`{"Namespace":"DcvSessionBroker","Dimensions":[["Stack"]],"Metrics":[{"Name":"DeletedAfterSeconds","Unit":"Seconds"},{"Name":"DeletionsAccepted","Unit":"Count"}]}]}}`
	if len(got) != 4 || got[3] != want {
		t.Errorf("got  %q\nwant %s", got, want)
	}
	if !strings.HasSuffix(got[0], `"level":"INFO","msg":"one","RequestId":"r1","SessionId":"s1","InvocationId":"i1"}`) {
		t.Errorf("line: %s", got[0])
	}
}

// An API's request has the ID of its invocation.
func TestInvocationIsNotNamedTwice(t *testing.T) {
	got := invoke(t, slog.LevelInfo, func(log *slog.Logger) error {
		log.With("RequestId", "i1").With("Owner", "user1").Info("its own")
		log.With("RequestId", "r1").Info("a deletion's")
		return nil
	})
	if len(got) != 2 || !strings.HasSuffix(got[0], `"RequestId":"i1","Owner":"user1"}`) || !strings.HasSuffix(got[1], `"RequestId":"r1","InvocationId":"i1"}`) {
		t.Errorf("%q", got)
	}
}

func TestMetricsByReason(t *testing.T) {
	got := invoke(t, slog.LevelInfo, func(log *slog.Logger) error {
		for _, reason := range []string{"b", "a", "b"} {
			log.Debug("refused", "Metric", session.CountBy(session.EntriesRefused, reason))
		}
		return nil
	})
	if len(got) != 2 || !strings.Contains(got[0], `"EntriesRefused":[1],"Reason":"a"`) || !strings.Contains(got[1], `"EntriesRefused":[2],"Reason":"b"`) ||
		!strings.Contains(got[1], `"Dimensions":[["Stack"],["Stack","Reason"]]`) {
		t.Errorf("%q", got)
	}
}

// A higher level, a failure and a panic do not lose values.
func TestMetricsDoNotDependOnTheLevelOrTheOutcome(t *testing.T) {
	for name, end := range map[string]func() error{
		"success": func() error { return nil }, "failure": func() error { return errors.New("x") }, "panic": func() error { panic("x") },
	} {
		got := invoke(t, slog.LevelError, func(log *slog.Logger) error {
			log.Debug("unseen", "Metric", session.Count(session.OpenDeletions, 1))
			log.Warn("unseen")
			return end()
		})
		if len(got) != 1 || !strings.Contains(got[0], `"OpenDeletions":[1]`) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestInvocationIsNamedOnlyWhereItIsSure(t *testing.T) {
	var text bytes.Buffer
	out := telemetry.JSON(&text, slog.LevelInfo, "", time.Now)
	inner := out.Reporting(func() { out.Log.Info("two") })
	outer := out.Reporting(func() {
		out.Log.Info("one")
		_, _ = inner.Invoke(invocation("i2"), nil)
		out.Log.Info("three")
	})
	if _, err := outer.Invoke(invocation("i1"), nil); err != nil {
		t.Fatal(err)
	}
	got := lines(text.String())
	for i, want := range []string{`"one","InvocationId":"i1"}`, `"two"}`, `"three","InvocationId":"i1"}`} {
		if !strings.HasSuffix(got[i], want) {
			t.Errorf("%s, want %s", got[i], want)
		}
	}
}

// CloudWatch user guide, "Specification: Embedded metric format".
func TestDocumentsKeepToTheSpecification(t *testing.T) {
	got := invoke(t, slog.LevelInfo, func(log *slog.Logger) error {
		var workers sync.WaitGroup
		for worker := range 5 {
			workers.Go(func() {
				for n := range 50 {
					log.Debug("x", "Metric", session.Measure(session.InventoryLagSeconds, float64(n)), "Metric", session.Count(session.AttemptsFailed, worker))
					for _, m := range session.Metrics {
						log.Debug("x", "Metric", session.CountBy(m, "reason"))
					}
				}
			})
		}
		workers.Wait()
		return nil
	})
	lags := 0
	for _, line := range got {
		var document map[string]any
		if err := json.Unmarshal([]byte(line), &document); err != nil || len(line) > 256*1024 {
			t.Fatalf("%v: %d bytes: %s", err, len(line), line)
		}
		meta := document["_aws"].(map[string]any)
		if at := meta["Timestamp"].(float64); at != float64(noon.UnixMilli()) {
			t.Errorf("timestamp %v", at)
		}
		directives := meta["CloudWatchMetrics"].([]any)
		if len(directives) != 1 {
			t.Errorf("%d directives", len(directives))
		}
		d := directives[0].(map[string]any)
		for _, set := range d["Dimensions"].([]any) {
			if n := len(set.([]any)); n > 30 {
				t.Errorf("%d dimensions", n)
			}
			for _, dimension := range set.([]any) {
				if v, _ := document[dimension.(string)].(string); v == "" || len(v) > 1024 {
					t.Errorf("dimension %v is %q", dimension, v)
				}
			}
		}
		metrics := d["Metrics"].([]any)
		if n := len(metrics); n == 0 || n > 100 {
			t.Errorf("%d metrics", n)
		}
		for _, m := range metrics {
			m := m.(map[string]any)
			values := document[m["Name"].(string)].([]any)
			if n := len(values); n == 0 || n > 100 {
				t.Errorf("%v: %d values", m["Name"], n)
			}
			if m["Name"] == string(session.InventoryLagSeconds) && document["Reason"] == nil {
				lags += len(values)
			}
			if unit := m["Unit"]; unit != "Count" && unit != "Seconds" {
				t.Errorf("%v: unit %v", m["Name"], unit)
			}
		}
	}
	if lags != 250 {
		t.Errorf("%d values of 250", lags)
	}
}
