package awsenv_test

import (
	"go/build"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "dcv-session-broker/"
	sdk    = "github.com/aws/aws-sdk-go-v2/"
)

// services are the services of each function's clients.
var services = map[string][]string{
	"cancel-deletions":  {"dynamodb", "ssm"},
	"delete-sessions":   {"dynamodb", "ssm"},
	"describe-sessions": {"dynamodb"},
	"session-stream":    {"dynamodb"},
	"ended-sessions":    {"dynamodb"},
	"host-events":       {"dynamodb", "ec2", "ssm"},
	"cleanup":           {"dynamodb", "ec2", "ssm"},
}

// Every linked package is initialised at each cold start. Functions must not link
// clients of other services, the SDK's search for credentials, the contract and its
// checks, the local system, or the operator's tool.
func TestFunctionsAreMadeOfNoMoreThanTheyNeed(t *testing.T) {
	mains, err := filepath.Glob("../../functions/*")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, main := range mains {
		name := filepath.Base(main)
		names = append(names, name)
		clients := map[string]bool{}
		for path := range linked(t, module+"functions/"+name) {
			service, isClient := strings.CutPrefix(path, sdk+"service/")
			service, _, part := strings.Cut(service, "/")
			if isClient && !part {
				clients[service] = true
			}
			for _, heavy := range []string{
				module + "internal/httpapi/contract", module + "internal/local", module + "internal/operate",
				module + "internal/template", "github.com/getkin/kin-openapi", sdk + "config",
				module + "internal/memtable", module + "internal/streamevent", module + "internal/sim", module + "internal/bench",
				module + "internal/httpapi/httpapitest", module + "internal/session/tabletest", module + "internal/runcommand/ssmtest",
			} {
				if strings.HasPrefix(path, heavy) {
					t.Errorf("%s is made of %s, too", name, path)
				}
			}
		}
		if got := slices.Sorted(maps.Keys(clients)); !slices.Equal(got, services[name]) {
			t.Errorf("%s is made with the clients of %q, want %q", name, got, services[name])
		}
	}
	if want := slices.Sorted(maps.Keys(services)); !slices.Equal(names, want) {
		t.Errorf("the functions are %q, want %q", names, want)
	}
}

// compiled finds regular expressions that are compiled when the program starts.
var compiled = regexp.MustCompile(`(?m)^(var )?\t?\w+\s*= regexp\.MustCompile`)

// A package's variables are initialised at every cold start, needed or not.
func TestNoFunctionCompilesRegularExpressionsAtItsStart(t *testing.T) {
	mains, err := filepath.Glob("../../functions/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, main := range mains {
		for path := range linked(t, module+"functions/"+filepath.Base(main)) {
			if !strings.HasPrefix(path, module) {
				continue
			}
			files, err := filepath.Glob(filepath.Join("../..", strings.TrimPrefix(path, module), "*.go"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s has the files %q, %v", path, files, err)
			}
			for _, file := range files {
				source, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasSuffix(file, "_test.go") && compiled.Match(source) {
					t.Errorf("%s: %s", filepath.Base(main), file)
				}
			}
		}
	}
}

// linked returns the packages that a package of this module imports, directly or
// through others of this module.
func linked(t *testing.T, path string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		// Not with go list: go test does not know the files that it reads, and would reuse an old result.
		pkg, err := build.ImportDir(filepath.Join("../..", strings.TrimPrefix(path, module)), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range pkg.Imports {
			if !all[imported] {
				all[imported] = true
				if strings.HasPrefix(imported, module) {
					visit(imported)
				}
			}
		}
	}
	visit(path)
	return all
}

// Later releases of these two build the model of the whole service at every cold start:
// internal/bench/FIGURES.md, "Decisions". Before an update measure that with make bench, then
// change this.
func TestReleasesThatStartFast(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for service, release := range map[string]string{"dynamodb": "v1.68.0", "ssm": "v1.79.3"} {
		found := regexp.MustCompile(`(?m)^\s` + regexp.QuoteMeta(sdk+"service/"+service) + ` (\S+)`).FindSubmatch(mod)
		if found == nil || string(found[1]) != release {
			t.Errorf("service/%s is %q; %s was the last that started fast", service, found, release)
		}
	}
}
