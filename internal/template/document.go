package template

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Document is a Systems Manager command document of schema 2.2.
type Document struct {
	LogicalID  string
	Parameters map[string]DocumentParameter
	Steps      []Step
	Size       int    // of its JSON, in bytes
	Content    string // the JSON itself
}

// DocumentParameter is a parameter of type String.
type DocumentParameter struct {
	Default        *string        // nil: must be given
	AllowedPattern *regexp.Regexp // nil: anything goes
	AllowedValues  []string       // nil: anything goes
	MinChars       int
	MaxChars       int // 0: no limit
	// EnvVar: newer agents put the value into the environment as SSM_<name> instead of pasting it into the script.
	EnvVar bool
}

// Step is a script of a document.
type Step struct {
	Name     string
	Action   string // aws:runShellScript or aws:runPowerShellScript
	Platform string // Linux, Windows or MacOS, from the precondition; "": any
	Script   string // the lines, each with its \n
	Timeout  time.Duration
}

// The actions of a document that are understood.
const (
	RunShellScript      = "aws:runShellScript"
	RunPowerShellScript = "aws:runPowerShellScript"
)

func (t *Template) addDocument(p *properties) {
	d := Document{LogicalID: p.at, Parameters: map[string]DocumentParameter{}}
	p.choice("DocumentType", "Command")
	if !p.has("DocumentType") {
		p.fail("DocumentType", "missing: the default is another type")
	}
	p.physicalName("Name")
	p.ignore("DocumentFormat", "Tags", "TargetType", "UpdateMethod", "VersionName")

	content := p.object("Content")
	d.Content = jsonText(content.fields)
	d.Size = len(d.Content)
	content.ignore("description")
	if v := content.required("schemaVersion"); v != "2.2" && v != "" {
		content.fail("schemaVersion", "%s is not supported, only 2.2", v)
	}
	names, declared := content.named("parameters")
	for i, name := range names {
		d.Parameters[name] = documentParameter(name, declared[i])
	}
	for _, step := range content.objects("mainSteps") {
		s := documentStep(step)
		if slices.ContainsFunc(d.Steps, func(other Step) bool { return other.Name == s.Name }) {
			step.fail("name", "%q is the name of another step", s.Name)
		}
		d.Steps = append(d.Steps, s)
	}
	if len(d.Steps) == 0 {
		content.fail("mainSteps", "missing")
	}
	content.end()
	t.documents = append(t.documents, d)
}

// jsonText returns a value's JSON, without the escapes that Go adds for web pages.
func jsonText(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // what was read from YAML: maps with texts for keys, lists and scalars
	return strings.TrimSuffix(b.String(), "\n")
}

// A parameter's name becomes part of the name of an environment variable.
var documentParameterName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

func documentParameter(name string, p *properties) DocumentParameter {
	if !documentParameterName.MatchString(name) {
		p.fail("name", "%q cannot be part of the name of an environment variable", name)
	}
	p.required("type")
	p.choice("type", "String")
	p.ignore("description", "displayType")
	d := DocumentParameter{
		AllowedValues: p.texts("allowedValues"),
		MinChars:      p.integer("minChars", 0),
		MaxChars:      p.integer("maxChars", 0),
		EnvVar:        p.has("interpolationType") && p.choice("interpolationType", "ENV_VAR", "SUBSTITUTE") == "ENV_VAR",
	}
	if p.has("default") {
		standard := p.text("default")
		d.Default = &standard
	}
	if p.has("allowedPattern") {
		// Agents check the value again with Go's regular expressions, so a pattern that does not compile here fails on hosts.
		var err error
		if d.AllowedPattern, err = regexp.Compile(p.text("allowedPattern")); err != nil {
			p.fail("allowedPattern", "%v", err)
		}
	}
	p.end()
	return d
}

var stepName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

func documentStep(p *properties) Step {
	s := Step{Name: p.required("name")}
	if !stepName.MatchString(s.Name) {
		p.fail("name", "%q has more than letters, digits and _ in it", s.Name)
	}
	p.required("action")
	s.Action = p.choice("action", RunShellScript, RunPowerShellScript)

	precondition := p.object("precondition")
	if precondition.has("StringEquals") {
		operands := precondition.texts("StringEquals")
		if len(operands) == 2 && operands[1] == "platformType" {
			slices.Reverse(operands)
		}
		if len(operands) != 2 || operands[0] != "platformType" {
			precondition.fail("StringEquals", "only platformType and a platform are supported")
		} else if s.Platform = operands[1]; !slices.Contains([]string{"Linux", "Windows", "MacOS"}, s.Platform) {
			precondition.fail("StringEquals", "there is no platform %q", s.Platform)
		}
	}
	precondition.end()

	inputs := p.object("inputs")
	s.Script = strings.Join(inputs.texts("runCommand"), "\n") + "\n"
	if strings.TrimSpace(s.Script) == "" {
		inputs.fail("runCommand", "missing")
	}
	s.Timeout = inputs.seconds("timeoutSeconds", 3600, 5, 172800)
	inputs.end()
	p.end()
	return s
}
