package template

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Function is a Lambda function and everything that invokes it.
type Function struct {
	Name        string // the last element of CodeUri, which is the folder under functions/
	LogicalID   string
	Timeout     time.Duration
	MemoryMB    int
	Environment map[string]string
	Routes      []Route
	Queues      []QueueSource
	Streams     []StreamSource
	Schedules   []Schedule
}

// Route is a route of the HTTP API, with payload format 2.0.
type Route struct {
	Method string // upper case, or "ANY"
	Path   string
}

// HTTP APIs as SAM makes them; events of functions are routed to any of them alike.
const httpAPI = "AWS::Serverless::HttpApi"

func (t *Template) addFunction(p *properties) {
	f := Function{
		Name:        path.Base(strings.TrimRight(p.required("CodeUri"), "/")),
		LogicalID:   p.at,
		Timeout:     p.seconds("Timeout", 3, 1, 900),
		MemoryMB:    p.within("MemorySize", 128, 128, 10240),
		Environment: map[string]string{},
	}
	p.choice("PackageType", "Zip")
	p.physicalName("FunctionName")
	// EventInvokeConfig is about failed asynchronous invocations; here their callers decide about retries.
	p.ignore("Architectures", "AutoPublishAlias", "Description", "EphemeralStorage", "EventInvokeConfig", "Handler",
		"Layers", "LoggingConfig", "PermissionsBoundary", "Policies", "RecursiveLoop",
		"ReservedConcurrentExecutions", "Role", "Runtime", "RuntimeManagementConfig", "Tags", "Tracing", "VpcConfig")

	environment := p.object("Environment")
	variables := environment.object("Variables")
	environment.end()
	for _, name := range slices.Sorted(maps.Keys(variables.fields)) {
		// CloudFormation converts a number to a text; other readers of a template may not.
		if v, _ := variables.get(name); v != nil {
			if _, is := v.(string); !is {
				variables.fail(name, "%v is not a text: quote it", v)
			}
		}
		f.Environment[name] = variables.text(name)
	}

	names, events := p.named("Events")
	for i, event := range events {
		t.addEvent(&f, names[i], event)
	}
	t.functions = append(t.functions, f)
}

func (t *Template) addEvent(f *Function, name string, event *properties) {
	kind := event.required("Type")
	p := event.object("Properties")
	switch kind {
	case "HttpApi":
		f.Routes = append(f.Routes, t.route(p))
	case "SQS":
		f.Queues = append(f.Queues, t.queueSource(name, p))
	case "DynamoDB":
		f.Streams = append(f.Streams, t.streamSource(name, p))
	case "ScheduleV2":
		f.Schedules = append(f.Schedules, schedule(name, p))
	case "":
	default:
		event.fail("Type", "%q is not supported", kind)
	}
	if kind != "" {
		p.end()
	}
	event.end()
}

func (t *Template) route(p *properties) Route {
	t.resource(p, "ApiId", "", httpAPI)
	p.choice("PayloadFormatVersion", "2.0")
	// The authorizer and the time-out of an integration belong to the gateway, which does not exist here.
	p.ignore("Auth", "RouteSettings", "TimeoutInMillis")
	r := Route{Method: strings.ToUpper(p.required("Method")), Path: p.required("Path")}
	if r.Method == "*" || r.Method == "X-AMAZON-APIGATEWAY-ANY-METHOD" {
		r.Method = "ANY"
	}
	if !strings.HasPrefix(r.Path, "/") {
		p.fail("Path", "%q does not begin with /", r.Path)
	}
	if strings.Contains(r.Path, "{") {
		p.fail("Path", "%q: variables in a path are not supported", r.Path)
	}
	return r
}

// checkHTTPAPI checks that the API has only the routes of functions.
func (t *Template) checkHTTPAPI(p *properties) {
	p.choice("StageName", "$default") // any other stage is a prefix of every path
	p.ignore("AccessLogSettings", "Auth", "CorsConfiguration", "DefaultRouteSettings", "Description",
		"DisableExecuteApiEndpoint", "Domain", "FailOnWarnings", "Name", "PropagateTags", "RouteSettings",
		"StageVariables", "Tags")
}
