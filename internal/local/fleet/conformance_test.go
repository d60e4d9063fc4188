package fleet_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/rapidtest"
	"dcv-session-broker/internal/runcommand/ssmtest"
	"dcv-session-broker/internal/template"
)

func TestTheFleetConforms(t *testing.T) {
	rapidtest.FewerChecks(t, "20") // its commands take real time
	ssmtest.Run(t, func(t *testing.T, test func(*testing.T, ssmtest.Factory)) { test(t, newConforming) })
}

// conforming is a fleet whose clock can be set forward.
type conforming struct {
	*fleet.Fleet
	t     *testing.T
	dir   string
	ahead atomic.Int64

	mu     sync.Mutex
	events []json.RawMessage
}

func newConforming(t *testing.T, opts ssmtest.Options) ssmtest.System {
	c, began := &conforming{t: t, dir: t.TempDir()}, time.Now()
	print := fmt.Sprintf("echo >>%[1]s/runs; cat %[1]s/stdout; cat %[1]s/stderr >&2; read -r code <%[1]s/exit; ", c.dir)
	linux := template.Step{
		Name: "linux", Action: template.RunShellScript, Platform: "Linux", Timeout: time.Minute, Script: print + "exit $code\n",
	}
	windows := template.Step{
		Name: "windows", Action: template.RunPowerShellScript, Platform: "Windows", Timeout: time.Minute, Script: "exit 0\n",
	}
	hanging := linux
	hanging.Script, hanging.Timeout = print+"sleep 3600\n", cmp.Or(opts.HangsFor, 2*time.Second)
	var err error
	c.Fleet, err = fleet.New(fleet.Options{
		Dir: filepath.Join(c.dir, "fleet"), FleetTagValue: ssmtest.FleetTag, InvocationDelay: opts.InvocationDelay,
		SendsPerSecond: opts.SendsPerSecond, ReadsPerSecond: opts.ReadsPerSecond, Parallel: 20,
		Documents: []template.Document{
			{LogicalID: ssmtest.Both, Steps: []template.Step{linux, windows}},
			{LogicalID: ssmtest.OneStep, Steps: []template.Step{linux}},
			{LogicalID: ssmtest.Asking, Steps: []template.Step{linux}, Parameters: ssmtest.Asked()},
			{LogicalID: ssmtest.Hanging, Steps: []template.Step{hanging}},
		},
		Now: func() time.Time { return began.Add(time.Duration(c.ahead.Load())) }, // only Pass moves it
		Emit: func(event json.RawMessage) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.events = append(c.events, event)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	c.Prints("", "", 0)
	return c
}

func (c *conforming) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *conforming) AddHost(id string) {
	_, err := c.StartSession(id, fleet.Session{ID: "session", Owner: "user"})
	c.must(err)
}

func (c *conforming) Change(id string, what ssmtest.Change) {
	c.must(map[ssmtest.Change]func(string) error{
		ssmtest.Stop: c.Stop, ssmtest.Hibernate: c.Hibernate, ssmtest.Terminate: c.Terminate, ssmtest.Start: c.Start,
		ssmtest.Disconnect: c.Disconnect, ssmtest.Reconnect: c.Reconnect, ssmtest.Silence: c.Silence, ssmtest.Speak: c.Speak,
		ssmtest.Untag: c.Untag, ssmtest.Tag: c.Tag,
		ssmtest.KillWorker: c.KillWorker, ssmtest.RepairAgent: c.RepairAgent,
		ssmtest.NotLinux: func(id string) error { return c.SetPlatform(id, "Windows") },
	}[what](id))
}

func (c *conforming) Prints(stdout, stderr string, exit int) {
	for name, content := range map[string]string{"stdout": stdout, "stderr": stderr, "exit": fmt.Sprintln(exit)} {
		c.must(os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o600))
	}
}

func (c *conforming) Runs() int {
	lines, err := os.ReadFile(filepath.Join(c.dir, "runs"))
	if !errors.Is(err, fs.ErrNotExist) {
		c.must(err)
	}
	return len(lines)
}

func (c *conforming) Await(condition func() bool) bool {
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return condition()
}

func (c *conforming) Pass(d time.Duration) {
	c.ahead.Add(int64(d))
	c.ClockSet()
}

func (c *conforming) Events() []json.RawMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]json.RawMessage(nil), c.events...)
}
