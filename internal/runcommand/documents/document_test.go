package documents_test

import (
	"bytes"
	"encoding/json"
	"maps"
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
		Default                                 *string
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
		d, text := documentOf(t, name)
		total := len(text)
		for parameter, p := range d.Parameters {
			pasted := strings.Count(string(text), "{{ "+parameter+" }}")
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
	d, _ := documentOf(t, document)
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
			t.Errorf("%s, step %d: %s, %s, %s, %s s", document, i, s.Name, s.Action, on, s.Inputs.TimeoutSeconds)
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
	d, _ := documentOf(t, document)
	fallbacks := map[string]string{
		"linux":   `if [ -z "${SSM_NAME+x}" ]; then SSM_NAME="{{ NAME }}"; fi`,
		"windows": `$NAME = $env:SSM_NAME; if ($null -eq $NAME) { $NAME = '{{ NAME }}' }`,
	}
	for step, fallback := range fallbacks {
		text := d.script(t, step)
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
	for document, examples := range map[string]map[string]string{
		"CloseDocument": {
			"sessions": "i-0123456789abcdef0=a@1,b%20c/d~zz;mi-0123456789abcdef0=console-i-1@0", "voidAfter": "1785500000",
		},
		"NotifyDocument": {
			"sessions": "i-0123456789abcdef0=a@1:mrz0h4ow,b%20c/d~zz:1;mi-0123456789abcdef0=console-i-1@0:9", "text": "YQ==",
			"closeAt": "1785500000", "voidAfter": "1785500000",
		},
	} {
		d, _ := documentOf(t, document)
		if len(d.Parameters) != len(examples) {
			t.Errorf("%s has %d parameters, wanted %d", document, len(d.Parameters), len(examples))
		}
		for name, example := range examples {
			pattern, err := regexp.Compile(d.Parameters[name].AllowedPattern)
			if err != nil {
				t.Fatal(err)
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
