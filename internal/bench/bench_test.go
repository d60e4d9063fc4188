package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

func TestMain(m *testing.M) {
	templateFile = "../../template.yaml"
	m.Run()
}

// moved reports a regression.
func TestMovedFiguresAreReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last.json")
	if last, err := readLast(path); last != nil || err != nil {
		t.Errorf("%v, %v", last, err)
	}
	before := []figure{
		{name: "wall", value: 1.2}, {name: "steady", value: 10}, {name: "calls", value: 42, counted: true}, {name: "gone", value: 1},
	}
	if err := writeLast(path, before); err != nil {
		t.Fatal(err)
	}
	last, err := readLast(path)
	if err != nil {
		t.Fatal(err)
	}
	now := []figure{
		{name: "wall", value: 2.4}, {name: "steady", value: 12}, {name: "calls", value: 43, counted: true}, {name: "more", value: 3},
	}
	want := []string{"moved    wall: 2.4, was 1.2 (+100 %)", "CHANGED  calls: 43, was 42", "new      more: 3", "gone     gone, was 1"}
	if diff := cmp.Diff(want, moved(last, now, false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:3], moved(last, now, true)); diff != "" {
		t.Errorf("a quick run:\n%s", diff)
	}
	if lines := moved(last, before, false); len(lines) > 0 {
		t.Errorf("nothing moved, but %v", lines)
	}
}

func TestUnitsOfAWrite(t *testing.T) {
	spec := template.Table{Indexes: []template.Index{
		{Key: template.Key{Hash: "Lane", Range: "Next"}, Projection: "ALL"},
		{Key: template.Key{Hash: "Owner", Range: "SessionId"}, Projection: "INCLUDE", NonKey: []string{"State"}},
	}}
	ready := session.Record{"SessionId": "a", "Owner": "o", "State": "READY"}
	with := func(more session.Record) session.Record {
		r := session.Record{"SessionId": "a", "Owner": "o", "State": "READY"}
		for attr, v := range more {
			r[attr] = v
		}
		return r
	}
	leased := with(session.Record{"Lane": "0", "Next": "1"})
	for _, tc := range []struct {
		name     string
		old, new session.Record
		want     float64
	}{
		{"nothing that an index shows", ready, with(session.Record{"X": "y"}), 1},
		{"into a sparse index", ready, leased, 2},
		{"out of it", leased, ready, 2},
		{"moved in it", leased, with(session.Record{"Lane": "0", "Next": "2"}), 3},
		{"changed in both", leased, with(session.Record{"Lane": "0", "Next": "1", "State": "DELETED"}), 3},
		{"two kilobytes", ready, with(session.Record{"X": strings.Repeat("x", 1024)}), 2},
	} {
		if got := writeUnits(spec, tc.old, tc.new); got != tc.want {
			t.Errorf("%s: %v units, want %v", tc.name, got, tc.want)
		}
	}
}

func TestChartShowsEveryContender(t *testing.T) {
	c := chart{title: "Wall time"}
	c.add("this system", 50*time.Millisecond, 1)
	c.add("another", 5*time.Second, 100)
	svg := c.svg()
	for _, want := range []string{"<title>Wall time</title>", "this system</text>", "50 ms (1.00×)", "5.00 s (100×)"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%q is not in the chart:\n%s", want, svg)
		}
	}
}

// The smallest way back: one host, one command, one read.
func TestWayBackEnds(t *testing.T) {
	queue, stream, visibility, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	queue.Window = 0
	w := &wayBack{}
	w.run(2, queue, stream, visibility)
	if w.reads.Load() < 1 || w.reads.Load() > w.batches.Load() || w.confirming.Load() != w.batches.Load() {
		t.Errorf("%d reads and %d writes in %d batches", w.reads.Load(), w.confirming.Load(), w.batches.Load())
	}
}

// Every deployed function is measured, and has a memory size, from which its cost is
// computed.
func TestEveryFunctionIsMeasured(t *testing.T) {
	deployed := templatetest.Load(t, nil)
	want := map[string]bool{}
	for _, f := range deployed.Functions() {
		want[f.Name] = true
	}
	got := map[string]bool{}
	for _, name := range functionNames {
		got[name] = true
		if megabytes := memories(deployed)[name]; megabytes < 128 {
			t.Errorf("%s: %v MB", name, megabytes)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-deployed +measured):\n%s", diff)
	}
}

func TestMetricsOfAlarms(t *testing.T) {
	deployed, err := template.Parse([]byte(`
Resources:
  One: {Type: AWS::CloudWatch::Alarm, Properties: {MetricName: a}}
  Several:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Metrics: [{Id: e, Expression: m + n}, {Id: m, MetricStat: {Metric: {MetricName: b}}}, {Id: n, MetricStat: {Metric: {MetricName: c}}}]
  Other: {Type: AWS::SQS::Queue}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := alarmMetrics(deployed); got != 3 {
		t.Errorf("%v metrics, want 3", got)
	}
}

// An announcement costs two requests, an event, two reads and a short run of a function.
func TestAnnouncementCosts(t *testing.T) {
	if got := 1e6 * announcement(256); got < 0.40+1.00+0.20+0.19 || got > 2.00 {
		t.Errorf("a million announcements cost %s", dollars(got))
	}
}

// RES's method, from its source (internal/bench/baseline/res): if Systems Manager refuses
// one host, the clients of all fifty are not counted, and RES waits for a host that does
// not answer.
func TestRESWaitsForHostsOneAfterAnother(t *testing.T) {
	server, err := standin.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for i, want := range []struct {
		accepted, ended, inUse int
		least, most            time.Duration
	}{
		{40, 40, 0, 4 * time.Second, 10 * time.Second},
		{50, 50, 10, 0, time.Second},
		{41, 41, 1, 60 * time.Second, 70 * time.Second},
	} {
		o, err := deleteFiftyAsRES(t.Context(), server, situations[i].hosts())
		if err != nil {
			t.Fatal(err)
		}
		if o.accepted != want.accepted || len(o.ended) != want.ended || o.inUse != want.inUse {
			t.Errorf("%s: %d accepted, %d ended, %d with a client, want %+v", situations[i].name, o.accepted, len(o.ended), o.inUse, want)
		}
		if o.answered < want.least || o.answered > want.most {
			t.Errorf("%s: answered after %v, want %v to %v", situations[i].name, o.answered, want.least, want.most)
		}
	}
}
