package template_test

import (
	"os"
	"strings"
	"testing"

	"dcv-session-broker/internal/template"
)

// Each case changes testdata/whole.yaml in one place. The error must name the place of the fault.
func TestUnknownSyntaxIsAnErrorWithItsPlace(t *testing.T) {
	src, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, old, new, want string }{
		{"a section", "Conditions:", "Mappings: {}\nConditions:", "Mappings: sections of this name are not supported"},
		{"a transform", "AWS::Serverless-2016-10-31", "AWS::LanguageExtensions", "Transform:"},
		{"a resource type", "AWS::IAM::Role", "AWS::IAM::Rolle", "Role: resources of type AWS::IAM::Rolle"},
		{"an attribute of a resource", "DeletionPolicy: Retain", "CreationPolicy: {}", "Table: CreationPolicy"},
		{"a function of CloudFormation", "!Select [1, !Ref Lanes]", "!Cidr [a, 1]", "Role.Names[1]: line"},
		{"the long form of one", "!Select [1, !Ref Lanes]", "{'Fn::ImportValue': x}", "function ImportValue is not supported"},
		{"a reference to nothing", "TABLE: !Ref Table", "TABLE: !Ref Tabel", `Ref: there is no parameter or resource "Tabel"`},
		{"a reference to what is not created", "QUEUE: !GetAtt Queue.Arn", "QUEUE: !GetAtt OnlyLive.Arn", `"OnlyLive" is not created`},
		{"a reference in a text", "-${Stage}-", "-${Stagee}-", `Role.Names[0]`},
		{"a condition of nothing", "!If [ClosesIdle, 'on'", "!If [Neither, 'on'", `there is no condition "Neither"`},
		{"a condition of itself", "!Equals [!Ref Stage, live]", "!Equals [!If [Live, 1, 2], '1']", "Conditions: Live: line 23: must not depend on a condition"},
		{"a key that stands twice", "      Handler: bootstrap\n", "      Handler: bootstrap\n      Handler: main\n", `Worker: line`},
		{"an alias", "VisibilityTimeout: !If [Live, 180, 60]", "X: &x 1\n      VisibilityTimeout: *x", "aliases"},

		{"a property of a function", "Handler: bootstrap", "ImageUri: x", "Worker: ImageUri: is not supported"},
		{"a name of its own", "Handler: bootstrap", "FunctionName: x", "Worker: FunctionName"},
		{"a variable that is a number", "[ClosesIdle, 'on', 'off']", "[ClosesIdle, 'on', 0]", "Worker: Environment.Variables.SWITCH: 0 is not a text: quote it"},
		{"a time-out that Lambda does not have", "Timeout: 20", "Timeout: 1000", "Worker: Timeout: 1000 is not between"},
		{"a queue that hides too short", "!If [Live, 180, 60]", "!If [Live, 180, 19]", "Worker: Events.Messages: Queue shows a message again after 19s"},
		{"an event type", "Type: HttpApi\n          Properties: {ApiId: !Ref Api, Method: ANY", "Type: Api\n          Properties: {ApiId: !Ref Api, Method: ANY", `Worker: Events.Any.Type: "Api"`},
		{"a property of an event", "Method: post,", "Method: post, Cors: true,", "Worker: Events.Http.Properties.Cors"},
		{"an old payload format", "Method: post,", "Method: post, PayloadFormatVersion: '1.0',", "PayloadFormatVersion"},
		{"the same route twice", "Method: ANY, Path: /any", "Method: POST, Path: /work", "is routed to Worker already"},
		{"a batch that needs a window", "MaximumBatchingWindowInSeconds: 2", "MaximumBatchingWindowInSeconds: 0", "Worker: Events.Messages.Properties.BatchSize"},
		{"a queue that is none", "Queue: !GetAtt Queue.Arn\n", "Queue: !GetAtt Table.Arn\n", `Worker: Events.Messages.Properties.Queue: "Table.Arn"`},
		{"a queue by its name", "Queue: !GetAtt Queue.Arn\n", "Queue: !Ref Queue\n", `Worker: Events.Messages.Properties.Queue: "Queue"`},
		{"a filter that is no pattern", `{"eventName": ["INSERT"]}`, `{"eventName": "INSERT"}`, "Filters[0].Pattern: pattern: eventName: must be an object or an array"},
		{"an unknown response type", "[ReportBatchItemFailures]\n            ScalingConfig", "[ReportEverything]\n            ScalingConfig", "ReportEverything"},
		{"a filter of a queue", "ScalingConfig: {Max", "FilterCriteria: {}\n            ScalingConfig: {Max", "Messages.Properties.FilterCriteria: is not supported"},
		{"a table without a stream", "      StreamSpecification: {StreamViewType: NEW_IMAGE}\n", "", "Worker: Events.Changes: Table has no stream"},
		{"a rate with a wrong plural", "rate(1 minute)", "rate(1 minutes)", "ScheduleExpression"},
		{"an input that is not JSON", `'{"task": "deletions"}'`, "deletions", "Events.Minute.Properties.Input"},

		{"a rule that matches nothing", "source: [aws.ssm]", "source: []", "Rule: EventPattern: pattern: source"},
		{"a target's input", "- Id: queue", "- InputPath: $.detail\n          Id: queue", "Rule: Targets[0].InputPath: is not supported"},
		{"a pipe without a function", "      Enrichment: !GetAtt Worker.Arn\n", "", "Pipe: Enrichment: missing"},
		{"a pipe to no bus", "Target: !If [Live, 'arn:aws:events:us-east-1:000000000000:event-bus/other', !Sub 'arn:aws:events:us-east-1:${AWS::AccountId}:event-bus/default']", "Target: !GetAtt Queue.Arn", "Pipe: Target: \"Queue.Arn\" is not the ARN of an event bus"},
		{"a batch that no bus takes", "BatchSize: 2\n", "BatchSize: 11\n", "Pipe: SourceParameters.DynamoDBStreamParameters.BatchSize"},
		{"an input template", "EventBridgeEventBusParameters: {Source", "InputTemplate: x\n        EventBridgeEventBusParameters: {Source", "Pipe: TargetParameters.InputTemplate: is not supported"},
		{"a source by a path", "{Source: worker", "{Source: $.source", `Pipe: TargetParameters.EventBridgeEventBusParameters.Source: "$.source": a path is not supported`},
		{"a path to a field within a field", "DetailType: Removed", "DetailType: $.inner.type", `EventBridgeEventBusParameters.DetailType: "$.inner.type": only the path of one field`},
		{"a bus by its name", "EventBusName: arn:aws:events:us-east-1:000000000000:event-bus/other", "EventBusName: other", "OtherBusRule: EventBusName"},
		{"a FIFO queue", "  Dead:\n    Type: AWS::SQS::Queue\n", "  Dead:\n    Type: AWS::SQS::Queue\n    Properties: {FifoQueue: true}\n", "Dead: FifoQueue"},
		{"a redrive policy by half", ", maxReceiveCount: !Ref Retries", "", "Queue: RedrivePolicy.maxReceiveCount: missing"},
		{"a key without a definition", "        - {AttributeName: Due, AttributeType: N}\n", "", "Table: AttributeDefinitions: key attribute Due"},
		{"a definition without a key", "AttributeName: Id, AttributeType: S}", "AttributeName: Id, AttributeType: S}\n        - {AttributeName: Host, AttributeType: S}", "Table: AttributeDefinitions: Host"},
		{"a local index", "      TimeToLiveSpecification", "      LocalSecondaryIndexes: []\n      TimeToLiveSpecification", "Table: LocalSecondaryIndexes"},

		{"an automation document", "DocumentType: Command", "DocumentType: Automation", "Document: DocumentType"},
		{"another schema", "schemaVersion: '2.2'", "schemaVersion: '1.2'", "Document: Content.schemaVersion"},
		{"a parameter's type", "plain: {type: String,", "plain: {type: StringList,", "Document: Content.parameters.plain.type"},
		{"a pattern that hosts cannot compile", "'^[a-z]*$'", "'^(?=a)$'", "Document: Content.parameters.greeting.allowedPattern"},
		{"an action", "action: aws:runPowerShellScript", "action: aws:downloadContent", "Document: Content.mainSteps[1].action"},
		{"a precondition", "[platformType, Linux]", "[platformType, Plan9]", "Document: Content.mainSteps[0].precondition.StringEquals"},
		{"a step's key", "- name: any", "- onFailure: exit\n            name: any", "Document: Content.mainSteps[1].onFailure"},
		{"two steps of one name", "- name: any", "- name: linux", "is the name of another step"},
		{"a time-out that is a parameter", "timeoutSeconds: '60'", "timeoutSeconds: '{{ plain }}'", "is not an integer"},

		{"a parameter's value", "Default: test}", "Default: other}", `parameter Stage: "other" is none of test, live`},
		{"a parameter's number", "Default: 7}", "Default: 11}", "parameter Retries: 11 is outside"},
		{"a parameter without a value", "Idle: {Type: Number, Default: 0}", "Idle: {Type: Number}", "parameter Idle: has no default"},
		{"a parameter's type", "Type: CommaDelimitedList", "Type: 'AWS::SSM::Parameter::Value<String>'", "parameter Lanes: type"},
		{"parameters that do not go together", "Default: test}", "Default: live}", "Rules: LiveClosesIdle: A live stage closes idle sessions."},
		{"a value that no stage may have", "Default: 7}", "Default: 9}", "Rules: Always: Nine retries are one too many."},
		{"a condition of one alone", "!Equals [!Ref Stage, live]", "!Or [!Equals [!Ref Stage, live]]", "Conditions: Live: line 23: Or needs a list of 2 to 10 conditions"},
		{"a rule of a condition", "{Assert: !Not [!Equals [!Ref Retries, '9']]", "{Assert: !Not [!Condition Live]", "Rules: Always: line 14: Condition is not a condition"},
		{"a rule of a value that depends on one", "!Equals [!Ref Retries, '9']", "!Equals [!If [Live, 1, 2], '9']", "Rules: Always: line 14: must not depend on a condition"},
		{"a function that rules do not have here", "!Equals [!Ref Retries, '3']", "!Contains [[a], !Ref Idle]", "Rules: LiveClosesIdle: line"},
		{"a rule of a parameter that is not there", "!Equals [!Ref Retries, '3']", "!Equals [!Ref Idel, '1']", `line 20: Ref: there is no parameter or resource "Idel"`},
		{"a rule without assertions", "    RuleCondition: {'Fn::Equals': [{Ref: Stage}, live]}\n    Assertions:", "    Assertion:", "Rules: LiveClosesIdle: Assertion is not supported"},
		{"a rule that asserts nothing", "      - {Assert: !Equals [!Ref Retries, '3']}\n", "      - {AssertDescription: x}\n", "Rules: LiveClosesIdle: Assertions: Assert: missing"},

		{"an output of nothing", "https://${Api}/${Table}", "https://${Apy}/", "Outputs: Where"},
	} {
		t.Run(c.what, func(t *testing.T) {
			changed := strings.Replace(string(src), c.old, c.new, 1)
			if changed == string(src) {
				t.Fatalf("%q is not in the template", c.old)
			}
			_, err := template.Parse([]byte(changed), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant an error with %q", err, c.want)
			}
		})
	}
}

func TestAParameterThatTheTemplateDoesNotHaveIsRefused(t *testing.T) {
	_, err := template.Load("testdata/whole.yaml", map[string]string{"Stages": "live"})
	if err == nil || !strings.Contains(err.Error(), "parameter Stages") {
		t.Fatalf("got %v", err)
	}
}

func TestAllFailedAssertionsAreNamedTogether(t *testing.T) {
	_, err := template.Load("testdata/whole.yaml", map[string]string{"Stage": "live", "Retries": "9"})
	want := "whole.yaml: Rules: Always: Nine retries are one too many.\n" +
		"Rules: LiveClosesIdle: A live stage closes idle sessions.\n" +
		"Rules: LiveClosesIdle: an assertion fails"
	if err == nil || err.Error() != want {
		t.Fatalf("got %v\nwant %s", err, want)
	}
	// The same values in a case to which the rule does not apply.
	if _, err := template.Load("testdata/whole.yaml", map[string]string{"Stage": "test", "Idle": "1", "Retries": "8"}); err != nil {
		t.Fatal(err)
	}
}

// The authentication of this project's template: an issuer needs an audience, and the pool has exactly one scope.
func TestThisProjectsAuthenticationParameters(t *testing.T) {
	const own, scope = "https://login.example.com/", "dcv-session-manager/sm_scope"
	for _, c := range []struct{ issuer, audience, scope, want string }{
		{"", "", scope, ""},
		{own, "one", scope, ""},
		{own, "one,two", "desktops", ""},
		{own, "", scope, "An Issuer needs an Audience"},
		{"", "one", scope, "An Audience needs an Issuer"},
		{"", "", "desktops", "Another Scope needs an Issuer"},
		{own, "one", "", "parameter Scope"},
		{own, "one", "a b", "parameter Scope"},
		{own, "one,", scope, "parameter Audience"},
		{"http://login.example.com", "one", scope, "parameter Issuer"},
	} {
		project, err := template.Load("../../template.yaml", map[string]string{"Issuer": c.issuer, "Audience": c.audience, "Scope": c.scope})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c, err)
		}
		if err != nil {
			continue
		}
		if _, made := project.Resource("UserPool"); made != (c.issuer == "") {
			t.Errorf("%+v: a user pool: %v", c, made)
		}
	}
}

func TestAllFaultsAreNamedTogether(t *testing.T) {
	src := `{Resources: {
		A: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true, DelaySeconds: 1000}},
		B: {Type: AWS::Nothing}}}`
	_, err := template.Parse([]byte(strings.ReplaceAll(src, "\t", " ")), nil)
	for _, want := range []string{"A: FifoQueue", "A: DelaySeconds", "B: resources of type AWS::Nothing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant an error with %q", err, want)
		}
	}
}
