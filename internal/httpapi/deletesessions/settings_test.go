package deletesessions_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/template"
)

// read reads the settings with another value of one variable.
func read(variable, value string) (deletesessions.Settings, error) {
	variables := map[string]string{
		"SESSIONS_TABLE": "s", "HOSTS_TABLE": "h", "CLOSE_DOCUMENT": "c", "NOTIFY_DOCUMENT": "n", "FLEET_TAG_VALUE": "f", "FORCE_MODE": "purge",
	}
	maps.Copy(variables, map[string]string{variable: value})
	env := &awsenv.Environment{Getenv: func(name string) string { return variables[name] }}
	return deletesessions.ReadSettings(env), env.Err()
}

func TestDefaultsAreRead(t *testing.T) {
	if s, err := read("GRACE_PERIOD_SECONDS", "600"); err != nil || s.Defaults.GracePeriod != 10*time.Minute {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := read("GRACE_MESSAGE", "Save your work."); err != nil || s.Defaults.Message != "Save your work." {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := read("FORCE_MODE", "purge"); err != nil || s.Defaults != (deletesessions.Defaults{}) {
		t.Errorf("%+v, %v", s, err)
	}
}

// A function that refuses its settings does not start, so a deployment refuses the same
// values.
func TestParametersAreWhatTheFunctionTakes(t *testing.T) {
	values := map[string][]string{
		"GracePeriodSeconds GRACE_PERIOD_SECONDS": {
			"0", "1", "9", "59", "60", "99", "100", "999", "1000", "9999", "10000", "79999", "80000", "85999", "86000", "86399", "86400", "86401", "86500",
			"87000", "90000", "100000", "-60", "60.5", "soon", "60s",
		},
		"GraceMessage GRACE_MESSAGE": {
			"", "Save your work, please: \"now\"!", "停電します \U0001f469\u200d\U0001f4bb", strings.Repeat("\U0001D11E", 200), strings.Repeat("x", 201),
			strings.Repeat("\U0001D11E", 201), "\x1f", " ", "~", "\x7f", "\u0080", "\u009f", "\u00a0", "\u061b", "\u061c", "\u061d", "\u200d", "\u200e", "\u200f", "\u2010",
			"\u2027", "\u2028", "\u2029", "\u202a", "\u202e", "\u202f", "\u2065", "\u2066", "\u2069", "\u206a", "a\nb",
		},
	}
	for names, all := range values {
		parameter, variable, _ := strings.Cut(names, " ")
		for _, value := range all {
			_, refused := template.Load("../../../template.yaml", map[string]string{parameter: value})
			if _, err := read(variable, value); (err == nil) != (refused == nil) {
				t.Errorf("%s=%q: by the function %v, by the template %v", parameter, value, err, refused)
			}
		}
	}
}
