package documents_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"
)

// resources are those of the template. CloudFormation's own tags in it do not matter.
var resources = sync.OnceValues(func() (*yaml.Node, error) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	return field(root.Content[0], "Resources"), nil
})

type document struct {
	Parameters map[string]struct {
		Type, InterpolationType, AllowedPattern string
		MaxChars                                int
	}
	MainSteps []struct {
		Name, Action string
		Precondition map[string][]string
		Inputs       struct {
			TimeoutSeconds string
			RunCommand     []string
		}
	}
}

func closeDocument(t *testing.T) (document, []byte) {
	t.Helper()
	return documentOf(t, "CloseDocument")
}

// documentOf is a document as Systems Manager gets it, and its JSON.
func documentOf(t *testing.T, name string) (document, []byte) {
	t.Helper()
	all, err := resources()
	if err != nil {
		t.Fatal(err)
	}
	var fields any
	if err := field(field(field(all, name), "Properties"), "Content").Decode(&fields); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	return d, bytes.TrimSpace(text.Bytes())
}

func field(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return &yaml.Node{}
}

// script is a step's text as the agent writes it into a file.
func script(t *testing.T, step string) string {
	t.Helper()
	d, _ := closeDocument(t)
	return d.script(t, step)
}

func (d document) script(t *testing.T, step string) string {
	t.Helper()
	for _, s := range d.MainSteps {
		if s.Name == step {
			return strings.Join(s.Inputs.RunCommand, "\n")
		}
	}
	t.Fatalf("the document has no step %s", step)
	return ""
}

func linuxScript(t *testing.T) string { return script(t, "linux") }

// The whole document with the parameter pasted in, in both steps, must be below Systems Manager's 64 KB with room to
// spare.
func TestDocumentFitsWithItsParameter(t *testing.T) {
	t.Parallel()
	d, text := closeDocument(t)
	pasted := strings.Count(string(text), "{{ sessions }}")
	if total := len(text) + pasted*d.Parameters["sessions"].MaxChars; pasted != 2 || total > 60<<10 {
		t.Errorf("%d bytes with the parameter pasted in %d times; at most %d and 2", total, pasted, 60<<10)
	}
}

func TestStepsAreForTheirPlatforms(t *testing.T) {
	t.Parallel()
	d, _ := closeDocument(t)
	if len(d.MainSteps) != 2 {
		t.Fatalf("%d steps", len(d.MainSteps))
	}
	for i, want := range []struct{ name, action, platform string }{
		{"linux", "aws:runShellScript", "Linux"},
		{"windows", "aws:runPowerShellScript", "Windows"},
	} {
		s := d.MainSteps[i]
		on := strings.Join(s.Precondition["StringEquals"], "=")
		if s.Name != want.name || s.Action != want.action || on != "platformType="+want.platform || s.Inputs.TimeoutSeconds != "60" {
			t.Errorf("step %d: %s, %s, %s, %s s", i, s.Name, s.Action, on, s.Inputs.TimeoutSeconds)
		}
	}
	if !strings.HasPrefix(linuxScript(t), "#!/bin/sh\n") {
		t.Error("the agent honours #! on the first line only")
	}
}

// Both agents: newer ones put the values into the environment, older ones paste them between quotes. Nothing else may
// look to Systems Manager like a reference to a parameter.
func TestParametersAreReadFromTheEnvironmentFirst(t *testing.T) {
	t.Parallel()
	d, _ := closeDocument(t)
	fallbacks := map[string]string{
		"linux":   `if [ -z "${SSM_NAME+x}" ]; then SSM_NAME="{{ NAME }}"; fi`,
		"windows": `$NAME = $env:SSM_NAME; if ($null -eq $NAME) { $NAME = '{{ NAME }}' }`,
	}
	for step, fallback := range fallbacks {
		text := script(t, step)
		for name, p := range d.Parameters {
			if p.Type != "String" || p.InterpolationType != "ENV_VAR" {
				t.Errorf("parameter %s: %s, %s", name, p.Type, p.InterpolationType)
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
	d, _ := closeDocument(t)
	for name, example := range map[string]string{
		"sessions":  "i-0123456789abcdef0=a@1,b%20c/d~zz;mi-0123456789abcdef0=console-i-1@0",
		"voidAfter": "1785500000",
	} {
		pattern, err := regexp.Compile(d.Parameters[name].AllowedPattern)
		if err != nil {
			t.Fatal(err)
		}
		if !pattern.MatchString(example) {
			t.Errorf("%s: %s is refused", name, example)
		}
		for _, c := range []string{`"`, "'", "`", "$", `\`, "{", "}", "\n", "\r", " ", "!", "&", "|", "<", "*", "é"} {
			if pattern.MatchString(example+c+"1") || pattern.MatchString(c+example) || pattern.MatchString(example+c) {
				t.Errorf("%s may contain %q", name, c)
			}
		}
	}
}
