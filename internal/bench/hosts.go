package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dcv-session-broker/internal/template"
)

// hostPrograms are the programs that run the documents' scripts: the awks of Amazon Linux, RHEL and Ubuntu and a third one,
// with sh, and PowerShell. Programs that are not installed are left out.
var hostPrograms = []struct{ name, program string }{
	{"mawk", "mawk"}, {"gawk", "gawk"}, {"busybox awk", "busybox"}, {powerShell, "pwsh"},
}

const (
	powerShell = "PowerShell 7"

	hostRounds = 3
)

// A hostCommand is a document with parameters, for a host that has so many sessions.
type hostCommand struct {
	name       string
	document   string // "": an empty script
	parameters func(sessions int) map[string]string
	// connected is how many clients each session has.
	connected int
	counts    []int
	closes    bool
}

var hostCommands = []hostCommand{
	{name: "an empty script", counts: []int{0}},
	{name: "inventory", document: "InventoryDocument", counts: []int{1, 50, 500}},
	{name: "close one session", document: "CloseDocument", closes: true, counts: []int{1, 50, 500}, parameters: func(int) map[string]string {
		return map[string]string{"sessions": benchHostID + "=" + asked(0), "voidAfter": "99999999999"}
	}},
	{name: "close all others", document: "CloseDocument", closes: true, counts: []int{51}, parameters: func(n int) map[string]string {
		all := make([]string, n-1)
		for i := range all {
			all[i] = asked(i)
		}
		return map[string]string{"sessions": benchHostID + "=" + strings.Join(all, ","), "voidAfter": "99999999999"}
	}},
	{name: "idle, nobody connected", document: "IdleDocument", counts: []int{1, 50, 500}, parameters: idleAfter("240")},
	{name: "idle, all connected", document: "IdleDocument", counts: []int{1, 50}, parameters: idleAfter("90"), connected: 1},
	{name: "notify one session, nobody connected", document: "NotifyDocument", counts: []int{1, 50, 500}, parameters: func(int) map[string]string {
		in := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
		return map[string]string{
			"sessions": benchHostID + "=" + asked(0) + ":1", "text": base64.StdEncoding.EncodeToString([]byte("Save your work.")),
			"closeAt": in(10 * time.Minute), "voidAfter": in(2 * time.Minute),
		}
	}},
}

// idleAfter returns an idle limit. Sessions are 80 minutes old: with a limit of 90 the script asks when a connected
// session was last used.
func idleAfter(minutes string) func(int) map[string]string {
	return func(int) map[string]string {
		return map[string]string{"idleMinutes": minutes, "warnSeconds": "0", "message": ""}
	}
}

// benchHostID is the host's own.
const benchHostID = "i-0123456789abcdef0"

// randomID is the ID of the n-th session, and asked how a command names it: created at any time.
func randomID(n int) string {
	r := rand.New(rand.NewPCG(uint64(n), 1))
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

func asked(n int) string { return randomID(n) + "~zzzzzzzzzz" }

// A benchHost is a folder with one awk and a stand-in for dcv.
type benchHost struct{ dir, bin, state string }

// standInDcv prints files: the whole list, or the file that is named after the arguments. A close removes one from
// the list. It does as little as possible, since the script is measured.
const standInDcv = `#!/bin/sh
[ -z "$CALLS" ] || echo "$*" >>"$CALLS"
case $1 in
list-sessions) exec cat "$DCV_STATE"/list/* ;;
close-session) exec rm "$DCV_STATE/list/s$2" ;;
esac
exec cat "$DCV_STATE/$1/$2"
`

// newBenchHost makes a host on which awk is this program.
func newBenchHost(dir, program string) (*benchHost, error) {
	h := &benchHost{dir: dir, bin: filepath.Join(dir, "bin"), state: filepath.Join(dir, "state")}
	if err := os.Mkdir(h.bin, 0o700); err != nil {
		return nil, err
	}
	for _, name := range []string{"dcv", "dcv.exe"} {
		if err := os.WriteFile(filepath.Join(h.bin, name), []byte(standInDcv), 0o700); err != nil {
			return nil, err
		}
	}
	return h, os.Symlink(program, filepath.Join(h.bin, "awk"))
}

// fill gives the host its sessions.
func (h *benchHost) fill(sessions, connected int) error {
	created := time.Now().Add(-80 * time.Minute).UTC().Format("2006-01-02T15:04:05.000000Z")
	files := map[string]string{"list/a": "[\n", "list/z": "]\n"}
	for n := range sessions {
		id := randomID(n)
		object := fmt.Sprintf(`{
    "id" : %q,
    "owner" : "user%d",
    "name" : "Desktop %d",
    "type" : "virtual",
    "num-of-connections" : %d,
    "creation-time" : %q,
    "last-disconnection-time" : "",
    "licenses" : [ { "product" : "dcv", "status" : "LICENSED" } ],
    "x11-display" : ":%d",
    "x11-authority" : "/run/user/%d/dcv/%s.xauth"
}`, id, n, n, connected, created, n, n, id)
		switch {
		case sessions == 1:
			files["list/s"+id] = object
		case n == sessions-1: // stays, so that the list is not empty after a close
			files["list/a"] += object
		default:
			files["list/s"+id] = ",\n" + object
		}
		if n == 0 {
			files["list-connections/"+id] = "[]\n"
		}
		if connected > 0 {
			files["list-connections/"+id] = fmt.Sprintf("[\n    {\n        \"id\" : 1,\n        \"username\" : \"user%d\",\n        \"connection-time\" : %q,\n        \"last-interaction-time\" : %q\n    }\n]\n",
				n, created, time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"))
		}
	}
	if err := os.RemoveAll(h.state); err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(h.state, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return os.RemoveAll(filepath.Join(h.dir, "notices"))
}

// script is a document's script, in a file, and the command that runs it.
func (h *benchHost) script(d template.Document, program string) (command []string, err error) {
	platform, name, shell := "Linux", "_script.sh", []string{"sh"}
	if program == powerShell {
		platform, name, shell = "Windows", "_script.ps1", []string{"pwsh", "-NoProfile", "-NonInteractive", "-File"}
	}
	if d.LogicalID == "" {
		d.Steps = []template.Step{{Platform: platform, Script: "exit 0\n"}}
	}
	for _, s := range d.Steps {
		if s.Platform == platform {
			path := filepath.Join(h.dir, name)
			return append(shell, path), os.WriteFile(path, []byte(s.Script), 0o600)
		}
	}
	return nil, fmt.Errorf("%s has no step for %s", d.LogicalID, platform)
}

// A hostRun is one run of a script: the processor time of it and of its children, its output, and its calls of dcv.
type hostRun struct {
	taken  time.Duration
	output string
	calls  []string
}

// run runs a script, or a call of dcv; with log it returns the calls of dcv.
func (h *benchHost) run(ctx context.Context, command []string, parameters map[string]string, log bool) (run hostRun, err error) {
	c := h.command(ctx, command, parameters)
	calls := filepath.Join(h.dir, "calls")
	if log {
		c.Env = append(c.Env, "CALLS="+calls)
	}
	var out, problems bytes.Buffer
	c.Stdout, c.Stderr = &out, &problems
	err = c.Run()
	if err == nil && problems.Len() > 0 {
		err = errors.New("it wrote to standard error")
	}
	if err != nil {
		return run, fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, &problems)
	}
	run.taken, run.output = c.ProcessState.UserTime()+c.ProcessState.SystemTime(), out.String()
	if !log {
		return run, nil
	}
	text, err := os.ReadFile(calls)
	if os.IsNotExist(err) {
		return run, nil
	}
	if err != nil {
		return run, err
	}
	run.calls = strings.Split(strings.TrimSpace(string(text)), "\n")
	return run, os.Remove(calls)
}

func (h *benchHost) command(ctx context.Context, command []string, parameters map[string]string) *exec.Cmd {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Dir = h.dir
	c.Env = []string{
		"PATH=" + h.bin + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "DCV_STATE=" + h.state, "AWS_SSM_INSTANCE_ID=" + benchHostID,
		"DCV_BROKER_NOTICES=" + filepath.Join(h.dir, "notices"),
	}
	for name, value := range parameters {
		c.Env = append(c.Env, "SSM_"+name+"="+value)
	}
	return c
}

// processes counts the processes of a script, itself included: in its own namespace process IDs are consecutive.
func (h *benchHost) processes(ctx context.Context, command []string, parameters map[string]string) (int, error) {
	const last = `"$@" >/dev/null; exec cat /proc/sys/kernel/ns_last_pid`
	c := h.command(ctx, append([]string{"sh", "-c", last, "sh"}, command...), parameters)
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.Output()
	if err != nil {
		return 0, fmt.Errorf("count the processes of a script in a namespace of its own: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	return n - 1, err // without the shell that counts
}

// A hostCase is one row of the table.
type hostCase struct {
	hostCommand
	sessions int

	taken     map[string][]time.Duration // by program
	standIn   map[string]time.Duration   // of the calls of dcv alone
	processes int
	output    string // of Linux
}

// measureHosts measures the processor time of the scripts that hosts run, with a stand-in for dcv whose own time is taken out.
func measureHosts(ctx context.Context, r *report, quick, keep bool) error {
	if quick && keep {
		return errors.New("QUICK=1 measures too little to be kept")
	}
	tmpl, err := template.Load(templateFile, nil)
	if err != nil {
		return err
	}
	documents := map[string]template.Document{}
	for _, d := range tmpl.Documents() {
		documents[d.LogicalID] = d
	}
	var cases []*hostCase
	for _, c := range hostCommands {
		for _, n := range c.counts {
			cases = append(cases, &hostCase{hostCommand: c, sessions: n, taken: map[string][]time.Duration{}, standIn: map[string]time.Duration{}})
		}
	}
	var programs []string
	for _, p := range hostPrograms {
		progress("scripts of hosts with %s", p.name)
		path, err := exec.LookPath(p.program)
		if err != nil {
			progress("%s is left out: it is not installed", p.name)
			continue
		}
		programs = append(programs, p.name)
		if err := measureOn(ctx, p.name, path, cases, documents, quick); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if keep && len(programs) < len(hostPrograms) {
		return errors.New("KEEP=1 needs mawk, gawk, busybox and pwsh")
	}
	return reportHosts(r, programs, cases, keep)
}

func measureOn(ctx context.Context, name, path string, cases []*hostCase, documents map[string]template.Document, quick bool) error {
	dir, err := os.MkdirTemp("", "bench-host-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left lies in the folder for such files
	h, err := newBenchHost(dir, path)
	if err != nil {
		return err
	}
	rounds := hostRounds
	if quick {
		rounds = 1
	}
	for _, c := range cases {
		if name == powerShell && c.sessions > 1 && c.document != "InventoryDocument" {
			continue // a Windows host has one session, that of its console
		}
		if err := c.measure(ctx, h, name, documents[c.document], rounds); err != nil {
			return fmt.Errorf("%s, %d sessions: %w", c.name, c.sessions, err)
		}
	}
	return nil
}

func (c *hostCase) measure(ctx context.Context, h *benchHost, name string, d template.Document, rounds int) error {
	command, err := h.script(d, name)
	if err != nil {
		return err
	}
	parameters := map[string]string{}
	if c.parameters != nil {
		parameters = c.parameters(c.sessions)
	}
	// The first run shows its calls of dcv. These are repeated without the script, to measure their time.
	if err := h.fill(c.sessions, c.connected); err != nil {
		return err
	}
	first, err := h.run(ctx, command, parameters, true)
	if err != nil {
		return err
	}
	if strings.Contains(first.output, `"failed"`) {
		return fmt.Errorf("it said %.300q", first.output)
	}
	if name != powerShell {
		c.output = first.output
	}
	again := func() error {
		if c.closes {
			return h.fill(c.sessions, c.connected)
		}
		return os.RemoveAll(filepath.Join(h.dir, "notices"))
	}
	if err := again(); err != nil {
		return err
	}
	for _, call := range first.calls {
		run, err := h.run(ctx, append([]string{filepath.Join(h.bin, "dcv")}, strings.Fields(call)...), nil, false)
		if err != nil {
			return err
		}
		c.standIn[name] += run.taken
	}
	if name == hostPrograms[0].name {
		if err := again(); err != nil {
			return err
		}
		if c.processes, err = h.processes(ctx, command, parameters); err != nil {
			return err
		}
	}
	for range rounds {
		if err := again(); err != nil {
			return err
		}
		run, err := h.run(ctx, command, parameters, false)
		if err != nil {
			return err
		}
		c.taken[name] = append(c.taken[name], run.taken-c.standIn[name])
	}
	return nil
}

func reportHosts(r *report, programs []string, cases []*hostCase, keep bool) error {
	head := append([]string{"command", "sessions"}, programs...)
	head = append(head, "processes", "characters")
	of := func(name string, sessions int, program string) time.Duration {
		for _, c := range cases {
			if c.name == name && c.sessions == sessions && len(c.taken[program]) > 0 {
				return median(c.taken[program])
			}
		}
		return 0
	}
	var rows [][]string
	for _, c := range cases {
		row := []string{c.name, strconv.Itoa(c.sessions)}
		for _, p := range programs {
			cell := ""
			if taken := c.taken[p]; len(taken) > 0 {
				cell = ms(median(taken))
				if base := of(c.name, c.counts[0], p); c.sessions > c.counts[0] && base > 0 {
					cell += " (" + times(float64(median(taken))/float64(base)) + ")"
				}
			}
			row = append(row, cell)
		}
		row = append(row, strconv.Itoa(c.processes), strconv.Itoa(len(c.output)))
		rows = append(rows, row)
	}
	r.say("\n### On the hosts\n\n%s", table(head, rows))
	if keep {
		return writeSection("internal/bench/FIGURES.md", "make bench-hosts", table(head, rows))
	}
	return nil
}
