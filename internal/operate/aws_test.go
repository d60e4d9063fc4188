package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"dcv-session-broker/internal/local/dynamodblocal"
)

// An account simulates the HTTP APIs of an AWS account with one stack and its user pool's client.
type account struct {
	outputs, parameters, resources map[string]string
	template                       string // as CloudFormation has processed it
	// answers are the answers of JSON services by operation: a value, or a function of the request that returns a value
	// and a status.
	answers map[string]any
	// asked are the operations so far. The SDK calls several in parallel.
	asked  []string
	denied string // an operation of CloudFormation
	asking sync.Mutex
}

const (
	stackName    = "studio"
	clientSecret = "s3cret-of-the-client"
	apiToken     = "t0ken-of-the-api"
)

// serve starts the account and sets the environment that makes the SDK call it.
func (a *account) serve(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": dynamodblocal.TestKey, "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"TOKEN": "", "TOKEN_URL": "", "SCOPE": "", "DCVBROKER_URL": "", "CLIENT_ID": "", "CLIENT_SECRET": "",
	} {
		t.Setenv(name, value)
	}
}

func (a *account) note(operation string) {
	a.asking.Lock()
	defer a.asking.Unlock()
	a.asked = append(a.asked, operation)
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if service, operation, isJSON := strings.Cut(r.Header.Get("X-Amz-Target"), "."); isJSON {
		a.note(operation)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		var answer any = a.answers[operation]
		if service == "AWSCognitoIdentityProviderService" {
			answer = map[string]any{"UserPoolClient": map[string]string{"ClientSecret": clientSecret}}
		}
		if of, isFunc := answer.(func(request []byte) (int, any)); isFunc {
			body, _ := io.ReadAll(r.Body)
			status, made := of(body)
			answer = made
			w.WriteHeader(status)
		}
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	action := r.FormValue("Action")
	a.note(action)
	w.Header().Set("Content-Type", "text/xml")
	if action == a.denied {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
		return
	}
	if r.FormValue("StackName") != stackName {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>`+
			`<Code>ValidationError</Code><Message>Stack with id %s does not exist</Message></Error></ErrorResponse>`, r.FormValue("StackName"))
		return
	}
	var body strings.Builder
	list := func(name, key, value string, members map[string]string) {
		fmt.Fprintf(&body, "<%s>", name)
		for k, v := range members {
			fmt.Fprintf(&body, "<member><%[1]s>%[2]s</%[1]s><%[3]s>%[4]s</%[3]s></member>", key, k, value, v)
		}
		fmt.Fprintf(&body, "</%s>", name)
	}
	switch action {
	case "DescribeStacks":
		body.WriteString("<Stacks><member><StackName>" + stackName + "</StackName><StackStatus>UPDATE_COMPLETE</StackStatus>" +
			"<StackId>arn:aws-us-gov:cloudformation:us-gov-west-1:123456789012:stack/studio/1</StackId>")
		list("Outputs", "OutputKey", "OutputValue", a.outputs)
		list("Parameters", "ParameterKey", "ParameterValue", a.parameters)
		body.WriteString("</member></Stacks>")
	case "ListStackResources":
		list("StackResourceSummaries", "LogicalResourceId", "PhysicalResourceId", a.resources)
	case "GetTemplate":
		if r.FormValue("TemplateStage") == "Processed" {
			body.WriteString("<TemplateBody>")
			_ = xml.EscapeText(&body, []byte(a.template))
			body.WriteString("</TemplateBody>")
		}
	}
	fmt.Fprintf(w, `<%sResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><%[1]sResult>%s</%[1]sResult></%[1]sResponse>`, action, &body)
}
