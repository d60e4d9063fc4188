package template

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Schedule is a schedule of EventBridge Scheduler that invokes a function.
type Schedule struct {
	Event       string        // the event's name in the function
	Expression  string        // rate(…) or cron(…)
	Every       time.Duration // of a rate; 0 for cron
	Input       string        // JSON
	Enabled     bool
	MaxRetries  int
	MaxEventAge time.Duration
}

func schedule(name string, p *properties) Schedule {
	s := Schedule{
		Event:      name,
		Expression: p.required("ScheduleExpression"),
		Input:      p.text("Input"),
		Enabled:    p.choice("State", "ENABLED", "DISABLED") == "ENABLED",
	}
	every, err := rate(s.Expression)
	if err != nil && s.Expression != "" {
		p.fail("ScheduleExpression", "%v", err)
	}
	s.Every = every
	if s.Input != "" && !json.Valid([]byte(s.Input)) {
		p.fail("Input", "is not JSON")
	}
	retry := p.object("RetryPolicy")
	s.MaxRetries = retry.within("MaximumRetryAttempts", 185, 0, 185)
	s.MaxEventAge = retry.seconds("MaximumEventAgeInSeconds", 86400, 60, 86400)
	retry.end()
	p.physicalName("Name")
	p.ignore("DeadLetterConfig", "Description", "FlexibleTimeWindow", "GroupName", "OmitName", "PermissionsBoundary",
		"RoleArn", "ScheduleExpressionTimezone")
	return s
}

var rateExpression = regexp.MustCompile(`^rate\(([0-9]+) (minute|hour|day)(s?)\)$`)

// rate reads rate(1 minute), rate(5 minutes) and so on. Scheduler refuses rate(1 minutes). For a cron expression it
// returns 0.
func rate(expression string) (time.Duration, error) {
	if regexp.MustCompile(`^cron\(.+\)$`).MatchString(expression) {
		return 0, nil
	}
	parts := rateExpression.FindStringSubmatch(expression)
	if parts == nil {
		return 0, fmt.Errorf("%q is neither rate(…) nor cron(…)", expression)
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 || (n == 1) != (parts[3] == "") {
		return 0, fmt.Errorf("%q: 1 goes with %s, more with %ss", expression, parts[2], parts[2])
	}
	unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[parts[2]]
	return time.Duration(n) * unit, nil
}
