package fleet

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// Limits and defaults of SendCommand.
const (
	maxInstanceIDs         = 50
	maxTargets             = 5
	maxComment             = 100
	minDelivery            = 30
	maxDelivery            = 2592000
	defaultDelivery        = 3600
	defaultMaxErrors       = "0"
	defaultMaxConcurrency  = "50"
	maxDocumentSizeInBytes = 64 << 10
)

// SendCommand simulates Systems Manager's. As there, one host that cannot receive the command fails the whole call.
func (f *Fleet) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if err := validateSend(in); err != nil {
		return nil, err
	}
	var out *ssm.SendCommandOutput
	err := f.change(func() error {
		if f.sends.exceeded(f.now()) {
			return throttled()
		}
		document, ok := f.documents[deref(in.DocumentName)]
		if !ok {
			return &types.InvalidDocument{}
		}
		parameters, err := parametersFor(document, in.Parameters)
		if err != nil {
			return err
		}
		hosts, err := f.receivers(in, document)
		if err != nil {
			return err
		}
		ended := ""
		if len(in.Targets) > 0 {
			hosts, ended = f.broadcast(hosts)
		}
		c := f.commandFor(in, document, parameters, hosts)
		c.ended = ended
		f.begin(c)
		out = &ssm.SendCommandOutput{Command: &c.taken}
		return nil
	})
	return out, err
}

var (
	concurrencyText = regexp.MustCompile(`^([1-9][0-9]{0,6}|[1-9][0-9]?%|100%)$`)
	errorsText      = regexp.MustCompile(`^(0|[1-9][0-9]{0,6}|[0-9]%|[1-9][0-9]%|100%)$`)
	versionText     = regexp.MustCompile(`^(\$LATEST|\$DEFAULT|[1-9][0-9]*)$`)
	documentName    = regexp.MustCompile(`^[a-zA-Z0-9_\-.:/]{3,128}$`)
	targetKey       = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=\-@]{1,163}$`)
)

// validateSend checks the request itself.
func validateSend(in *ssm.SendCommandInput) error {
	delivery := deref(in.TimeoutSeconds)
	switch {
	case !documentName.MatchString(deref(in.DocumentName)):
		return invalid("documentName: must satisfy the pattern %s", documentName)
	case in.DocumentVersion != nil && !versionText.MatchString(*in.DocumentVersion):
		return invalid("documentVersion: must satisfy the pattern %s", versionText)
	case len(in.InstanceIds) > maxInstanceIDs:
		return invalid("instanceIds: must have length less than or equal to %d", maxInstanceIDs)
	case len(in.Targets) > maxTargets:
		return invalid("targets: must have length less than or equal to %d", maxTargets)
	case (len(in.InstanceIds) == 0) == (len(in.Targets) == 0):
		return invalid("exactly one of instanceIds and targets must be given")
	case utf8.RuneCountInString(deref(in.Comment)) > maxComment:
		return invalid("comment: must have length less than or equal to %d", maxComment)
	case in.TimeoutSeconds != nil && (delivery < minDelivery || delivery > maxDelivery):
		return invalid("timeoutSeconds: must be between %d and %d", minDelivery, maxDelivery)
	case in.MaxConcurrency != nil && !concurrencyText.MatchString(*in.MaxConcurrency):
		return invalid("maxConcurrency: must be a number or a percentage")
	case in.MaxErrors != nil && !errorsText.MatchString(*in.MaxErrors):
		return invalid("maxErrors: must be a number or a percentage")
	case in.AlarmConfiguration != nil, in.CloudWatchOutputConfig != nil, in.DocumentHash != nil, in.DocumentHashType != "",
		in.NotificationConfig != nil, in.OutputS3BucketName != nil, in.OutputS3KeyPrefix != nil, in.OutputS3Region != nil,
		in.ServiceRoleArn != nil:
		return notSimulated("alarms, document hashes, notifications, and output to S3 or CloudWatch")
	case !slices.Contains([]string{"", "$DEFAULT", "$LATEST", "1"}, deref(in.DocumentVersion)):
		return &types.InvalidDocumentVersion{}
	}
	for _, t := range in.Targets {
		if !targetKey.MatchString(deref(t.Key)) {
			return invalid("targets: key must satisfy the pattern %s", targetKey)
		}
	}
	return validateNodes(in.InstanceIds)
}

func validateNodes(ids []string) error {
	for _, id := range ids {
		if !nodeID.MatchString(id) {
			return invalid("instanceIds: %q must satisfy the pattern (^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)", id)
		}
	}
	return nil
}

// receivers returns the hosts of the command. It checks the policy first, as IAM does before any service.
func (f *Fleet) receivers(in *ssm.SendCommandInput, document template.Document) ([]*host, error) {
	if len(in.Targets) > 0 {
		return f.targets(in.Targets)
	}
	var hosts []*host
	for _, id := range in.InstanceIds {
		if h, ok := f.hosts[id]; ok && h.Untagged {
			return nil, denied("ssm:SendCommand", arn(id))
		}
	}
	for n, id := range in.InstanceIds {
		h, ok := f.hosts[id]
		switch {
		case slices.Contains(in.InstanceIds[:n], id):
			return nil, &types.DuplicateInstanceId{}
		case !ok || !h.accepted():
			return nil, &types.InvalidInstanceId{}
		case !runsOn(document, h.Platform):
			return nil, &types.UnsupportedPlatformType{}
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// targets returns all hosts with a tag, also those that cannot be reached, which have invocations, too.
func (f *Fleet) targets(targets []types.Target) ([]*host, error) {
	var hosts []*host
	for _, id := range slices.Sorted(maps.Keys(f.hosts)) {
		matches := !f.hosts[id].Unmanaged
		for _, t := range targets {
			key, isTag := strings.CutPrefix(deref(t.Key), "tag:")
			if !isTag || len(t.Values) == 0 || len(t.Values) > 50 {
				return nil, notSimulated("targets other than tag:KEY with 1 to 50 values")
			}
			matches = matches && f.tagged(f.hosts[id], key, t.Values)
		}
		if matches {
			hosts = append(hosts, f.hosts[id])
		}
	}
	return hosts, nil
}

func (f *Fleet) tagged(h *host, key string, values []string) bool {
	return !h.Untagged && key == session.FleetTagKey && slices.Contains(values, f.tagValue)
}

// runsOn tells whether a document is for the platform, which its plugins decide.
func runsOn(d template.Document, platform string) bool {
	return slices.ContainsFunc(d.Steps, func(s template.Step) bool {
		return (platform == "Windows") == (s.Action == template.RunPowerShellScript)
	})
}

func (f *Fleet) commandFor(in *ssm.SendCommandInput, d template.Document, parameters map[string]string, hosts []*host) *command {
	now := f.now()
	delivery := time.Duration(deref(in.TimeoutSeconds)) * time.Second
	if in.TimeoutSeconds == nil {
		delivery = defaultDelivery * time.Second
	}
	c := &command{
		id:          awsenv.NewID(),
		document:    d,
		parameters:  parameters,
		comment:     deref(in.Comment),
		requested:   now,
		deliverBy:   now.Add(delivery),
		expires:     now.Add(delivery + execution(d)),
		concurrency: max(1, share(or(deref(in.MaxConcurrency), defaultMaxConcurrency), len(hosts))),
		maxErrors:   share(or(deref(in.MaxErrors), defaultMaxErrors), len(hosts)),
	}
	var ids []string
	for _, h := range hosts {
		i := &invocation{command: c, host: h, status: pending}
		if len(in.Targets) > 0 && !h.accepted() {
			i.status = undeliverable
		}
		c.invocations = append(c.invocations, i)
		ids = append(ids, h.id)
	}
	c.taken = types.Command{
		CommandId:         aws.String(c.id),
		Comment:           aws.String(c.comment),
		DocumentName:      in.DocumentName,
		DocumentVersion:   aws.String(or(deref(in.DocumentVersion), "$DEFAULT")),
		ExpiresAfter:      aws.Time(c.expires),
		InstanceIds:       ids,
		MaxConcurrency:    aws.String(or(deref(in.MaxConcurrency), defaultMaxConcurrency)),
		MaxErrors:         aws.String(or(deref(in.MaxErrors), defaultMaxErrors)),
		Parameters:        in.Parameters,
		RequestedDateTime: aws.Time(now),
		Status:            types.CommandStatusPending,
		StatusDetails:     aws.String("Pending"),
		TargetCount:       int32(len(hosts)),
		Targets:           in.Targets,
		TimeoutSeconds:    aws.Int32(int32(delivery.Seconds())),
	}
	return c
}

// execution returns the time-out of a document's steps together, on the platform where it is longest.
func execution(d template.Document) time.Duration {
	perPlatform := map[string]time.Duration{"Linux": 0, "Windows": 0, "MacOS": 0}
	for _, s := range d.Steps {
		for platform := range perPlatform {
			if s.Platform == "" || s.Platform == platform {
				perPlatform[platform] += s.Timeout
			}
		}
	}
	return slices.Max(slices.Collect(maps.Values(perPlatform)))
}

// share returns the number that "10" or "10%" means of a total.
func share(text string, of int) int {
	number, isPercentage := strings.CutSuffix(text, "%")
	n, _ := strconv.Atoi(number) // the pattern guarantees a number
	if isPercentage {
		n = n * of / 100
	}
	return n
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
