package fleet

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/agent"
	"dcv-session-broker/internal/template"
)

// job is the agent's part of a command: the document's steps in order, on its host. It has copies of all it needs, so it
// runs without the fleet's lock.
type job struct {
	now         func() time.Time
	steps       []template.Step
	parameters  map[string]template.DocumentParameter
	values      map[string]string
	oldAgent    bool
	platform    string
	environment []string
	dir         string // the agent's directory for this command
	noisy       bool
	fault       agentFault
}

func (f *Fleet) jobOf(i *invocation) *job {
	c, dir := i.command, f.hostDir(i.host.id)
	return &job{
		now:        f.now,
		steps:      c.document.Steps,
		parameters: c.document.Parameters,
		values:     c.parameters,
		oldAgent:   f.oldAgent || i.host.OldAgent,
		platform:   i.host.Platform,
		environment: []string{
			"PATH=" + strings.Join([]string{filepath.Join(dir, "bin"), filepath.Join(f.dir, "bin"), os.Getenv("PATH")}, ":"),
			"HOME=" + dir,
			"AWS_SSM_INSTANCE_ID=" + i.host.id,
			"AWS_SSM_REGION_NAME=" + region,
			"SSM_COMMAND_ID=" + c.id,
			"DCV_STATE=" + f.StateDir(i.host.id),
			"DCV_BROKER_NOTICES=" + f.noticesDir(i.host.id),
		},
		dir:   filepath.Join(dir, "orchestration", c.id),
		noisy: i.host.Noisy,
		fault: i.host.AgentFault,
	}
}

// stepResult is how a step of a document ended.
type stepResult struct {
	status         types.CommandPluginStatus
	details        string
	code           int32
	stdout, stderr string // cut as the agent cuts them
	output         string // both, cut as in a list
	start, end     time.Time
}

// run runs the steps until ctx ends. If the agent's worker died when they began, scripts run without it, and their end is
// not reported.
func (j *job) run(ctx context.Context) (results []stepResult, workerDiedAt time.Time) {
	defer func() { _ = os.RemoveAll(j.dir) }() // a script that is left does no harm
	if j.fault == deadWorker {
		workerDiedAt = j.now()
	}
	for _, s := range j.steps {
		if ctx.Err() != nil {
			break
		}
		results = append(results, j.step(ctx, s))
	}
	return results, workerDiedAt
}

func (j *job) step(ctx context.Context, s template.Step) stepResult {
	start := j.now()
	var r stepResult
	if s.Platform != "" && s.Platform != j.platform {
		r = stepResult{status: types.CommandPluginStatusSuccess, details: "Success", output: agent.SkippedText(s.Platform, s.Name)}
	} else {
		r = j.script(ctx, s)
	}
	r.start, r.end = start, j.now()
	return r
}

// text returns a step's script with the parameters that are pasted, and an environment with the others.
func (j *job) text(s template.Step) (text string, environment []string) {
	text = s.Script
	for name, value := range j.values {
		if j.parameters[name].EnvVar && !j.oldAgent {
			environment = append(environment, "SSM_"+name+"="+value)
		} else {
			text = placeholder(name).ReplaceAllLiteralString(text, value)
		}
	}
	return text, environment
}

// outcome returns the status of an invocation from the results of its steps.
func outcome(results []stepResult) status {
	ended := success
	for _, r := range results {
		switch r.status {
		case types.CommandPluginStatusTimedOut:
			return executionTimedOut
		case types.CommandPluginStatusFailed:
			ended = failed
		}
	}
	return ended
}
