package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// supported are the types of resources that the local system has.
var supported = map[string]func(*Template, *properties){
	"AWS::Serverless::Function": (*Template).addFunction,
	"AWS::Serverless::HttpApi":  (*Template).checkHTTPAPI,
	"AWS::Events::Rule":         (*Template).addRule,
	"AWS::Pipes::Pipe":          (*Template).addPipe,
	"AWS::SQS::Queue":           (*Template).addQueue,
	"AWS::DynamoDB::Table":      (*Template).addTable,
	"AWS::SSM::Document":        (*Template).addDocument,
}

// ignored are the types without a meaning on one machine, such as permissions and alarms. A type that is on
// neither list is an error.
var ignored = []string{
	"AWS::CloudWatch::Alarm",
	"AWS::CloudWatch::CompositeAlarm",
	"AWS::CloudWatch::Dashboard",
	"AWS::Cognito::UserPool",
	"AWS::Cognito::UserPoolClient",
	"AWS::Cognito::UserPoolDomain",
	"AWS::Cognito::UserPoolResourceServer",
	"AWS::IAM::ManagedPolicy",
	"AWS::IAM::Policy",
	"AWS::IAM::Role",
	"AWS::Lambda::Permission",
	"AWS::Logs::LogGroup",
	"AWS::Logs::MetricFilter",
	"AWS::Logs::QueryDefinition",
	"AWS::Logs::ResourcePolicy",
	"AWS::SNS::Subscription",
	"AWS::SNS::Topic",
	"AWS::SNS::TopicPolicy",
	"AWS::SQS::QueuePolicy",
}

// build makes the typed views of the resources.
func (t *Template) build() error {
	var faults []error
	for _, r := range t.resources {
		switch add, ok := supported[r.Type]; {
		case ok:
			p := propertiesOf(r, &faults)
			add(t, p)
			p.end()
		case slices.Contains(ignored, r.Type):
		default:
			faults = append(faults, fmt.Errorf("%s: resources of type %s are not supported", r.LogicalID, r.Type))
		}
	}
	if len(faults) == 0 {
		faults = t.contradictions()
	}
	return errors.Join(faults...)
}

// physicalName refuses a physical name: CloudFormation chooses names; here they are the logical IDs.
func (p *properties) physicalName(name string) {
	if p.has(name) {
		p.asked[name] = true
		p.fail(name, "a name of one's own is not supported: two stacks would collide")
	}
}

// resource reads a reference to a resource of a type: its name, or one attribute of it. It returns the logical ID.
func (t *Template) resource(p *properties, name, attribute, kind string) string {
	wanted := "a reference to"
	if attribute != "" {
		wanted = "the " + attribute + " of"
	}
	v := p.required(name)
	logicalID, ok := v, true
	if attribute != "" {
		logicalID, ok = strings.CutSuffix(v, "."+attribute)
	}
	if r, found := t.Resource(logicalID); !ok || !found || r.Type != kind {
		if v != "" {
			p.fail(name, "%q is not %s an %s of this template", v, wanted, kind)
		}
		return ""
	}
	return logicalID
}

// contradictions returns faults between resources, which AWS refuses when the stack is created.
func (t *Template) contradictions() []error {
	var faults []error
	queues := map[string]Queue{}
	for _, q := range t.queues {
		queues[q.LogicalID] = q
	}
	tables := map[string]Table{}
	for _, table := range t.tables {
		tables[table.LogicalID] = table
	}
	names, routes := map[string]string{}, map[Route]string{}
	for _, f := range t.functions {
		if other, taken := names[f.Name]; taken {
			faults = append(faults, fmt.Errorf("%s: CodeUri: %s is the code of %s", f.LogicalID, f.Name, other))
		}
		names[f.Name] = f.LogicalID
		for _, s := range f.Queues {
			if q := queues[s.Queue]; q.VisibilityTimeout < f.Timeout {
				faults = append(faults, fmt.Errorf("%s: Events.%s: %s shows a message again after %v, before the function's time-out of %v",
					f.LogicalID, s.Event, s.Queue, q.VisibilityTimeout, f.Timeout))
			}
		}
		for _, s := range f.Streams {
			if tables[s.Table].StreamView == "" {
				faults = append(faults, fmt.Errorf("%s: Events.%s: %s has no stream", f.LogicalID, s.Event, s.Table))
			}
		}
		for _, r := range f.Routes {
			if other, taken := routes[r]; taken {
				faults = append(faults, fmt.Errorf("%s: %s %s is routed to %s already", f.LogicalID, r.Method, r.Path, other))
			}
			routes[r] = f.LogicalID
		}
	}
	return faults
}
