package main

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"dcv-session-broker/internal/template"
)

const root = "../../../../"

// Whoever changes a script runs make documents: hosts get what the template has.
func TestTemplateHasTheScriptsOfTheSources(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(root + templateFile)
	if err != nil {
		t.Fatal(err)
	}
	sources := os.DirFS(root + sourcesDir)
	written, err := write(string(text), sources)
	if err != nil {
		t.Fatal(err)
	}
	if written != string(text) {
		t.Error("template.yaml has other scripts than internal/runcommand/documents; run make documents")
	}
	for _, pattern := range []string{"*.sh", "*.ps1"} {
		scripts, err := fs.Glob(sources, pattern)
		if err != nil || len(scripts) != 4 {
			t.Errorf("%s: %q, %v", pattern, scripts, err)
		}
		for _, script := range scripts {
			if n := strings.Count(written, "# "+script+`, written by "make documents":`); n != 1 {
				t.Errorf("%s stands %d times in template.yaml", script, n)
			}
		}
	}
}

// A document and its parameters, pasted in by old agents, must fit into what Systems Manager takes, with room for changes.
func TestDocumentsHaveRoom(t *testing.T) {
	t.Parallel()
	tmpl, err := template.Load(root+templateFile, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tmpl.Documents() {
		left := room(d)
		t.Logf("%s: %d bytes of text, %d left", d.LogicalID, d.Size, left)
		if left < 2500 {
			t.Errorf("%s: %d bytes are left with its parameters pasted in; at least 2,500", d.LogicalID, left)
		}
	}
}

func TestCompactingTakesCommentsBlankLinesAndIndentation(t *testing.T) {
	t.Parallel()
	sources := fstest.MapFS{
		"a.sh": {Data: []byte("#!/bin/sh\n# What it's for.\n\nif [ \"$a\" = '#' ]; then\n  b='c'\nfi\n" +
			"LC_ALL=C awk -v a=\"$b\" '\n#include shared/a.awk\nBEGIN {\n  # Its end.\n  f(/#\"/)\n}'\nexit 0\n")},
		"shared/a.awk": {Data: []byte("# It's shared.\nfunction f(a) {\n  print a\n}\n")},
		"a.ps1":        {Data: []byte("# What it's for.\n$a = 'it''s #1'\n\nif ($a) {\n  # Why.\n  \"$(f 'x') `\" #\"\n}\n")},
	}
	for name, want := range map[string]string{
		"a.sh": "#!/bin/sh\nif [ \"$a\" = '#' ]; then\nb='c'\nfi\nLC_ALL=C awk -v a=\"$b\" '\nfunction f(a) {\nprint a\n}\n" +
			"BEGIN {\nf(/#\"/)\n}'\nexit 0\n",
		"a.ps1": "$a = 'it''s #1'\nif ($a) {\n\"$(f 'x') `\" #\"\n}\n",
	} {
		if got, err := assemble(sources, name); err != nil || got != want {
			t.Errorf("%s: %v\n%s\nwanted\n%s", name, err, got, want)
		}
	}
}

// What cannot be compacted line by line is refused, and the line is named.
func TestCompactingRefusesWhatItCouldSpoil(t *testing.T) {
	t.Parallel()
	const program = "awk '\nBEGIN {\n%\n}'\n"
	for what, row := range map[string]struct{ name, text, want string }{
		"sh, here-document":        {"a.sh", "cat <<E\n  a\nE\n", "a.sh:1: begins a here-document"},
		"sh, string over lines":    {"a.sh", "a='b\n  # c'\n", "a.sh:1: ends within a string that began with '"},
		"sh, double quotes":        {"a.sh", "a=\"b\\\"\n  # c\"\n", `a.sh:1: ends within a string that began with "`},
		"sh, continued":            {"a.sh", "a \\\n  b\n", "a.sh:1: continues on the next line"},
		"sh, comment behind code":  {"a.sh", "a # it's\n", "a.sh:1: has a comment behind code"},
		"sh, tab":                  {"a.sh", "\n\ta\n", "a.sh:2: has a character that is not printable ASCII"},
		"awk, continued":           {"a.sh", strings.Replace(program, "%", "a = \"b \\\n  # c\"", 1), "a.sh:3: continues on the next line"},
		"awk, single quote":        {"a.sh", strings.Replace(program, "%", "a = \"it's\"", 1), "a.sh:3: has a single quote, which ends the program"},
		"awk, comment behind code": {"a.sh", strings.Replace(program, "%", "a = 1 # b", 1), "a.sh:3: has a comment behind code"},
		"ps1, here-string":         {"a.ps1", "$a = @'\n  # b\n'@\n", "a.ps1:1: begins a here-string"},
		"ps1, wide here-string":    {"a.ps1", "$a = @\"\n  # b\n\"@\n", "a.ps1:1: begins a here-string"},
		"ps1, block comment":       {"a.ps1", "<# a\n b #>\n", "a.ps1:1: begins a block comment"},
		"ps1, string over lines":   {"a.ps1", "$a = 'b\n  # c'\n", "a.ps1:1: ends within a string that began with '"},
		"ps1, double quotes":       {"a.ps1", "$a = \"b`\"\n  # c\"\n", `a.ps1:1: ends within a string that began with "`},
		"ps1, continued":           {"a.ps1", "a `\n  b\n", "a.ps1:1: continues on the next line"},
		"ps1, comment behind code": {"a.ps1", "$a = 1 # it's\n", "a.ps1:1: has a comment behind code"},
		"missing source":           {"a.ps1", "#include b.ps1\n", "a.ps1:1: open b.ps1: file does not exist"},
	} {
		_, err := assemble(fstest.MapFS{row.name: {Data: []byte(row.text)}}, row.name)
		if err == nil || err.Error() != row.want {
			t.Errorf("%s: %v, wanted %s", what, err, row.want)
		}
	}
}

func TestScriptWithoutItsEndIsRefused(t *testing.T) {
	t.Parallel()
	_, err := write("  # a.sh, written by \"make documents\":\n", fstest.MapFS{"a.sh": {Data: []byte("a\n")}})
	if err == nil || err.Error() != `the template has no line "# end of a.sh"` {
		t.Errorf("%v", err)
	}
}
