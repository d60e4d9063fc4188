package events_test

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/describesessions"
	"dcv-session-broker/internal/memtable"
)

// All parts of all functions have the table's clock (session.Clock).
func TestFunctionsClocksHaveWholeMilliseconds(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 11, 23, 19, 1, 2, 123987654, time.UTC) }
	log, hosts := slog.New(slog.DiscardHandler), memtable.NewHosts()
	functions := map[string]any{
		"events/cleanup":           cleanup.New(cleanup.Parts{HostTable: hosts, Now: now, Log: log}, cleanup.Settings{}),
		"events/hostevents":        hostevents.New(hostevents.Parts{HostTable: hosts, Now: now, Log: log}, hostevents.Settings{}),
		"events/sessionstream":     sessionstream.New(sessionstream.Parts{Now: now, Log: log}),
		"httpapi/canceldeletions":  canceldeletions.New(canceldeletions.Parts{Now: now, Log: log}, canceldeletions.Settings{}),
		"httpapi/deletesessions":   deletesessions.New(deletesessions.Parts{Now: now, Log: log}, deletesessions.Settings{}),
		"httpapi/describesessions": describesessions.New(describesessions.Parts{Now: now, Log: log}, describesessions.Settings{}),
	}
	for name, function := range functions {
		clocks := clocksOf(name, reflect.ValueOf(function))
		if len(clocks) == 0 {
			t.Errorf("%s has no clock", name)
		}
		for where, clock := range clocks {
			if at := clock(); !at.Equal(now().Truncate(time.Millisecond)) {
				t.Errorf("%s is at %s", where, at.Format(time.RFC3339Nano))
			}
		}
	}

	sources, err := filepath.Glob("../[eh]*/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	givenClock := regexp.MustCompile(`(?s)\nfunc New\(p Parts.*\bp\.Now\b`)
	found := 0
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../"); givenClock.Match(text) {
			if found++; functions[name] == nil {
				t.Errorf("%s is given a clock, and is not in this test", name)
			}
		}
	}
	if found != len(functions) {
		t.Errorf("%d functions are given a clock, and %d are in this test", found, len(functions))
	}
}

// clocksOf finds the clocks among the exported fields of a value, by where they are.
func clocksOf(where string, v reflect.Value) map[string]func() time.Time {
	clocks := map[string]func() time.Time{}
	switch {
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		if !v.IsNil() {
			return clocksOf(where, v.Elem())
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				maps.Copy(clocks, clocksOf(where+"."+field.Name, v.Field(i)))
			}
		}
	case v.Type() == reflect.TypeFor[func() time.Time]() && !v.IsNil():
		clocks[where] = v.Interface().(func() time.Time)
	}
	return clocks
}
