package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"dcv-session-broker/internal/local/fleet"
)

// A state describes what an earlier start has left.
type state struct {
	Hosts, Running, Records, Open int
	Faulty                        []string // hosts with their faults
}

func (s state) empty() bool { return s.Hosts == 0 && s.Records == 0 }

// find reads it from the control API.
func find(ctx context.Context, control http.Handler) (found state, err error) {
	read := func(path string, into any) {
		text := ""
		if err == nil {
			text, err = call(ctx, control, http.MethodGet, path, "")
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), into)
		}
	}
	var (
		hosts   []fleet.Host
		records []struct{ State string }
	)
	read("/local/hosts", &hosts)
	read("/local/sessions", &records)
	for _, h := range hosts {
		found.Running += len(h.Sessions)
		if h.State == fleet.Stopped {
			h.Faults = append([]string{string(h.State)}, h.Faults...)
		}
		if len(h.Faults) > 0 {
			found.Faulty = append(found.Faulty, h.HostID+": "+strings.Join(h.Faults, ", "))
		}
	}
	for _, r := range records {
		if r.State == "DELETING" {
			found.Open++
		}
	}
	found.Hosts, found.Records = len(hosts), len(records)
	return found, err
}

// A welcome is what `make run` prints first.
type welcome struct {
	settings
	address, log string
	dir          *stateDir
	found        state
}

// printWelcome prints at most 80 columns, unless a path is longer.
func printWelcome(out io.Writer, w welcome) {
	host, number, _ := net.SplitHostPort(w.address)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, number)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(out, "  %-7s "+format+"\n", append([]any{name}, args...)...)
	}
	fmt.Fprintln(out)
	row("Page", "%s/", url)
	row("API", "%s", url)
	if w.token != "" {
		row("Token", "%s", w.token)
	}
	row("Table", "%s", w.table())
	row("Hosts", "%s", w.hosts())
	row("Log", "%s", w.logged())
	fmt.Fprintf(out, `
In another terminal:

  export DCVBROKER_URL=%s
  build/dcvbroker get
  build/dcvbroker delete SessionId123 --wait
  build/dcvbroker explain SessionId123
  build/dcvbroker stuck
  build/dcvbroker --help

internal/local/README.md, "What to try", has more. Ctrl-C ends the system.

`, url)
}

func (w welcome) table() string {
	switch {
	case w.dynamoDB == "":
		return "in memory"
	case w.dir.kept && w.found.Records > 0:
		return fmt.Sprintf("in DynamoDB Local at %s\n          %s found, %s open", w.dynamoDB, count(w.found.Records, "record"), count(w.found.Open, "deletion"))
	}
	return "in DynamoDB Local at " + w.dynamoDB
}

func (w welcome) hosts() string {
	switch {
	case w.found.empty():
		return "a new fleet of 3, simulated" + w.keeping()
	case w.found.Hosts == 0:
		return "none" + w.keeping()
	}
	lines := []string{
		fmt.Sprintf("%s with %s found%s", count(w.found.Hosts, "host"), count(w.found.Running, "session"), w.keeping()),
		"an inventory asks them what they run",
	}
	faulty := w.found.Faulty
	if more := len(faulty) - 2; more > 1 {
		faulty = append(faulty[:2:2], fmt.Sprintf("and %d more with faults", more))
	}
	return strings.Join(append(lines, faulty...), "\n          ")
}

func (w welcome) keeping() string {
	if w.dir.kept {
		return ", kept in " + w.dir.path
	}
	return " (STATE_DIR keeps them)"
}

func (w welcome) logged() string {
	if w.settings.log == "-" {
		return "on standard error"
	}
	return fmt.Sprintf("%s: what the functions log, from %s on", w.log, strings.ToLower(w.logLevel.String()))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}
