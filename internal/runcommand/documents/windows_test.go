package documents_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The Windows scripts run under PowerShell 7 on Linux. A host's twin is a Windows host in the same state, with the same
// stand-in for dcv; mayDiffer is how far the two may differ.

// powerShellSettings are variables for a pwsh that lives for minutes: .NET compiles again only what runs many thousand times
// (the number is hexadecimal), without first measuring it, and no thread of its own collects garbage. Otherwise its
// compiler takes more time than the scripts.
var powerShellSettings = []string{
	"DOTNET_TieredPGO=0", "DOTNET_TC_CallCountThreshold=1000", "DOTNET_gcConcurrent=0",
	"POWERSHELL_TELEMETRY_OPTOUT=1", "POWERSHELL_UPDATECHECK=Off",
}

// A powerShell is a process that runs one script after another. It starts with the first and ends with the tests.
type powerShell struct {
	sync.Mutex
	start  sync.Once
	stdin  *json.Encoder
	stdout *bufio.Reader
}

// windows runs all Windows scripts: to start a second process takes more than to wait for the one.
var windows powerShell

// hasPowerShell says whether Windows scripts are run here. .ci/go/test tells of it where they are not.
func hasPowerShell(t *testing.T) bool {
	t.Helper()
	_, err := exec.LookPath("pwsh")
	if err != nil && os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal("there is no pwsh here; install PowerShell 7")
	}
	return err == nil
}

// windowsScripts are files, one for each text: PowerShell compiles a text once if it is always in the same file.
var windowsScripts = &scripts{files: map[string]string{}}

type scripts struct {
	sync.Mutex
	dir   string
	files map[string]string
}

func (s *scripts) file(t *testing.T, text string) string {
	t.Helper()
	s.Lock()
	defer s.Unlock()
	if file, there := s.files[text]; there {
		return file
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "windows-scripts-") //nolint:usetesting // it outlives the test
		if err != nil {
			t.Fatal(err)
		}
		s.dir = dir
	}
	file := filepath.Join(s.dir, strconv.Itoa(len(s.files))+".ps1")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.files[text] = file
	return file
}

type windowsCase struct {
	Script string            `json:"script"`
	Dir    string            `json:"dir"`
	Env    map[string]string `json:"env"`
}

// run gives what a script printed.
func (p *powerShell) run(t *testing.T, c windowsCase) (out, err string) {
	t.Helper()
	p.Lock()
	defer p.Unlock()
	p.start.Do(func() {
		command := exec.Command("pwsh", "-NoProfile", "-NonInteractive", "-File", "testdata/windows.ps1")
		command.Env = append(os.Environ(), powerShellSettings...)
		command.Stderr = os.Stderr
		stdin, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		p.stdin, p.stdout = json.NewEncoder(stdin), bufio.NewReader(stdout)
	})
	if p.stdin == nil {
		t.Fatal("pwsh did not start")
	}
	if err := p.stdin.Encode(c); err != nil {
		t.Fatal(err)
	}
	line, readErr := p.stdout.ReadBytes('\n')
	if readErr != nil {
		t.Fatalf("pwsh: %v", readErr)
	}
	var said struct{ Out, Err string }
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatalf("pwsh: %v: %s", err, line)
	}
	return said.Out, said.Err
}

// runWindows runs a Windows script on this host: it finds dcv.exe on the PATH, where its program is not.
func (h *host) runWindows(text string, env []string) string {
	h.t.Helper()
	variables := map[string]string{"PATH": h.bin + ":" + os.Getenv("PATH"), "DCV_STATE": h.state}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		variables[name] = value
	}
	// Windows knows no locale of this kind: dcv.exe prints UTF-8.
	call := `LC_ALL=C.UTF-8 exec dcv "$@"`
	if h.hasClock {
		// As the Linux script looks at its clock: when it begins, and after each call.
		variables["TEST_CLOCK"], variables["TEST_STEP"] = filepath.Join(h.bin, "clock"), strconv.Itoa(h.clockStep)
		text = strings.ReplaceAll(text, `[DateTime]::UtcNow`, `(Clock)`)
		text = strings.ReplaceAll(text, `[Diagnostics.Stopwatch]::StartNew()`, `(Watch)`)
		h.tick()
		if h.clockStep > 0 {
			call = `LC_ALL=C.UTF-8 dcv "$@"; r=$?; date >/dev/null; exit $r`
		}
	}
	// A call has minutes, since this machine may be busy; or until it hangs: shortTimeout.
	if h.quickTimeout {
		variables["TEST_HANGS"] = filepath.Join(h.bin, "hangs")
		text = strings.ReplaceAll(text, `$process.WaitForExit(7000)`, `(Ended $process)`)
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, `WaitForExit(7000)`, `WaitForExit(300000)`), `.Wait(500)`, `.Wait(60000)`)
	if exists(h.t, filepath.Join(h.bin, "dcv")) {
		h.shim("dcv.exe", call)
	} else if err := os.RemoveAll(filepath.Join(h.bin, "dcv.exe")); err != nil {
		h.t.Fatal(err)
	}
	file := windowsScripts.file(h.t, text)
	stdout, stderr := windows.run(h.t, windowsCase{Script: file, Dir: h.dir, Env: variables})
	if stderr != "" {
		h.t.Errorf("the Windows script: %s", stderr)
	}
	return stdout
}

func (h *host) tick() {
	file := filepath.Join(h.bin, "clock")
	now, err := strconv.Atoi(strings.TrimSpace(read(h.t, file)))
	if err != nil {
		h.t.Fatal(err)
	}
	h.write(file, strconv.Itoa(now+h.clockStep)+"\n", 0o600)
}
