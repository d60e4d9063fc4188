package documents_test

import (
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"dcv-session-broker/internal/template"
)

// loaded is the template, with its defaults.
var loaded = sync.OnceValues(func() (*template.Template, error) { return template.Load("../../../template.yaml", nil) })

// A document is what Systems Manager gets.
type document struct{ template.Document }

func documentOf(t *testing.T, name string) document {
	t.Helper()
	tmpl, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range tmpl.Documents() {
		if d.LogicalID == name {
			return document{d}
		}
	}
	t.Fatalf("the template has no document %s", name)
	return document{}
}

// script is a step's text as the agent writes it into a file.
func (d document) script(t *testing.T, step string) string {
	t.Helper()
	for _, s := range d.Steps {
		if s.Name == step {
			return s.Script
		}
	}
	t.Fatalf("the document has no step %s", step)
	return ""
}

// complete adds the defaults of the parameters that are not given.
func (d document) complete(given map[string]string) map[string]string {
	all := maps.Clone(given)
	for name, p := range d.Parameters {
		if _, isGiven := given[name]; !isGiven && p.Default != nil {
			all[name] = *p.Default
		}
	}
	return all
}

// The documents that name sessions.
var sessionDocuments = []string{"CloseDocument", "NotifyDocument"}

// The whole document with its parameters pasted in, in both steps, must be below Systems Manager's 64 KB with room to
// spare.
func TestDocumentFitsWithItsParameters(t *testing.T) {
	t.Parallel()
	for _, name := range sessionDocuments {
		d := documentOf(t, name)
		total := d.Size
		for parameter, p := range d.Parameters {
			pasted := strings.Count(d.Content, "{{ "+parameter+" }}")
			if pasted != 2 {
				t.Errorf("%s: %s is pasted in %d times", name, parameter, pasted)
			}
			total += pasted * p.MaxChars
		}
		if total > 60<<10 || d.Parameters["sessions"].MaxChars < 10_000 {
			t.Errorf("%s: %d bytes with its parameters; at most %d", name, total, 60<<10)
		}
	}
}

func TestStepsAreForTheirPlatforms(t *testing.T) {
	t.Parallel()
	for _, name := range sessionDocuments {
		checkSteps(t, name)
	}
}

func checkSteps(t *testing.T, document string) {
	t.Helper()
	d := documentOf(t, document)
	if len(d.Steps) != 2 {
		t.Fatalf("%d steps", len(d.Steps))
	}
	for i, want := range []struct{ name, action, platform string }{
		{"linux", "aws:runShellScript", "Linux"},
		{"windows", "aws:runPowerShellScript", "Windows"},
	} {
		s := d.Steps[i]
		if s.Name != want.name || s.Action != want.action || s.Platform != want.platform || s.Timeout != time.Minute {
			t.Errorf("%s, step %d: %s, %s, %s, %v", document, i, s.Name, s.Action, s.Platform, s.Timeout)
		}
	}
	if !strings.HasPrefix(d.script(t, "linux"), "#!/bin/sh\n") {
		t.Error("the agent honours #! on the first line only")
	}
}

// Both agents: newer ones put the values into the environment, older ones paste them between quotes. Nothing else may
// look to Systems Manager like a reference to a parameter.
func TestParametersAreReadFromTheEnvironmentFirst(t *testing.T) {
	t.Parallel()
	for _, name := range sessionDocuments {
		checkFallbacks(t, name)
	}
}

func checkFallbacks(t *testing.T, document string) {
	t.Helper()
	d := documentOf(t, document)
	fallbacks := map[string]string{
		"linux":   `if [ -z "${SSM_NAME+x}" ]; then SSM_NAME="{{ NAME }}"; fi`,
		"windows": `$NAME = $env:SSM_NAME; if ($null -eq $NAME) { $NAME = '{{ NAME }}' }`,
	}
	for step, fallback := range fallbacks {
		text := d.script(t, step)
		for name, p := range d.Parameters {
			if !p.EnvVar {
				t.Errorf("parameter %s is not put into the environment", name)
			}
			if wanted := strings.ReplaceAll(fallback, "NAME", name); strings.Count(text, wanted+"\n") != 1 {
				t.Errorf("step %s does not read %s by\n\t%s", step, name, wanted)
			}
		}
		if strings.Count(text, "{{") != len(d.Parameters) || strings.Count(text, "}}") != len(d.Parameters) {
			t.Errorf("step %s has braces that Systems Manager may take for a parameter", step)
		}
	}
}

// The patterns are checked by the API and once more by the agent, which is written in Go.
func TestPatternsLeaveNothingThatQuotesCannotHold(t *testing.T) {
	t.Parallel()
	for document, examples := range map[string]map[string]string{
		"CloseDocument": {
			"sessions": "i-0123456789abcdef0=a@1,b%20c/d~zz;mi-0123456789abcdef0=console-i-1@0", "voidAfter": "1785500000",
		},
		"NotifyDocument": {
			"sessions": "i-0123456789abcdef0=a@1:mrz0h4ow,b%20c/d~zz:1;mi-0123456789abcdef0=console-i-1@0:9", "text": "YQ==",
			"closeAt": "1785500000", "voidAfter": "1785500000",
		},
	} {
		d := documentOf(t, document)
		if len(d.Parameters) != len(examples) {
			t.Errorf("%s has %d parameters, wanted %d", document, len(d.Parameters), len(examples))
		}
		for name, example := range examples {
			pattern := d.Parameters[name].AllowedPattern
			if pattern == nil {
				t.Fatalf("%s, %s has no pattern", document, name)
			}
			if !pattern.MatchString(example) {
				t.Errorf("%s, %s: %s is refused", document, name, example)
			}
			for _, c := range []string{`"`, "'", "`", "$", `\`, "{", "}", "\n", "\r", " ", "!", "&", "|", "<", "*", "é"} {
				if pattern.MatchString(example+c+"1") || pattern.MatchString(c+example) || pattern.MatchString(example+c) {
					t.Errorf("%s, %s may contain %q", document, name, c)
				}
			}
		}
	}
}
