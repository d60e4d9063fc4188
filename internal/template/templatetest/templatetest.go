// Package templatetest reads the project's template.yaml for tests of any package.
package templatetest

import (
	"os"
	"testing"

	"dcv-session-broker/internal/template"
)

// Load reads template.yaml, with its defaults for the parameters that are not given.
func Load(t testing.TB, parameters map[string]string) *template.Template {
	t.Helper()
	root := ""
	for range 5 { // a test runs in the folder of its package
		if _, err := os.Stat(root + "go.mod"); err == nil {
			break
		}
		root += "../"
	}
	loaded, err := template.Load(root+"template.yaml", parameters)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}
