package template_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/template"
)

// The event of the examples in AWS's documentation.
const sample = `{
	"version": "0", "id": "ddddd4-aaaa-7777-4444-345dd43cc333",
	"detail-type": "EC2 Instance State-change Notification",
	"source": "aws.ec2", "account": "012345679012", "time": "2017-10-02T16:24:49Z", "region": "us-east-1",
	"resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
	"detail": {"c-count": 5, "d-count": 3, "x-limit": 301.8, "source-ip": "10.0.0.33",
		"instance-id": "i-000000aaaaaa00000", "state": "running", "eventVersion": "", "responseElements": null,
		"flag": true, "none": [], "tags": ["a", "b"], "object": {"c1": 100}}}`

func TestPatternsMeanWhatAWSMakesOfThem(t *testing.T) {
	const employees = `{"employees": [
		[{"firstName": "John", "lastName": "Doe"}, {"firstName": "Anna", "lastName": "Smith"}],
		[{"firstName": "Peter", "lastName": "Jones"}]]}`
	const change = `{"eventName": "MODIFY", "dynamodb": {"NewImage": {
		"State": {"S": "DELETING"}, "Confirmation": {"S": "closed"}, "Force": {"BOOL": true}, "Attempts": {"N": "3"},
		"Nothing": {"NULL": true}}}}`
	for _, c := range []struct {
		what, pattern, event string
		want                 bool
	}{
		{"one of the values", `{"detail": {"state": ["initializing", "running"]}}`, sample, true},
		{"none of the values", `{"detail": {"state": ["initializing"]}}`, sample, false},
		{"every field", `{"source": ["aws.ec2"], "region": ["eu-west-1"]}`, sample, false},
		{"a field that is not there", `{"detail": {"other": ["running"]}}`, sample, false},
		{"case", `{"source": ["AWS.EC2"]}`, sample, false},
		{"an empty string", `{"detail": {"eventVersion": [""]}}`, sample, true},
		{"null", `{"detail": {"responseElements": [null]}}`, sample, true},
		{"null is not the empty string", `{"detail": {"responseElements": [""]}}`, sample, false},
		{"null is not absence", `{"detail": {"other": [null]}}`, sample, false},
		{"a boolean", `{"detail": {"flag": [true]}}`, sample, true},
		{"a boolean is no string", `{"detail": {"flag": ["true"]}}`, sample, false},
		{"a number", `{"detail": {"c-count": [5]}}`, sample, true},
		{"a number by its value", `{"detail": {"x-limit": [3.018e2]}}`, sample, true},
		{"a number is no string", `{"detail": {"c-count": ["5"]}}`, sample, false},

		{"an element of an array", `{"detail": {"tags": ["x", "b"]}}`, sample, true},
		{"no element of an array", `{"detail": {"tags": ["x"]}}`, sample, false},
		{"an empty array", `{"detail": {"none": ["x"]}}`, sample, false},
		{"objects in arrays of arrays", `{"employees": {"firstName": ["Anna"]}}`, employees, true},
		{"fields of the same object", `{"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}`, employees, true},
		{"fields of two objects", `{"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}`, employees, false},

		{"anything but it", `{"detail": {"state": [{"anything-but": "running"}]}}`, sample, false},
		{"anything but another", `{"detail": {"state": [{"anything-but": "initializing"}]}}`, sample, true},
		{"anything but a list", `{"detail": {"state": [{"anything-but": ["stopped", "running"]}]}}`, sample, false},
		{"anything but another list", `{"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}`, sample, true},
		{"anything but numbers", `{"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}`, sample, true},
		{"anything but this number", `{"detail": {"c-count": [{"anything-but": 5}]}}`, sample, false},
		{"anything but, of nothing", `{"detail": {"other": [{"anything-but": "x"}]}}`, sample, false},
		{"anything but, of null", `{"detail": {"responseElements": [{"anything-but": "x"}]}}`, sample, true},
		{"anything but, of an array", `{"detail": {"tags": [{"anything-but": "a"}]}}`, sample, true},

		{"exists", `{"detail": {"c-count": [{"exists": true}]}}`, sample, true},
		{"exists, of null", `{"detail": {"responseElements": [{"exists": true}]}}`, sample, true},
		{"exists not", `{"detail": {"other": [{"exists": true}]}}`, sample, false},
		{"exists, of an object", `{"detail": {"object": [{"exists": true}]}}`, sample, false},
		{"is absent", `{"detail": {"other": [{"exists": false}]}}`, sample, true},
		{"is absent, of what is there", `{"detail": {"c-count": [{"exists": false}]}}`, sample, false},
		{"is absent, of null", `{"detail": {"responseElements": [{"exists": false}]}}`, sample, false},
		{"is absent, of an object", `{"detail": {"object": [{"exists": false}]}}`, sample, true},
		{"is absent, of an empty array", `{"detail": {"none": [{"exists": false}]}}`, sample, true},
		{"is absent, or has a value", `{"detail": {"state": [{"exists": false}, "running"]}}`, sample, true},
		{"is absent, with the object around it", `{"other": {"inner": [{"exists": false}]}}`, sample, true},

		{"a stream record", `{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {
			"State": {"S": ["DELETING", "UNKNOWN"]}, "Confirmation": {"S": [{"exists": true}]}}}}`, change, true},
		{"exists, of an attribute and not its value",
			`{"dynamodb": {"NewImage": {"Confirmation": [{"exists": true}]}}}`, change, false},
		{"an attribute that is absent", `{"dynamodb": {"NewImage": {"Warning": {"S": [{"exists": false}]}}}}`, change, true},
		{"an attribute that is not", `{"dynamodb": {"NewImage": {"Confirmation": {"S": [{"exists": false}]}}}}`, change, false},
		{"a DynamoDB boolean", `{"dynamodb": {"NewImage": {"Force": {"BOOL": [true]}}}}`, change, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, err := parsePattern(t, c.pattern).Match([]byte(c.event))
			if err != nil || got != c.want {
				t.Errorf("%s\ngot %v, %v; want %v", c.pattern, got, err, c.want)
			}
		})
	}
}

func TestPatternsThatAWSRefuses(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`[]`, "must be a JSON object"},
		{`{`, "pattern:"},
		{`{} {}`, "something follows"},
		{`{}`, "an empty object"},
		{`{"detail": {}}`, "detail: an empty object"},
		{`{"source": "aws.ec2"}`, "source: must be an object or an array"},
		{`{"source": []}`, "source: an empty array"},
		{`{"source": [["aws.ec2"]]}`, "source: an array in the array"},
		{`{"source": ["a"], "source": ["b"]}`, "twice"},
		{`{"detail.state": ["running"]}`, "a dot"},
		{`{"$or": [{"source": ["a"]}, {"source": ["b"]}]}`, "$or: is not supported"},
		{`{"source": [{"anything-but": {"prefix": "a"}}]}`, "anything-but: must be"},
		{`{"source": [{"prefix": "aws"}]}`, `source: operator "prefix" is not supported`},
		{`{"source": [{"wildcard": "aws.*"}]}`, `source: operator "wildcard" is not supported`},
		{`{"source": [{"cidr": "10.0.0.0/24"}]}`, `operator "cidr"`},
		{`{"source": [{"perfix": "aws"}]}`, `operator "perfix"`},
		{`{"source": [{"exists": "true"}]}`, "exists: must be true or false"},
		{`{"source": [{"anything-but": []}]}`, "anything-but: must be all strings or all numbers"},
		{`{"source": [{"anything-but": ["a", 1]}]}`, "all strings or all numbers"},
		{`{"source": [{"anything-but": null}]}`, "anything-but: must be"},
	} {
		_, err := template.ParsePattern([]byte(c.pattern))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot %v; want an error with %q", c.pattern, err, c.want)
		}
	}
}

func TestAnEventThatIsNoObjectIsAnError(t *testing.T) {
	p := parsePattern(t, `{"a": ["b"]}`)
	for _, event := range []string{``, `null`, `[1]`, `{"a": "b"`, `{"a": "b"} x`} {
		if matches, err := p.Match([]byte(event)); err == nil {
			t.Errorf("%q: got %v without an error", event, matches)
		}
	}
}
