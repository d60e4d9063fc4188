package system

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// A grant is a permission that a policy gives, or that a call needs: an action on a
// resource, in the template's words, with its condition.
type grant struct{ Action, Resource, Condition string }

func (g grant) String() string {
	if g.Condition == "" {
		return g.Action + " on " + g.Resource
	}
	return g.Action + " on " + g.Resource + " if " + g.Condition
}

// grants are by function.
type grants map[string]map[grant]bool

func (all grants) add(function string, some ...grant) {
	if all[function] == nil {
		all[function] = map[grant]bool{}
	}
	for _, g := range some {
		all[function][g] = true
	}
}

// needed collects the permissions that the functions' calls need.
type needed struct {
	mu      sync.Mutex
	grants  grants
	unknown map[string]bool // operations
}

func (n *needed) observe(function, operation string, in any) {
	some := neededFor(operation, in)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.grants == nil {
		n.grants, n.unknown = grants{}, map[string]bool{}
	}
	if some == nil {
		n.unknown[operation] = true
	}
	n.grants.add(function, some...)
}

// neededFor returns the permissions that one operation needs, or nil if they are not known.
func neededFor(operation string, in any) []grant {
	switch operation {
	// The Service Authorization Reference has no resource for these: a policy can only
	// name "*".
	case "ssm:DescribeInstanceInformation", "ssm:ListCommandInvocations", "ssm:ListCommands", "ssm:GetCommandInvocation", "ec2:DescribeInstances":
		return []grant{{Action: operation, Resource: "*"}}
	case "ec2:StopInstances": // the policy allows it only for hosts with the tag
		return []grant{{operation, "instance/*", `{"StringEquals":{"ec2:ResourceTag/DcvFleet":"default","ec2:ResourceTag/DcvStopWhenEmpty":"true"}}`}}
	case "ssm:SendCommand":
		return neededForCommand(in.(*ssm.SendCommandInput))
	case "table:Write":
		var some []grant
		for _, w := range in.([]session.Write) {
			kind := "Write"
			if w.New {
				kind = "Write, new"
			}
			some = append(some, ofTables[kind]...)
		}
		return some
	}
	return ofTables[strings.TrimPrefix(operation, "table:")]
}

// A command needs a permission for its document and for each node; the policy checks
// the nodes' tag (Systems Manager user guide, "Restricting Run Command access based on
// tags").
func neededForCommand(in *ssm.SendCommandInput) []grant {
	some := []grant{{Action: "ssm:SendCommand", Resource: "document/" + *in.DocumentName}}
	tag := "default" // the template's FleetTagValue: no scenario has another
	kinds := map[string]bool{}
	for _, id := range in.InstanceIds {
		kinds[strings.Split(id, "-")[0]] = true
	}
	for _, target := range in.Targets { // nodes of both kinds can have the tag
		tag = strings.TrimPrefix(*target.Key, "tag:DcvFleet") + strings.Join(target.Values, ",")
		kinds["i"], kinds["mi"] = true, true
	}
	condition := fmt.Sprintf(`{"StringEquals":{"ssm:resourceTag/DcvFleet":%q}}`, tag)
	for kind, resource := range map[string]string{"i": "instance/*", "mi": "managed-instance/*"} {
		if kinds[kind] {
			some = append(some, grant{"ssm:SendCommand", resource, condition})
		}
	}
	return some
}

const (
	theSessions = "SessionsTable.Arn"
	theHosts    = "HostsTable.Arn"

	// onlyRefused restricts access in the Hosts table to the notes of refused hosts, without any host's own item.
	onlyRefused = `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["refused-*"]}}`
)

// ofTables are the permissions that the tables' operations need; TestWhatTablesNeed
// checks them by the calls.
var ofTables = map[string][]grant{
	"Write": {{"dynamodb:PartiQLUpdate", theSessions, ""}},
	// An update that cannot succeed reads an existing record.
	"Write, new":          {{"dynamodb:PartiQLInsert", theSessions, ""}, {"dynamodb:PartiQLUpdate", theSessions, ""}},
	"Get":                 {{"dynamodb:BatchGetItem", theSessions, ""}},
	"Owned":               {{"dynamodb:Query", theSessions + "/index/by-owner", ""}},
	"All":                 {{"dynamodb:Scan", theSessions, ""}},
	"Due":                 {{"dynamodb:Query", theSessions + "/index/by-lease", ""}},
	"OnHost":              {{"dynamodb:Query", theSessions + "/index/by-live-host", ""}},
	"RecordInventorySent": {{"dynamodb:UpdateItem", theHosts, ""}},
	"ForgetInventory":     {{"dynamodb:UpdateItem", theHosts, ""}},
	"LastInventories":     {{"dynamodb:BatchGetItem", theHosts, ""}},
	"Newest":              {{"dynamodb:BatchGetItem", theHosts, ""}},
	"RecordAnswer":        {{"dynamodb:UpdateItem", theHosts, ""}},
	"AnsweredBefore":      {{"dynamodb:Query", theHosts + "/index/by-answered", ""}},
	"MarkSilent":          {{"dynamodb:UpdateItem", theHosts, ""}},
	"AddHost":             {{"dynamodb:UpdateItem", theHosts, ""}},
	"Notes":               {{"dynamodb:BatchGetItem", theHosts, ""}},
	"WalkedTo":            {{"dynamodb:BatchGetItem", theHosts, ""}},
	"RecordWalkedTo":      {{"dynamodb:UpdateItem", theHosts, ""}},
	"Silences":            {{"dynamodb:BatchGetItem", theHosts, ""}},
	"RecordAsked":         {{"dynamodb:UpdateItem", theHosts, ""}},
	"RecordOwnerTag":      {{"dynamodb:UpdateItem", theHosts, ""}},
	"RecordRefused":       {{"dynamodb:BatchWriteItem", theHosts, onlyRefused}},
	"RefusedHosts":        {{"dynamodb:Query", theHosts + "/index/by-answered", ""}},
	"ForgetRefused":       {{"dynamodb:UpdateItem", theHosts, ""}},
	"HostsAfter":          {{"dynamodb:Scan", theSessions + "/index/by-live-host", ""}},
	"Open":                {{"dynamodb:Query", theSessions + "/index/by-lease", ""}},
}

// neededByLambda returns what Lambda itself needs of a function's role: to write the
// log, and to poll the function's sources.
func neededByLambda(f template.Function, logGroup string) []grant {
	some := []grant{{"logs:CreateLogStream", logGroup, ""}, {"logs:PutLogEvents", logGroup, ""}}
	for _, q := range f.Queues { // Lambda developer guide, "Using Lambda with Amazon SQS": execution role permissions
		for _, action := range []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"} {
			some = append(some, grant{action, q.Queue + ".Arn", ""})
		}
	}
	for _, s := range f.Streams { // the same, "Using Lambda with Amazon DynamoDB"
		for _, action := range []string{"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"} {
			some = append(some, grant{action, s.Table + ".StreamArn", ""})
		}
		some = append(some,
			grant{"dynamodb:ListStreams", "*", ""},
			grant{"sqs:SendMessage", s.OnFailureQueue + ".Arn", ""})
	}
	return some
}

// given returns what the roles of the template's functions allow, and the part that
// Lambda needs.
func given(t *testing.T, tmpl *template.Template) (allowed, byLambda grants) {
	t.Helper()
	allowed, byLambda = grants{}, grants{}
	for _, f := range tmpl.Functions() {
		function, _ := tmpl.Resource(f.LogicalID)
		logGroup := function.Properties["LoggingConfig"].(map[string]any)["LogGroup"].(string)
		byLambda.add(f.Name, neededByLambda(f, logGroup+".Arn")...)

		roleID, _ := strings.CutSuffix(function.Properties["Role"].(string), ".Arn")
		role, ok := tmpl.Resource(roleID)
		if !ok || role.Properties["ManagedPolicyArns"] != nil {
			t.Fatalf("%s: no role, or one with policies that are not in the template", f.LogicalID)
		}
		documents := []any{}
		for _, policy := range role.Properties["Policies"].([]any) {
			documents = append(documents, policy.(map[string]any)["PolicyDocument"])
		}
		// The one policy that a parameter adds to a role.
		if added, ok := tmpl.Resource("StopEmptyHostsPolicy"); ok && slices.Contains(list(added.Properties["Roles"]), roleID) {
			documents = append(documents, added.Properties["PolicyDocument"])
		}
		for _, document := range documents {
			document := document.(map[string]any)
			for _, statement := range document["Statement"].([]any) {
				allowed.add(f.Name, grantsOf(t, statement.(map[string]any))...)
			}
		}
	}
	return allowed, byLambda
}

func grantsOf(t *testing.T, statement map[string]any) (some []grant) {
	t.Helper()
	condition := ""
	for name, value := range statement {
		switch name {
		case "Sid", "Action", "Resource":
		case "Effect":
			if value != "Allow" {
				t.Fatalf("%v: only what is allowed is understood", statement)
			}
		case "Condition":
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			condition = string(text)
		default:
			t.Fatalf("%v: %s is not understood", statement, name)
		}
	}
	for _, action := range list(statement["Action"]) {
		for _, resource := range list(statement["Resource"]) {
			for _, prefix := range []string{"arn:aws:ssm:us-east-1:000000000000:", "arn:aws:ec2:us-east-1:000000000000:"} {
				resource = strings.TrimPrefix(resource, prefix)
			}
			some = append(some, grant{action, resource, condition})
		}
	}
	return some
}

// list returns a policy's one text, or its list of texts.
func list(v any) (texts []string) {
	if text, ok := v.(string); ok {
		return []string{text}
	}
	for _, text := range v.([]any) {
		texts = append(texts, text.(string))
	}
	return texts
}

// faults returns the differences between needed and allowed, which must be the same. So
// there is also no "*" where a resource can be named.
func faults(needed, allowed grants) (all []string) {
	for _, function := range slices.Sorted(maps.Keys(maps.Collect(both(needed, allowed)))) {
		for g := range needed[function] {
			if !allowed[function][g] {
				all = append(all, function+" needs, and is not allowed: "+g.String())
			}
		}
		for g := range allowed[function] {
			if !needed[function][g] {
				all = append(all, function+" is allowed, and does not need: "+g.String())
			}
		}
	}
	slices.Sort(all)
	return all
}

func both(a, b grants) func(yield func(string, bool) bool) {
	return func(yield func(string, bool) bool) {
		for _, all := range []grants{a, b} {
			for function := range all {
				if !yield(function, true) {
					return
				}
			}
		}
	}
}

// policiesFit compares what the functions needed in all scenarios with what the
// template allows, and checks that the comparison notices each grant that is removed or
// added.
func policiesFit(t *testing.T, n *needed) {
	tmpl := templatetest.Load(t, map[string]string{"StopEmptyHosts": "true"}) // needed by one scenario
	allowed, needs := given(t, tmpl)
	for function, some := range n.grants {
		needs.add(function, slices.Collect(maps.Keys(some))...)
	}
	for operation := range n.unknown {
		t.Errorf("nobody knows what %s needs to be allowed", operation)
	}
	for _, fault := range faults(needs, allowed) {
		t.Error(fault)
	}
	if t.Failed() {
		return
	}
	for function, some := range allowed {
		for g := range some {
			without := grants{}
			for f, all := range allowed {
				without.add(f, slices.Collect(maps.Keys(all))...)
			}
			delete(without[function], g)
			if got := faults(needs, without); len(got) != 1 {
				t.Errorf("%s without %s: %q", function, g, got)
			}
			wider := g
			wider.Resource = "*"
			if wider == g {
				wider.Action = "ssm:CancelCommand"
			}
			without.add(function, g, wider)
			if got := faults(needs, without); len(got) != 1 {
				t.Errorf("%s with %s: %q", function, wider, got)
			}
		}
	}
}
