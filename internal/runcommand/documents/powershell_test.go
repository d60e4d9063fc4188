package documents_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// notPowerShell51 must each be refused, or the check checks nothing.
var notPowerShell51 = []string{
	"if ($a) { 1", "foreach ($a on $b) { }", "[Foo]::Bar(1,)", "$x = 'it's'", "$x = @{ a = 1", "try { 1 }",
	"$a = $b ? 1 : 2", "$a = $b ?? 1", "$a ??= 1", "${a}?.Length", "${a}?.ToString()", "${a}?[0]", "a && b", "a || b", "Start-Sleep 1 &",
	"function f { clean { } }", "Get-Error", "Test-Json '{}'", "ConvertFrom-Json $a -AsHashtable", "1 | ForEach-Object -Parallel { 1 }",
	"& $a", "dcv.exe list-sessions", "$a -or $b -and $c", "$a -and $b -or $c",
	"[regex]::Replace($a, 'b', { 'c' })", // 5.1 takes it, and compiles the block at each call: a millisecond for each text
}

// Windows hosts run PowerShell 5.1; what runs the scripts here is a later one.
func TestWindowsScriptsAreForPowerShell51(t *testing.T) {
	t.Parallel()
	if !hasPowerShell(t) {
		t.Skip("there is no pwsh here; install PowerShell 7 to run this")
	}
	texts := append([]string{"$a = @(1 | ForEach-Object { $_ }); Start-Sleep 1"}, notPowerShell51...)
	names := []string{"CloseDocument", "NotifyDocument", "InventoryDocument", "IdleDocument"}
	for _, name := range names {
		d := documentOf(t, name)
		texts = append(texts, d.script(t, "windows"))
	}
	faults := powerShell51Faults(t, texts)
	for i, found := range faults {
		broken := i > 0 && i <= len(notPowerShell51)
		if broken != (len(found) > 0) {
			t.Errorf("found %q in %.200s", found, texts[i])
		}
	}
}

func powerShell51Faults(t *testing.T, texts []string) [][]string {
	t.Helper()
	var in strings.Builder
	encoder := json.NewEncoder(&in)
	for _, text := range texts {
		if err := encoder.Encode(text); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(t.Context(), "pwsh", "-NoProfile", "-NonInteractive", "-File", "testdata/check51.ps1")
	command.Env = append(os.Environ(), powerShellSettings...)
	command.Stdin, command.Stderr = strings.NewReader(in.String()), os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for line := range strings.Lines(string(out)) {
		var faults []string
		if err := json.Unmarshal([]byte(line), &faults); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, faults)
	}
	if len(all) != len(texts) {
		t.Fatalf("%d answers for %d scripts", len(all), len(texts))
	}
	return all
}
