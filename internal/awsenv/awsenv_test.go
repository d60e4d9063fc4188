package awsenv_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"dcv-session-broker/internal/awsenv"
)

func settings(env map[string]string) *awsenv.Environment {
	return &awsenv.Environment{Getenv: func(name string) string { return env[name] }}
}

func TestSettingsAreRead(t *testing.T) {
	s := settings(map[string]string{"TABLE": "Sessions", "MAX": "25", "LEAST": "1"})
	if table, limit, least, unset := s.Text("TABLE"), s.Count("MAX", 1000), s.Count("LEAST", 1000), s.Count("UNSET", 1000); table != "Sessions" || limit != 25 || least != 1 || unset != 1000 {
		t.Errorf("%q, %d, %d, %d", table, limit, least, unset)
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestSettingsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("TABLE", "Sessions")
	var s awsenv.Environment
	if got := s.Text("TABLE"); got != "Sessions" {
		t.Errorf("%q", got)
	}
}

func TestAllWrongSettingsAreNamedTogether(t *testing.T) {
	for _, wrong := range []string{"0", "-1", "1.5", "many", " 1", "99999999999999999999"} {
		s := settings(map[string]string{"MAX": wrong})
		s.Text("TABLE")
		s.Count("MAX", 1000)
		s.Text("DOCUMENT")
		err := s.Err()
		for _, name := range []string{"TABLE", "MAX", "DOCUMENT"} {
			if err == nil || !strings.Contains(err.Error(), name+" is ") {
				t.Errorf("MAX=%q: %v does not name %s", wrong, err, name)
			}
		}
	}
}

// The function's process ends, and its log says why. The test runs its own binary as a
// function.
func TestFunctionDoesNotStartWithWrongSettings(t *testing.T) {
	if os.Getenv("AS_A_FUNCTION") != "" {
		var s awsenv.Environment
		s.Text("SESSIONS_TABLE")
		s.MustBeRight(new(awsenv.Environment).Output().Log)
		os.Exit(0)
	}
	for table, code := range map[string]int{"": 1, "Sessions": 0} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "AS_A_FUNCTION=1", "LOG_LEVEL=error", "SESSIONS_TABLE="+table)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("SESSIONS_TABLE=%q: exit code %d, want %d", table, got, code)
		}
		if says := bytes.Contains(out, []byte("SESSIONS_TABLE is not set")); says != (code == 1) {
			t.Errorf("SESSIONS_TABLE=%q: log: %s", table, out)
		}
	}
}

func TestLogLevels(t *testing.T) {
	for level, want := range map[string]string{
		"": "info warn error", "info": "info warn error", "debug": "debug info warn error", "WARN": "warn error", "error": "error", "loud": "info warn error",
	} {
		t.Setenv("LOG_LEVEL", level)
		got := strings.Fields(stdout(t, func() {
			log := new(awsenv.Environment).Output().Log
			log.Debug("debug")
			log.Info("info")
			log.Warn("warn")
			log.Error("error")
		}))
		var levels []string
		for _, line := range got {
			if _, after, ok := strings.Cut(line, `"msg":"`); ok {
				levels = append(levels, strings.TrimSuffix(after, `"}`))
			}
		}
		if strings.Join(levels, " ") != want {
			t.Errorf("LOG_LEVEL=%q: %q, want %q", level, got, want)
		}
	}
}

// stdout returns what write writes to standard output.
func stdout(t *testing.T, write func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdout
	os.Stdout = w
	write()
	os.Stdout = before
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFunctionsAreWhatTheTemplateSays checks that the template gives each function the variable.
func TestStartTellsTheRelease(t *testing.T) {
	t.Setenv("LOG_LEVEL", "")
	t.Setenv("VERSION", "v1.2.3")
	line := stdout(t, func() { awsenv.Start() })
	if !strings.HasSuffix(line, `"level":"INFO","msg":"function starts","Version":"v1.2.3"}`+"\n") || strings.Count(line, "\n") != 1 {
		t.Errorf("line: %s", line)
	}
}

func TestLogLinesAreJSONWithALevel(t *testing.T) {
	t.Setenv("LOG_LEVEL", "")
	line := stdout(t, func() {
		new(awsenv.Environment).Output().Log.LogAttrs(t.Context(), slog.LevelWarn, "hello", slog.String("RequestId", "r1"))
	})
	if !strings.Contains(line, `"level":"WARN","msg":"hello","RequestId":"r1"}`) || strings.Count(line, "\n") != 1 {
		t.Errorf("line: %s", line)
	}
}
