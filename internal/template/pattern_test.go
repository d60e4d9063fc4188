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

		{"prefix", `{"time": [{"prefix": "2017-10-02"}]}`, sample, true},
		{"prefix of something else", `{"time": [{"prefix": "2017-10-03"}]}`, sample, false},
		{"prefix of a number", `{"detail": {"c-count": [{"prefix": "5"}]}}`, sample, false},
		{"prefix whatever the case", `{"source": [{"prefix": {"equals-ignore-case": "AWS"}}]}`, sample, true},
		{"suffix", `{"source": [{"suffix": "ec2"}]}`, sample, true},
		{"suffix whatever the case", `{"source": [{"suffix": {"equals-ignore-case": "EC2"}}]}`, sample, true},
		{"equals-ignore-case", `{"source": [{"equals-ignore-case": "Aws.Ec2"}]}`, sample, true},
		{"an operator or a value", `{"source": [{"suffix": "s3"}, "aws.ec2"]}`, sample, true},

		{"anything but it", `{"detail": {"state": [{"anything-but": "running"}]}}`, sample, false},
		{"anything but another", `{"detail": {"state": [{"anything-but": "initializing"}]}}`, sample, true},
		{"anything but a list", `{"detail": {"state": [{"anything-but": ["stopped", "running"]}]}}`, sample, false},
		{"anything but another list", `{"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}`, sample, true},
		{"anything but numbers", `{"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}`, sample, true},
		{"anything but this number", `{"detail": {"c-count": [{"anything-but": 5}]}}`, sample, false},
		{"anything but a prefix", `{"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}`, sample, true},
		{"anything but its prefix", `{"detail": {"state": [{"anything-but": {"prefix": ["init", "run"]}}]}}`, sample, false},
		{"anything but its suffix", `{"detail": {"state": [{"anything-but": {"suffix": "ing"}}]}}`, sample, false},
		{"anything but it, whatever the case", `{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["RUNNING"]}}]}}`, sample, false},
		{"anything but, of nothing", `{"detail": {"other": [{"anything-but": "x"}]}}`, sample, false},
		{"anything but, of null", `{"detail": {"responseElements": [{"anything-but": "x"}]}}`, sample, true},
		{"anything but, of an array", `{"detail": {"tags": [{"anything-but": "a"}]}}`, sample, true},

		{"a range", `{"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}]}}`, sample, true},
		{"an open range", `{"detail": {"c-count": [{"numeric": [">", 0, "<", 5]}]}}`, sample, false},
		{"less", `{"detail": {"d-count": [{"numeric": ["<", 10]}]}}`, sample, true},
		{"equal", `{"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}`, sample, true},
		{"numeric of a string", `{"dynamodb": {"NewImage": {"Attempts": {"N": [{"numeric": [">", 0]}]}}}}`, change, false},

		{"exists", `{"detail": {"c-count": [{"exists": true}]}}`, sample, true},
		{"exists, of null", `{"detail": {"responseElements": [{"exists": true}]}}`, sample, true},
		{"exists not", `{"detail": {"other": [{"exists": true}]}}`, sample, false},
		{"exists, of an object", `{"detail": {"object": [{"exists": true}]}}`, sample, false},
		{"is absent", `{"detail": {"other": [{"exists": false}]}}`, sample, true},
		{"is absent, of an object", `{"detail": {"object": [{"exists": false}]}}`, sample, true},
		{"is absent, with its parent", `{"nothing": {"other": [{"exists": false}]}}`, sample, true},
		{"is absent, under a leaf", `{"source": {"other": [{"exists": false}]}}`, sample, true},
		{"is not absent", `{"detail": {"state": [{"exists": false}]}}`, sample, false},
		{"is absent or a value", `{"detail": {"state": [{"exists": false}, "running"]}}`, sample, true},
		{"is absent in all elements", `{"employees": {"lastName": [{"exists": false}]}}`, employees, false},

		{"or", `{"$or": [{"source": ["x"]}, {"detail": {"state": ["running"]}}]}`, sample, true},
		{"or, of neither", `{"$or": [{"source": ["x"]}, {"detail": {"state": ["y"]}}]}`, sample, false},
		{"or, and more", `{"region": ["x"], "$or": [{"source": ["aws.ec2"]}, {"account": ["y"]}]}`, sample, false},
		{"or, deeper", `{"detail": {"$or": [{"c-count": [{"numeric": [">", 9]}]}, {"d-count": [{"numeric": ["<", 9]}]}]}}`, sample, true},
		{"or, with an and in it", `{"$or": [{"source": ["aws.ec2"], "region": ["x"]}, {"account": ["y"]}]}`, sample, false},

		{"a stream record", `{"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {
			"State": {"S": ["DELETING", "UNKNOWN"]}, "Confirmation": {"S": [{"exists": true}]}}}}`, change, true},
		{"exists, of an attribute and not its value",
			`{"dynamodb": {"NewImage": {"Confirmation": [{"exists": true}]}}}`, change, false},
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
		{`{"source": [{"wildcard": "aws.*"}]}`, `source: operator "wildcard" is not supported`},
		{`{"source": [{"cidr": "10.0.0.0/24"}]}`, `operator "cidr"`},
		{`{"source": [{"perfix": "aws"}]}`, `operator "perfix"`},
		{`{"source": [{"prefix": "a", "suffix": "b"}]}`, "one key"},
		{`{"source": [{"prefix": 1}]}`, "source: prefix: must be a string"},
		{`{"source": [{"prefix": {"suffix": "a"}}]}`, "prefix: must be a string or equals-ignore-case"},
		{`{"source": [{"suffix": ["a"]}]}`, "suffix: must be a string"},
		{`{"source": [{"equals-ignore-case": true}]}`, "must be a string"},
		{`{"source": [{"exists": "true"}]}`, "exists: must be true or false"},
		{`{"source": [{"anything-but": []}]}`, "anything-but: must be all strings or all numbers"},
		{`{"source": [{"anything-but": ["a", 1]}]}`, "all strings or all numbers"},
		{`{"source": [{"anything-but": null}]}`, "anything-but: must be"},
		{`{"source": [{"anything-but": {"prefix": ""}}]}`, "not empty"},
		{`{"source": [{"anything-but": {"numeric": ["=", 1]}}]}`, "numeric"},
		{`{"n": [{"numeric": [">"]}]}`, "numeric: must be an array"},
		{`{"n": [{"numeric": [">", "1"]}]}`, "numeric: must be an array"},
		{`{"n": [{"numeric": ["!=", 1]}]}`, `operator "!="`},
		{`{"n": [{"numeric": ["<", 1, ">", 0]}]}`, "a lower bound, then an upper one"},
		{`{"$or": [{"source": ["a"]}]}`, "two objects or more"},
		{`{"$or": [{"source": ["a"]}, {"prefix": "a"}]}`, "$or[1]: prefix"},
		{`{"$or": [{"source": ["a"]}, {"b": []}]}`, "$or[1].b: an empty array"},
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
