package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/template"
)

// documentNamed returns the document of that name in template.yaml.
func documentNamed(name string) template.Document {
	for _, d := range theTemplate().Documents() {
		if d.LogicalID == name {
			return d
		}
	}
	panic("sim: template.yaml has no document " + name)
}

// scriptOf returns the script of its Linux step.
func scriptOf(document string) string {
	for _, s := range documentNamed(document).Steps {
		if s.Platform == "Linux" {
			return s.Script
		}
	}
	panic("sim: template.yaml has no Linux step of " + document)
}

// run returns what the script prints on the host, and which sessions are left.
func (h scriptedHost) run(t *rapid.T, temp string, in *ssm.SendCommandInput) (lines, left []string) {
	dir, err := os.MkdirTemp(temp, "host")
	must(t, err)
	defer func() { _ = os.RemoveAll(dir) }()
	h.install(t, dir)
	command := h.command(t.Context(), t, dir, in)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("the script: %v\n%s", err, &stderr)
	}
	return linesOf(stdout.String()), h.remaining(t, dir)
}

// command prepares the script to run on the host in the directory, as the agent runs it.
func (scriptedHost) command(ctx context.Context, t rapid.TB, dir string, in *ssm.SendCommandInput) *exec.Cmd {
	file := filepath.Join(dir, "_script.sh")
	write(t, file, scriptOf(aws.ToString(in.DocumentName)), 0o600)
	command := exec.CommandContext(ctx, "sh", file)
	command.Dir = dir
	command.Env = []string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "DCV_STATE=" + filepath.Join(dir, "dcv"), "AWS_SSM_INSTANCE_ID=" + scriptedID, "DCV_BROKER_NOTICES=" + filepath.Join(dir, "notices"),
	}
	document := documentNamed(aws.ToString(in.DocumentName))
	values, err := document.Values(in.Parameters)
	must(t, err)
	for name, value := range values {
		command.Env = append(command.Env, "SSM_"+name+"="+value)
	}
	return command
}

// install makes the host in a directory: its sessions, its clock, which stands still, and
// its dcv. A dcv that hangs exits here with the status that `timeout` gives; the tests of
// runcommand/documents really wait for it.
func (h scriptedHost) install(t rapid.TB, dir string) {
	must(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o700))
	must(t, os.MkdirAll(filepath.Join(dir, "dcv"), 0o700))
	must(t, os.MkdirAll(filepath.Join(dir, "notices"), 0o700))
	for _, s := range h.Sessions {
		file := filepath.Join(dir, "dcv", hex.EncodeToString([]byte(s.Name)))
		write(t, file+".json", described(s, h.created(s), h.left(s)), 0o600)
		if s.Connections > 0 {
			used := ""
			if s.Away >= 0 {
				used = printed(h.ago(s.Away), 6)
			}
			connections := slices.Repeat([]string{`{"id":1,"last-interaction-time":"` + used + `"}`}, s.Connections)
			write(t, file+".connections", "["+strings.Join(connections, ",")+"]\n", 0o600)
		}
		if s.Tried >= 0 {
			created, err := time.Parse(time.RFC3339Nano, h.created(s))
			must(t, err)
			line := fmt.Sprintf("%d - 0 0 0 0 0 %d %d\n", h.ago(s.Tried).UnixMicro(), created.UnixMicro(), h.now().Add(s.Until).Unix())
			write(t, filepath.Join(dir, "notices", fmt.Sprintf("%x.idle", sha256.Sum256([]byte(s.Name)))), line, 0o600)
		}
		if s.ComesBack {
			write(t, file+".next", described(s, h.recreated(s), ""), 0o600)
		}
	}
	write(t, filepath.Join(dir, "dcv", "none"), h.None.JSON, 0o600)
	write(t, filepath.Join(dir, "dcv", "none-text"), h.None.Text, 0o600)
	standIn, err := filepath.Abs("../local/fleet/dcv.sh")
	must(t, err)
	stubborn := ":"
	if h.DCV == dcvStubborn {
		stubborn = "exit 0"
	}
	shim(t, dir, "date", fmt.Sprint("echo ", h.now().Unix()))
	shim(t, dir, "sleep", "exit 0")
	shim(t, dir, "id", `[ $# = 1 ] || exit 1; exec /usr/bin/id "$@"`)
	shim(t, dir, "dcv", fmt.Sprintf(`
case $1 in
close-session) : >"$DCV_STATE/closing"; %s ;;
list-sessions) if [ -e "$DCV_STATE/closing" ]; then %s; else %s; fi ;;
esac
. %s`, stubborn, listSessionsCode(h.Then), listSessionsCode(h.DCV), standIn))
}

// listSessionsCode is the shell code of list-sessions for a dcv in that state.
func listSessionsCode(s dcvState) string {
	switch s {
	case dcvBroken:
		return "echo dcv is broken >&2; exit 1"
	case dcvHung:
		return "exit 124"
	case dcvUnreadable:
		return "echo '" + unreadableOutput + "'; exit 0"
	case dcvMute:
		return `: >"$DCV_STATE/mute"` // the stand-in knows how
	case dcvWorks, dcvStubborn:
	}
	return ":"
}

func described(s scriptedSession, created, left string) string {
	text, err := json.Marshal(map[string]any{
		"id": s.Name, "owner": s.Owner, "name": "", "type": s.Kind, "creation-time": created, "num-of-connections": 0,
		"last-disconnection-time": left, "licenses": []any{map[string]any{"product": "dcv"}}, "x11-display": ":0",
	})
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

// remaining lists the sessions that are still on the host.
func (h scriptedHost) remaining(t rapid.TB, dir string) (left []string) {
	files, err := filepath.Glob(filepath.Join(dir, "dcv", "*.json"))
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		var s struct {
			ID      string
			Created string `json:"creation-time"`
		}
		must(t, json.Unmarshal(text, &s))
		left = append(left, s.ID+" "+s.Created)
	}
	slices.Sort(left)
	return left
}

func shim(t rapid.TB, dir, name, script string) {
	write(t, filepath.Join(dir, "bin", name), "#!/bin/sh\n"+script+"\n", 0o700)
}

func write(t rapid.TB, path, content string, mode os.FileMode) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), mode))
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
