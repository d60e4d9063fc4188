package awsenv_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/describesessions"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// readSettings reads each function's settings, as comparable values.
var readSettings = map[string]func(*awsenv.Environment) any{
	"cancel-deletions":  func(e *awsenv.Environment) any { return canceldeletions.ReadSettings(e) },
	"delete-sessions":   func(e *awsenv.Environment) any { return deletesessions.ReadSettings(e) },
	"describe-sessions": func(e *awsenv.Environment) any { return describesessions.ReadSettings(e) },
	"host-events":       func(e *awsenv.Environment) any { return hostevents.ReadSettings(e) },
	"session-stream":    func(e *awsenv.Environment) any { return sessionstream.ReadSettings(e) },
	"ended-sessions":    func(e *awsenv.Environment) any { return endedsessions.ReadSettings(e) },
	"cleanup":           func(e *awsenv.Environment) any { return cleanup.ReadSettings(e) },
}

var serviceOf = map[string]awsenv.Service{"dynamodb": awsenv.DynamoDB, "ssm": awsenv.SystemsManager, "ec2": awsenv.EC2}

// afterAFailedCall is the time that a function needs to log and record that a call has
// failed.
const afterAFailedCall = 5 * time.Second

// differences returns the differences between a function in template.yaml and what the
// function reads.
func differences(f template.Function) (all []string) {
	differ := func(format string, args ...any) { all = append(all, f.Name+": "+fmt.Sprintf(format, args...)) }
	read := map[string]bool{}
	of := func(variables map[string]string) (settings any, err error) {
		env := &awsenv.Environment{Getenv: func(name string) string {
			read[name] = true
			return variables[name]
		}}
		env.Output()
		env.Version()
		settings = readSettings[f.Name](env)
		return settings, env.Err()
	}

	deployed, err := of(f.Environment)
	if err != nil {
		differ("template.yaml's settings are wrong: %v", err)
	}
	for _, service := range services[f.Name] { // those of its clients: TestFunctionsAreMadeOfNoMoreThanTheyNeed
		s := serviceOf[service]
		read["AWS_ENDPOINT_URL_"+s.Name] = true
		if longest := s.LongestCall(); longest+afterAFailedCall > f.Timeout {
			differ("a call of %s that hangs takes up to %s, which leaves less than %s of the Timeout of %s", s.Name, longest, afterAFailedCall, f.Timeout)
		}
	}
	for name := range read {
		if _, is := f.Environment[name]; !is {
			differ("reads %s, which template.yaml does not give it", name)
		}
	}
	for name, value := range f.Environment {
		if !read[name] {
			differ("is given %s, which it does not read", name)
		}
		if name == "INDEX_STEP" { // see TestIndexStepOfOlderStacks
			continue
		}
		without := maps.Clone(f.Environment)
		delete(without, name)
		// A required variable has no default: without it there is an error.
		if settings, err := of(without); err == nil && settings != deployed {
			differ("the default of %s is another than template.yaml's, %q: %+v, %+v", name, value, settings, deployed)
		}
	}
	slices.Sort(all)
	return all
}

func deployed(t *testing.T, parameters map[string]string) []template.Function {
	t.Helper()
	return templatetest.Load(t, parameters).Functions()
}

// A function reads exactly the variables that template.yaml gives it, the parameters'
// defaults are the function's own, and a call without an answer, with all its tries and
// pauses, ends before the function's time-out: a function that Lambda ends cannot
// report the rest of its event.
func TestFunctionsAreWhatTheTemplateSays(t *testing.T) {
	functions := deployed(t, nil)
	if len(functions) != len(readSettings) {
		t.Errorf("%d functions, %d with settings", len(functions), len(readSettings))
	}
	for _, f := range functions {
		for _, difference := range differences(f) {
			t.Error(difference)
		}
	}
}

// Each of these differences is seen.
func TestDifferencesFromTheTemplateAreSeen(t *testing.T) {
	for what, change := range map[string]struct {
		do   func(*template.Function)
		said string
	}{
		"a function that ends while a call hangs": {func(f *template.Function) { f.Timeout = 19 * time.Second }, "that hangs takes up to 20s"},
		"a variable that is missing":              {func(f *template.Function) { delete(f.Environment, "HOSTS_TABLE") }, "reads HOSTS_TABLE"},
		"an endpoint that cannot be set":          {func(f *template.Function) { delete(f.Environment, "AWS_ENDPOINT_URL_EC2") }, "reads AWS_ENDPOINT_URL_EC2"},
		"a variable that nobody reads":            {func(f *template.Function) { f.Environment["MAX_BATCHES"] = "5" }, "given MAX_BATCHES, which it does not read"},
		"an endpoint of nobody's":                 {func(f *template.Function) { f.Environment["AWS_ENDPOINT_URL_S3"] = "" }, "given AWS_ENDPOINT_URL_S3"},
		"a time that is another by default":       {func(f *template.Function) { f.Environment["GIVE_UP_AFTER_MINUTES"] = "61" }, "default of GIVE_UP_AFTER_MINUTES"},
		"a switch that is another by default":     {func(f *template.Function) { f.Environment["END_SESSIONS_OF_STOPPED_HOSTS"] = "false" }, "default of END_SESSIONS"},
		"a value that the function does not take": {func(f *template.Function) { f.Environment["SILENT_AFTER_MINUTES"] = "soon" }, "SILENT_AFTER_MINUTES is"},
	} {
		for _, f := range deployed(t, nil) {
			if f.Name != "cleanup" {
				continue
			}
			change.do(&f)
			said := differences(f)
			if len(said) == 0 || !strings.Contains(said[0], change.said) {
				t.Errorf("nobody noticed %s: %q", what, said)
			}
		}
	}
}
