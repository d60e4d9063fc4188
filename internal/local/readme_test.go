package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/template/templatetest"
)

const (
	parametersTable = "| parameter | default | |"
	underWayTable   = "| parameter | what is under way |"
	variablesTable  = "| variable of `make run` | default | |"

	// What DEPLOYING.md has instead of the defaults of Issuer, Audience and Scope, with a
	// link to their table.
	elsewhere = "a user pool of the stack's own"
)

type listed struct{ name, value string }

var quoted = regexp.MustCompile("^`([^`]*)`$")

// listedIn returns the names and defaults in the tables with that head. A row may have
// several of both, separated by commas.
func listedIn(readme, head string) (all []listed, faults []string) {
	for _, table := range strings.Split(readme, "\n"+head+"\n")[1:] {
		table, _, _ = strings.Cut(table, "\n\n")
		for _, line := range strings.Split(table, "\n")[1:] {
			cells := strings.Split(line, "|")
			names, values := strings.Split(strings.TrimSpace(cells[1]), ", "), strings.Split(strings.TrimSpace(cells[2]), ", ")
			if len(values) == 1 {
				values = slices.Repeat(values, len(names))
			}
			if len(values) != len(names) {
				faults = append(faults, "as many defaults as names: "+line)
				continue
			}
			for i, name := range names {
				if parts := quoted.FindStringSubmatch(name); parts != nil {
					all = append(all, listed{parts[1], values[i]})
				} else {
					faults = append(faults, "no name: "+line)
				}
			}
		}
	}
	return all, faults
}

// unlisted checks that each name is listed once, and no other.
func unlisted(all []listed, names []string, what string) (faults []string) {
	count := map[string]int{}
	for _, l := range all {
		count[l.name]++
		if !slices.Contains(names, l.name) {
			faults = append(faults, fmt.Sprintf("%s is listed, which is no %s", l.name, what))
		}
	}
	for _, name := range names {
		if count[name] != 1 {
			faults = append(faults, fmt.Sprintf("the %s %s is listed %d times", what, name, count[name]))
		}
	}
	return faults
}

func parameterFaults(deploying string, defaults map[string]string) []string {
	all, faults := listedIn(deploying, parametersTable)
	all = slices.DeleteFunc(all, func(l listed) bool { return l.value == elsewhere })
	var names []string
	for name := range defaults {
		names = append(names, name)
	}
	for _, l := range all {
		value, _, _ := strings.Cut(l.value, ":") // an explanation follows the value
		if value == "empty" {
			value = ""
		} else if parts := quoted.FindStringSubmatch(l.value); parts != nil {
			value = parts[1]
		}
		if is, ok := defaults[l.name]; ok && value != is {
			faults = append(faults, fmt.Sprintf("DEPLOYING.md has the default %q of %s, which is %q", value, l.name, is))
		}
	}
	return append(faults, unlisted(all, names, "parameter")...)
}

var anyQuoted = regexp.MustCompile("`([^`]*)`")

// underWayFaults checks that each parameter is in at least one row.
func underWayFaults(deploying string, defaults map[string]string) (faults []string) {
	_, table, _ := strings.Cut(deploying, "\n"+underWayTable+"\n")
	table, _, _ = strings.Cut(table, "\n\n")
	named := map[string]bool{}
	for _, line := range strings.Split(table, "\n")[1:] {
		for _, name := range anyQuoted.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			named[name[1]] = true
			if _, is := defaults[name[1]]; !is {
				faults = append(faults, name[1]+" is no parameter")
			}
		}
	}
	for name := range defaults {
		if !named[name] {
			faults = append(faults, "it is not said what a change of "+name+" means for what is under way")
		}
	}
	return faults
}

// readsVariables is the only file that reads environment variables.
const readsVariables = "settings.go"

var (
	variable     = regexp.MustCompile(`"([A-Z][A-Z0-9_]+)"`)
	withADefault = regexp.MustCompile(`env\("(\w+)", "([^"]+)"\)`)
	environment  = regexp.MustCompile(`os\.(Getenv|LookupEnv|Environ)`)
)

func variableFaults(readme, source string) []string {
	all, faults := listedIn(readme, variablesTable)
	var names []string
	for _, found := range variable.FindAllStringSubmatch(source, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	for _, found := range withADefault.FindAllStringSubmatch(source, -1) {
		if l := (listed{found[1], "`" + found[2] + "`"}); !slices.Contains(all, l) {
			faults = append(faults, fmt.Sprintf("README.md does not have the default %s of %s", l.value, l.name))
		}
	}
	return append(faults, unlisted(all, slices.Compact(names), "variable")...)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDeployingListsTheParametersAndTheirDefaults(t *testing.T) {
	tmpl := templatetest.Load(t, nil)
	deploying := read(t, "../operate/DEPLOYING.md")
	for _, fault := range parameterFaults(deploying, tmpl.Parameters()) {
		t.Error(fault)
	}
	for _, c := range []struct{ old, new, want string }{
		{"| `ForceMode` |", "| `ForcedMode` |", "ForcedMode is listed, which is no parameter"},
		{"| `ForceMode` |", "| `ForcedMode` |", "the parameter ForceMode is listed 0 times"},
		{"| `MaxBatchSize` | 1000 |", "| `MaxBatchSize` | 500 |", `"500" of MaxBatchSize, which is "1000"`},
		{"| `info`, 30 |", "| `info`, 90 |", `"90" of LogRetentionDays`},
		{"| `info`, 30 |", "| `info`, 30, 1 |", "as many defaults as names"},
		{"| `Audience` | empty |", "| `Audience` | `me` |", `"me" of Audience`},
		{"| `Scope` | `dcv-", "| `Scop` | `dcv-", "the parameter Scope is listed 0 times"},
		{"| empty: the default bus |", "| the default bus |", "of EventBusArn"},
	} {
		brokenIsNoticed(t, deploying, c.old, c.new, c.want, func(deploying string) []string { return parameterFaults(deploying, tmpl.Parameters()) })
	}
}

func TestDeployingSaysWhatAChangeOfEachParameterMeans(t *testing.T) {
	tmpl := templatetest.Load(t, nil)
	deploying := read(t, "../operate/DEPLOYING.md")
	for _, fault := range underWayFaults(deploying, tmpl.Parameters()) {
		t.Error(fault)
	}
	for _, c := range []struct{ old, new, want string }{
		{"| `ForceMode` | earlier", "| `ForcedMode` | earlier", "ForcedMode is no parameter"},
		{"`LogLevel`, `DeletionProtection`", "`LogLevel`", "a change of DeletionProtection"},
	} {
		brokenIsNoticed(t, deploying, c.old, c.new, c.want, func(deploying string) []string { return underWayFaults(deploying, tmpl.Parameters()) })
	}
}

func TestReadmeListsTheVariablesOfMakeRun(t *testing.T) {
	readme, source := read(t, "README.md"), read(t, readsVariables)
	for _, fault := range variableFaults(readme, source) {
		t.Error(fault)
	}
	for _, c := range []struct{ old, new, want string }{
		{"| `STORE` |", "| `STOER` |", "STOER is listed, which is no variable"},
		{"| `STORE` |", "| `STOER` |", "the variable STORE is listed 0 times"},
		{"`INVENTORY_EVERY`, ", "", "the variable INVENTORY_EVERY is listed 0 times"},
		{"| `8080`, ", "| `8081`, ", "does not have the default `8080` of PORT"},
	} {
		brokenIsNoticed(t, readme, c.old, c.new, c.want, func(readme string) []string { return variableFaults(readme, source) })
	}

	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := f.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && name != readsVariables && environment.MatchString(read(t, name)) {
			t.Errorf("%s reads variables past %s", name, readsVariables)
		}
	}
}

func brokenIsNoticed(t *testing.T, text, before, after, want string, faults func(string) []string) {
	t.Helper()
	broken := strings.Replace(text, before, after, 1)
	if broken == text {
		t.Fatalf("nothing to break: %q", before)
	}
	if said := faults(broken); !slices.ContainsFunc(said, func(fault string) bool { return strings.Contains(fault, want) }) {
		t.Errorf("%q for %q: nobody says %q, but %q", after, before, want, said)
	}
}
