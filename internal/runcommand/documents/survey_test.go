package documents_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// A surveyLine is what InventoryDocument or IdleDocument prints about one session.
type surveyLine struct {
	ID          *string `json:"id"`
	Owner       *string `json:"owner"`
	Name        *string `json:"name"`
	Type        *string `json:"type"`
	Created     *string `json:"created"`
	Connections *int    `json:"connections"`
	Left        *string `json:"left"`

	Result  string `json:"result"`
	Minutes *int   `json:"minutes"`
	Reason  string `json:"reason"`

	End     *int    `json:"end"`
	Unnamed *int    `json:"unnamed"`
	Failed  *string `json:"failed"`
}

// A survey is a whole answer: the sessions' lines and the number of sessions, or the reason why there is none.
type survey struct {
	lines   []surveyLine
	end     int
	unnamed int
	packed  bool
	failed  string
	text    string // its lines, unpacked
}

// maxLinesBytes bounds the lines of sessions: Systems Manager keeps 24,000 characters.
const maxLinesBytes = 23_500

// readSurvey checks what every answer must be.
func (h *host) readSurvey(text string) survey {
	h.t.Helper()
	s := survey{end: -1, text: text, packed: isPacked(text)}
	size := 0
	if s.packed {
		text = unpacked(h.t, text)
		s.text = text
	}
	for one := range strings.Lines(text) {
		var l surveyLine
		decoder := json.NewDecoder(strings.NewReader(one))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil || decoder.More() || !strings.HasSuffix(one, "}\n") {
			h.t.Fatalf("not one JSON object: %q: %v", one, err)
		}
		switch {
		case s.end >= 0 || s.failed != "":
			h.t.Errorf("a line behind the last: %s", one)
		case l.Failed != nil:
			if s.failed = *l.Failed; !reasonPattern.MatchString(s.failed) || one != text {
				h.t.Errorf("not a failure for the broker: %s", text)
			}
		case l.End != nil:
			s.end = *l.End
			if l.Unnamed != nil {
				s.unnamed = *l.Unnamed
			}
		case l.ID == nil || l.Reason != "" && !reasonPattern.MatchString(l.Reason):
			h.t.Errorf("not a line for the broker: %s", one)
		default:
			s.lines = append(s.lines, l)
			size += len(one)
		}
	}
	if s.end < 0 && s.failed == "" || !s.packed && size > maxLinesBytes || s.end >= 0 && s.end < len(s.lines) {
		h.t.Errorf("%d bytes without a proper end: %q", len(text), text[max(0, len(text)-200):])
	}
	return s
}

func isPacked(text string) bool { return strings.HasPrefix(text, `{"gzip":"`) }

// unpacked is an answer that was packed, which is one line.
func unpacked(t *testing.T, text string) string {
	t.Helper()
	var line struct{ Gzip []byte }
	if err := json.Unmarshal([]byte(text), &line); err != nil || strings.TrimRight(text, "\r\n") != strings.TrimSpace(text) || strings.Count(text, "\n") != 1 {
		t.Fatalf("no packed answer: %v: %.200q", err, text)
	}
	r, err := gzip.NewReader(bytes.NewReader(line.Gzip))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(lines)
}

func (s survey) ids() []string {
	ids := []string{}
	for _, l := range s.lines {
		ids = append(ids, *l.ID)
	}
	slices.Sort(ids)
	return ids
}

// wantFailed is that there is nothing but a reason.
func (h *host) wantFailed(s survey, reason string) {
	h.t.Helper()
	if s.failed != reason {
		h.t.Errorf("failed with %q, wanted %q: %s", s.failed, reason, s.text)
	}
}

func TestSurveyDocumentsAreFitForSystemsManager(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"InventoryDocument", "IdleDocument"} {
		d := documentOf(t, name)
		if d.Size > 32<<10 {
			t.Errorf("%s: %d bytes", name, d.Size)
		}
		for i, want := range []string{"linux aws:runShellScript Linux", "windows aws:runPowerShellScript Windows"} {
			s := d.Steps[i]
			is := s.Name + " " + s.Action + " " + s.Platform
			if is != want || s.Timeout != time.Minute {
				t.Errorf("%s, step %d: %s, %v", name, i, is, s.Timeout)
			}
			script := d.script(t, s.Name)
			if n := len(d.Parameters); strings.Count(script, "{{") != n || strings.Count(script, "}}") != n {
				t.Errorf("%s, %s: braces that Systems Manager may take for a parameter", name, s.Name)
			}
		}
		if !strings.HasPrefix(d.script(t, "linux"), "#!/bin/sh\n") || len(d.Steps) != 2 {
			t.Errorf("%s: the agent honours #! on the first line only", name)
		}
	}
}

func TestIdleParametersAreReadFromTheEnvironmentFirst(t *testing.T) {
	t.Parallel()
	d := documentOf(t, "IdleDocument")
	patterns := map[string]string{"idleMinutes": "^[0-9]{1,6}$", "warnSeconds": "^[0-9]{1,5}$", "message": "^[A-Za-z0-9+/=]*$"}
	if len(d.Parameters) != len(patterns) {
		t.Errorf("%+v", d.Parameters)
	}
	for name, pattern := range patterns {
		p := d.Parameters[name]
		// A function that is older than warnings does not send what they need.
		optional := name != "idleMinutes"
		if !p.EnvVar || p.AllowedPattern == nil || p.AllowedPattern.String() != pattern || optional != (p.Default != nil) {
			t.Errorf("%s: %+v", name, p)
		}
		for step, fallback := range map[string]string{
			"linux":   `if [ -z "${SSM_` + name + `+x}" ]; then SSM_` + name + `="{{ ` + name + ` }}"; fi`,
			"windows": `$` + name + ` = $env:SSM_` + name + `; if ($null -eq $` + name + `) { $` + name + ` = '{{ ` + name + ` }}' }`,
		} {
			if strings.Count(d.script(t, step), fallback+"\n") != 1 {
				t.Errorf("step %s does not read %s by\n\t%s", step, name, fallback)
			}
		}
	}
}
