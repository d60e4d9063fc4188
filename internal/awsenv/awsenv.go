// Package awsenv reads what Lambda puts into a function's environment: the
// function's own settings, and what the AWS SDK needs to make clients.
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

// An Environment reads variables and remembers what is wrong with them, so that
// one message can name it all.
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

// Text is a variable that must be set.
func (e *Environment) Text(name string) string {
	v := e.get(name)
	if v == "" {
		e.errs = append(e.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Count is a variable that must be a whole number of at least 1; ifUnset is
// for one that is not set.
func (e *Environment) Count(name string, ifUnset int) int {
	return e.number(name, "whole number", ifUnset, 1)
}

// Minutes is a variable that is a time, a whole number of minutes and at least
// so many.
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

// Switch is a variable that is "true" or "false".
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

// OneOf is a variable that is one of the values; the first is for one that is
// not set.
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

// IndexStep is the step of the Sessions table's indexes, as package dynamo reads it.
// Where the variable is not set yet, the function's code was updated a moment ago, in a
// stack that is older than the variable.
func (e *Environment) IndexStep() string { return e.OneOf("INDEX_STEP", "0", "1", "2", "3", "4") }

// Parsed is a variable that may be unset, which is the zero value. What parse says
// is wrong with it is a clause without a subject.
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

// NewID is a random UUID.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Err names all that is wrong with the variables read so far.
func (e *Environment) Err() error { return errors.Join(e.errs...) }

// MustBeRight ends the process if a variable was wrong. Lambda then reports
// the function's start as failed, and the log says why.
func (e *Environment) MustBeRight(log *slog.Logger) {
	if err := e.Err(); err != nil {
		log.Error("the function's environment is wrong: compare it with template.yaml", "Cause", err)
		os.Exit(1)
	}
}

// Start is how a function's process begins: with its environment, with what its
// lines and metrics go to, and with a line that tells which release it is of.
func Start() (*Environment, *telemetry.Output) {
	CollectRarely()
	env := &Environment{}
	out := env.output()
	out.Log.Info("function starts", "Version", env.version())
	return env, out
}

// version is the release of the template that deployed the function.
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
