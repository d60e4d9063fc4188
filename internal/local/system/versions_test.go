package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// earlierVersion is the last commit before grace periods. Its functions do not know the attributes of these, and do not
// read the shards in which deletions wait for their close time.
const earlierVersion = "132d46bdeab9171ce210d491f292df031c381515"

// Stories in which one version finishes what the other has begun. The earlier functions are built from their own code and
// run with their own template, after today's functions or together with them, on the same tables and hosts.
func TestVersionsSideBySide(t *testing.T) {
	t.Parallel()
	earlierForTest(t)
	opts := Options{DynamoDB: dynamodblocal.ForTest(t), DynamoDBKey: dynamodblocal.TestKey + "versions"}
	runScenarios(t, opts, chosen(scenarios(t, "testdata/versions")))
}

// earlierForTest skips the test where there is no earlier version, but fails if the environment says REQUIRE_ALL=1.
func earlierForTest(t *testing.T) version {
	t.Helper()
	v, err := earlier()
	if missing := (*noHistory)(nil); errors.As(err, &missing) && os.Getenv("REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A version is a template, and its functions as they were built, by name.
type version struct {
	template   string
	bootstraps map[string]string
}

// noHistory is the error for a folder without the earlier commit.
type noHistory struct{ cause error }

func (e *noHistory) Error() string {
	return fmt.Sprintf("git has no commit %s here, which a clone with the whole history has: %v", earlierVersion, e.cause)
}

// earlier builds the functions of the earlier commit. The result is kept for the next run.
var earlier = sync.OnceValues(func() (v version, err error) {
	const root = "../../.."
	dir, err := filepath.Abs(filepath.Join(root, "build", "tested-functions-of-"+earlierVersion[:8]))
	if err != nil {
		return v, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return v, err
	}
	// The folder may belong to another user than the one who runs the test.
	packed := filepath.Join(dir, "source.tar")
	git := exec.Command("git", "-c", "safe.directory=*", "-C", root, "archive", "-o", packed, earlierVersion, "go.mod", "go.sum", "template.yaml", "functions", "internal")
	if out, err := git.CombinedOutput(); err != nil {
		return v, &noHistory{fmt.Errorf("%w: %s", err, out)}
	}
	if out, err := exec.Command("tar", "-C", dir, "-xf", packed).CombinedOutput(); err != nil {
		return v, fmt.Errorf("unpack %s: %w\n%s", packed, err, out)
	}
	v.template = filepath.Join(dir, "template.yaml")
	text, err := os.ReadFile(v.template)
	if err != nil {
		return v, err
	}
	// CloudFormation accepts a number among a function's variables, package template does not.
	text = bytes.Replace(text, []byte("!Ref StopEmptyAfterMinutes, 0]"), []byte("!Ref StopEmptyAfterMinutes, '0']"), 1)
	if err := os.WriteFile(v.template, text, 0o644); err != nil {
		return v, err
	}
	v.bootstraps, err = build(dir, filepath.Join(dir, "built"))
	return v, err
})

func cmdDeploy(s *testSystem, ts *testscript.TestScript, args []string) {
	v, err := earlier()
	ts.Check(err)
	opts := s.opts
	switch {
	case len(args) == 1 && args[0] == "earlier":
		opts.Template, opts.Bootstraps, opts.Parameters = v.template, v.bootstraps, nil // it has no parameter IndexStep
	case len(args) > 0 && args[0] == "today":
		opts.Bootstraps = map[string]string{}
		for _, name := range args[1:] {
			if opts.Bootstraps[name] = v.bootstraps[name]; v.bootstraps[name] == "" {
				ts.Fatalf("the earlier version has no function %s", name)
			}
		}
	default:
		ts.Fatalf("usage: deploy earlier | deploy today [FUNCTION OF THE EARLIER VERSION...]")
	}
	s.close()
	ts.Check(s.open(opts))
}

func cmdAge(s *testSystem, ts *testscript.TestScript, args []string) {
	by, err := time.ParseDuration(args[1])
	ts.Check(err)
	r := s.record(ts, args[0])
	for name, value := range r {
		text, _ := value.(string)
		if at, err := time.Parse(session.TimeFormat, text); err == nil {
			r[name] = session.FormatTime(at.Add(-by))
		}
	}
	ts.Check(s.system.store.put(context.Background(), r))
}
