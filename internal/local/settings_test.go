package main

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// setting sets these variables, and unsets the others that the program reads.
func setting(t *testing.T, variables map[string]string) {
	t.Helper()
	for _, name := range []string{
		"PORT", "BIND", "SSM_PORT", "EC2_PORT", "DYNAMODB_PORT", "STORE", "AWS_ENDPOINT_URL_DYNAMODB", "STATE_DIR", "LOG", "LOG_LEVEL", "COLUMNS", "TOKEN",
		"GIVE_UP_AFTER", "SILENT_AFTER", "CLOSE_IDLE_AFTER", "STOP_EMPTY_AFTER", "FORCE_MODE", "DELETIONS_EVERY", "INVENTORY_EVERY", "IDLE_EVERY",
	} {
		t.Setenv(name, variables[name])
	}
}

func TestSettingsHaveDefaults(t *testing.T) {
	setting(t, nil)
	s, err := readSettings()
	if err != nil {
		t.Fatal(err)
	}
	if s.port != "8080" || s.bind != "127.0.0.1" || s.ssmPort != "" || s.ec2Port != "" || s.dynamoDBPort != 0 || s.store != "memory" ||
		s.dynamoDB != "" || s.stateDir != "" || s.token != "" || s.log != "" || s.logLevel != slog.LevelInfo || s.columns != 0 || s.giveUpAfter != 0 || s.silentAfter != 0 || len(s.parameters()) != 0 || len(s.every) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestSettingsAreRead(t *testing.T) {
	setting(t, map[string]string{
		"PORT": "0", "BIND": "0.0.0.0", "SSM_PORT": "9001", "EC2_PORT": "9002", "DYNAMODB_PORT": "9003",
		"STORE": "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000", "STATE_DIR": "/somewhere", "LOG": "some.log", "LOG_LEVEL": "debug", "COLUMNS": "80", "TOKEN": "s3cret-._~+/==",
		"GIVE_UP_AFTER": "90s", "SILENT_AFTER": "40s", "CLOSE_IDLE_AFTER": "2h", "STOP_EMPTY_AFTER": "5m", "FORCE_MODE": "best-effort", "DELETIONS_EVERY": "10s", "INVENTORY_EVERY": "5m", "IDLE_EVERY": "1h",
	})
	s, err := readSettings()
	if err != nil {
		t.Fatal(err)
	}
	if s.port != "0" || s.bind != "0.0.0.0" || s.ssmPort != "9001" || s.ec2Port != "9002" || s.dynamoDBPort != 9003 || s.store != "dynamodb" ||
		s.dynamoDB != "http://127.0.0.1:8000" || s.stateDir != "/somewhere" || s.log != "some.log" || s.logLevel != slog.LevelDebug || s.width() != 80 || s.token != "s3cret-._~+/==" || s.giveUpAfter != 90*time.Second || s.silentAfter != 40*time.Second ||
		!maps.Equal(s.parameters(), map[string]string{"ForceMode": "best-effort", "CloseIdleAfterMinutes": "120", "StopEmptyHosts": "true", "StopEmptyAfterMinutes": "5"}) {
		t.Errorf("%+v", s)
	}
	if want := map[string]time.Duration{"deletions": 10 * time.Second, "inventory": 5 * time.Minute, "idle": time.Hour}; !maps.Equal(s.every, want) {
		t.Errorf("%v, not %v", s.every, want)
	}
}

func TestAllWrongSettingsAreNamedInOneError(t *testing.T) {
	wrong := map[string]string{
		"STORE": "postgres", "LOG_LEVEL": "loud", "COLUMNS": "wide",
		"PORT": "http", "SSM_PORT": "65536", "EC2_PORT": "-1", "DYNAMODB_PORT": "8000/tcp",
		"GIVE_UP_AFTER": "soon", "SILENT_AFTER": "-1m", "CLOSE_IDLE_AFTER": "90s", "STOP_EMPTY_AFTER": "4m", "FORCE_MODE": "hard", "DELETIONS_EVERY": "60", "INVENTORY_EVERY": "0s", "IDLE_EVERY": "-5m",
	}
	setting(t, wrong)
	_, err := readSettings()
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for name, value := range wrong {
		if !strings.Contains("\n"+err.Error(), "\n"+name+` is "`+value+`"; it `) {
			t.Errorf("%s is missing in:\n%v", name, err)
		}
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != len(wrong) {
		t.Errorf("%d lines for %d wrong settings:\n%v", len(lines), len(wrong), err)
	}
}

// The message does not contain the token: it may be a real one.
func TestTokenThatNoClientCanSendIsRefused(t *testing.T) {
	for _, token := range []string{"s3cret\n", "s3cret ", "two words", "\u00fc", "=", "a=b", "\"s3cret\""} {
		setting(t, map[string]string{"TOKEN": token})
		_, err := readSettings()
		if err == nil || !strings.Contains(err.Error(), "TOKEN cannot be sent") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestSimulatedHostsAreKeptOnlyInAStateDir(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, stateDir := range []string{"", filepath.Join(t.TempDir(), "new")} {
		dir, err := settings{stateDir: stateDir}.openStateDir()
		if err != nil {
			t.Fatal(err)
		}
		if stateDir != "" && dir.path != stateDir || (dir.tables() == "") != (stateDir == "") {
			t.Errorf("the hosts are in %s, tables in %q", dir.path, dir.tables())
		}
		dir.close()
		if _, err := os.Stat(dir.path); (err == nil) != (stateDir != "") {
			t.Errorf("STATE_DIR is %q: afterwards %v", stateDir, err)
		}
	}
}
