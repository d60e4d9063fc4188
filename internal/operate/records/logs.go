package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"dcv-session-broker/internal/session"
)

// LogEvents is the part of CloudWatch Logs' client that is used here.
type LogEvents interface {
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

// Logs are the functions' log groups.
type Logs struct {
	Events LogEvents
	// Groups are the names of the log groups by function.
	Groups map[string]string
	// Unknown is why Groups could not be read, or nil.
	Unknown error
}

// The bounds of a search in one group. A page covers a megabyte of the log, and may be empty.
const (
	maxLogPages = 20
	maxLogTime  = 20 * time.Second
)

// GroupsOf returns the log groups of functions among a stack's resources, a map from logical ID to physical name. A
// group's name is /aws/lambda/STACK/FUNCTION.
func GroupsOf(resources map[string]string) map[string]string {
	groups := map[string]string{}
	for id, name := range resources {
		if strings.HasSuffix(id, "LogGroup") && strings.HasPrefix(name, "/aws/lambda/") {
			groups[name[strings.LastIndexByte(name, '/')+1:]] = name
		}
	}
	return groups
}

// Lines implements System. It searches all groups in parallel.
func (l Logs) Lines(ctx context.Context, about Search) (lines []Line, missing []string) {
	switch {
	case Denied(l.Unknown):
		return nil, []string{"the functions' logs: your credentials lack the permission cloudformation:ListStackResources on the stack"}
	case l.Unknown != nil:
		return nil, []string{"the functions' logs: " + l.Unknown.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, maxLogTime)
	defer cancel()
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		denied []string
	)
	for _, function := range slices.Sorted(maps.Keys(l.Groups)) {
		group.Go(func() {
			found, note, err := l.search(ctx, function, about)
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, found...)
			switch {
			case Denied(err):
				denied = append(denied, l.Groups[function])
			case err != nil:
				missing = append(missing, fmt.Sprintf("the log of %s: %v", function, err))
			case note != "":
				missing = append(missing, note)
			}
		})
	}
	group.Wait()
	if len(denied) > 0 {
		slices.Sort(denied)
		missing = append(missing, "the functions' logs: your credentials lack the permission logs:FilterLogEvents on "+strings.Join(denied, ", "))
	}
	slices.Sort(missing)
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) })
	return lines, missing
}

// search reads the group of one function within the bounds.
func (l Logs) search(ctx context.Context, function string, about Search) (lines []Line, note string, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{
		LogGroupName: aws.String(l.Groups[function]), FilterPattern: aws.String(about.pattern()), StartTime: aws.Int64(about.From.UnixMilli()),
		EndTime: aws.Int64(about.To.UnixMilli()),
	}
	for range maxLogPages {
		out, err := l.Events.FilterLogEvents(ctx, in)
		switch gone := (*types.ResourceNotFoundException)(nil); {
		case errors.As(err, &gone):
			return lines, "", nil // nothing was ever logged there
		case errors.Is(err, context.DeadlineExceeded):
			return lines, fmt.Sprintf("the log of %s beyond what was read in %s", function, maxLogTime), nil
		case err != nil:
			return lines, "", err
		}
		for _, event := range out.Events {
			for _, line := range parseLine([]byte(aws.ToString(event.Message)), function) {
				if about.matches(line) {
					lines = append(lines, line)
				}
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			return lines, "", nil
		}
	}
	return lines, fmt.Sprintf("the log of %s beyond its first %d pages", function, maxLogPages), nil
}

// pattern is a filter for lines of JSON. A * in a value matches anything, so the lines found are checked again.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func (s Search) pattern() string {
	terms := []string{fmt.Sprintf("($.SessionId = %s)", quote(s.SessionID)), fmt.Sprintf("($.SessionList = %s)", quote("*SessionId="+s.SessionID+";*"))}
	for _, id := range s.RequestIDs {
		terms = append(terms, fmt.Sprintf("(($.RequestId = %s) && ($.SessionId NOT EXISTS) && ($.SessionList NOT EXISTS))", quote(id)))
	}
	return "{ " + strings.Join(terms, " || ") + " }"
}

// quote returns a value for a pattern. DCV's session IDs have no quote and no backslash; each of them becomes a
// wildcard.
func quote(value string) string {
	return `"` + strings.NewReplacer(`"`, "*", `\`, "*").Replace(value) + `"`
}

// matches tells whether the search is for the line.
func (s Search) matches(line Line) bool {
	if id, _ := line.Attributes["SessionId"].(string); id != "" {
		return id == s.SessionID
	}
	request, _ := line.Attributes["RequestId"].(string)
	return slices.Contains(s.RequestIDs, request)
}

// parseLine parses a line of a function: JSON with time, level and msg. A line about several sessions becomes a line for
// each. It returns nothing for other lines of the group, such as Lambda's own.
func parseLine(text []byte, function string) (lines []Line) {
	var object map[string]any
	if json.Unmarshal(text, &object) != nil {
		return nil
	}
	for _, attributes := range session.SplitLine(object) {
		take := func(key string) string {
			value, _ := attributes[key].(string)
			delete(attributes, key)
			return value
		}
		at, err := time.Parse(time.RFC3339Nano, take("time"))
		line := Line{Function: function, At: at, Level: take("level"), Message: take("msg"), Attributes: attributes}
		if err == nil && line.Message != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
