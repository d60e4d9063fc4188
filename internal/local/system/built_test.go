package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// buildFunctions builds with the flags of the Makefile, for this machine. It does not
// build again what is up to date.
func buildFunctions(t *testing.T) map[string]string {
	t.Helper()
	bootstraps, err := builtFunctions()
	if err != nil {
		t.Fatal(err)
	}
	return bootstraps
}

var builtFunctions = sync.OnceValues(func() (map[string]string, error) {
	const root = "../../.."
	dir, err := filepath.Abs(filepath.Join(root, "build", "tested-functions"))
	if err != nil {
		return nil, err
	}
	return build(root, dir)
})

// build builds the functions of a source tree into the folder, for this machine, and returns their paths by name.
func build(root, dir string) (bootstraps map[string]string, err error) {
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		return nil, fmt.Errorf("no functions: %w", err)
	}
	bootstraps = map[string]string{}
	for _, main := range mains {
		name := filepath.Base(filepath.Dir(main))
		bootstraps[name] = filepath.Join(dir, name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s", "-o", dir+string(filepath.Separator), "./functions/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the functions of %s: %w\n%s", root, err, out)
	}
	return bootstraps, nil
}
