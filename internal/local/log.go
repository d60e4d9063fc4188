package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"dcv-session-broker/internal/local/system"
)

// openLog opens the file of the functions' logs, "-" for standard error. Each start empties it.
func (s settings) openLog(api net.Addr) (*os.File, error) {
	if s.log == "-" {
		return os.Stderr, nil
	}
	name := s.log
	if name == "" {
		_, number, _ := net.SplitHostPort(api.String())
		name = filepath.Join("build", "local-"+number+".log")
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("LOG: %w", err)
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("LOG: %w", err)
	}
	return file, nil
}

// logger writes lines to the file, and passes errors to tell, so that the printed story shows them, too.
func (s settings) logger(file *os.File, tell func(system.Step)) *slog.Logger {
	lines := slog.NewTextHandler(file, &slog.HandlerOptions{Level: s.logLevel})
	if file == os.Stderr {
		return slog.New(lines)
	}
	return slog.New(&errorTeller{lines, "", tell})
}

type errorTeller struct {
	slog.Handler
	function string
	tell     func(system.Step)
}

func (h *errorTeller) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		step := system.Step{At: time.Now(), By: h.function, To: "ERROR", Why: r.Message}
		r.Attrs(func(a slog.Attr) bool {
			switch a.Key {
			case "Function":
				step.By = a.Value.String()
			case "Cause":
				step.Why += ": " + a.Value.String()
			}
			return true
		})
		h.tell(step)
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h *errorTeller) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || h.Handler.Enabled(ctx, level)
}

func (h *errorTeller) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithAttrs(attrs)
	for _, a := range attrs {
		if a.Key == "Function" {
			with.function = a.Value.String()
		}
	}
	return &with
}

func (h *errorTeller) WithGroup(name string) slog.Handler {
	with := *h
	with.Handler = h.Handler.WithGroup(name)
	return &with
}
