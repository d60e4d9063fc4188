// Package awsenv reads a function's environment: the function's settings, and the
// configuration for the AWS SDK's clients.
package awsenv

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"time"

	"dcv-session-broker/internal/telemetry"
)

// An Environment reads variables and collects their faults, so that one message names
// them all.
type Environment struct {
	// Getenv looks a variable up; nil is os.Getenv.
	Getenv func(name string) string

	errs []error
}

func (e *Environment) get(name string) string {
	if e.Getenv != nil {
		return e.Getenv(name)
	}
	return os.Getenv(name)
}

// Text reads a variable that must be set.
func (e *Environment) Text(name string) string {
	v := e.get(name)
	if v == "" {
		e.errs = append(e.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Count reads a variable that must be a whole number of at least 1. ifUnset is the
// default.
func (e *Environment) Count(name string, ifUnset int) int {
	return e.number(name, "whole number", ifUnset, 1)
}

// Minutes reads a duration, a whole number of minutes of at least least.
func (e *Environment) Minutes(name string, ifUnset, least int) time.Duration {
	return time.Duration(e.number(name, "whole number of minutes", ifUnset, least)) * time.Minute
}

func (e *Environment) number(name, kind string, ifUnset, least int) int {
	v := e.get(name)
	if v == "" {
		return ifUnset
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		e.errs = append(e.errs, fmt.Errorf("%s is %q, not a %s of at least %d", name, v, kind, least))
	}
	return n
}

// Switch reads a variable that is "true" or "false".
func (e *Environment) Switch(name string, ifUnset bool) bool {
	switch v := e.get(name); v {
	case "":
		return ifUnset
	case "true", "false":
		return v == "true"
	default:
		e.errs = append(e.errs, fmt.Errorf("%s is %q, not true or false", name, v))
		return false
	}
}

// OneOf reads a variable that is one of the values. The first is the default.
func (e *Environment) OneOf(name string, values ...string) string {
	v := e.get(name)
	if v == "" {
		return values[0]
	}
	if !slices.Contains(values, v) {
		e.errs = append(e.errs, fmt.Errorf("%s is %q, not one of %q", name, v, values))
	}
	return v
}

// IndexStep reads the step of the Sessions table's indexes, for package dynamo. In the
// update of a stack older than the variable, it is not set for a moment after the
// update of the function's code.
func (e *Environment) IndexStep() string { return e.OneOf("INDEX_STEP", "0", "1", "2", "3", "4") }

// Parsed reads a variable; an unset one is the zero value. An error of parse is a
// clause without a subject.
func Parsed[T any](e *Environment, name string, parse func(text string) (value T, fault string)) (value T) {
	text := e.get(name)
	if text == "" {
		return value
	}
	value, fault := parse(text)
	if fault != "" {
		e.errs = append(e.errs, fmt.Errorf("%s, %.300q, %s", name, text, fault))
	}
	return value
}

// NewID returns a random UUID.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Err names all faults of the variables read so far.
func (e *Environment) Err() error { return errors.Join(e.errs...) }

// MustBeRight ends the process if a variable was wrong. Lambda then reports
// the function's start as failed, and the log says why.
func (e *Environment) MustBeRight(log *slog.Logger) {
	if err := e.Err(); err != nil {
		log.Error("the function's environment is wrong: compare it with template.yaml", "Cause", err)
		os.Exit(1)
	}
}

// Start begins a function's process: it returns the environment and the output of lines
// and metrics, and logs the release.
func Start() (*Environment, *telemetry.Output) {
	CollectRarely()
	env := &Environment{}
	out := env.output()
	out.Log.Info("function starts", "Version", env.version())
	return env, out
}

// version returns the release of the template that deployed the function.
func (e *Environment) version() string { return e.get("VERSION") }

// output writes JSON lines to stdout, from the level LOG_LEVEL on (info if it
// is not set), and metrics of the stack STACK.
func (e *Environment) output() *telemetry.Output {
	var level slog.Level
	if err := level.UnmarshalText([]byte(e.get("LOG_LEVEL"))); err != nil {
		level = slog.LevelInfo
	}
	return telemetry.JSON(os.Stdout, level, e.get("STACK"), time.Now)
}
