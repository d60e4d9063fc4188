package system

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/local/runtimeapi"
	"dcv-session-broker/internal/template"
)

// startBootstrap runs a built function instead of the handler in this process. It has
// the environment of the template, and calls DynamoDB Local and the simulated Systems
// Manager over HTTP.
func (sys *System) startBootstrap(f template.Function, path string) (*runtimeapi.Function, error) {
	if sys.opts.DynamoDB == "" {
		return nil, fmt.Errorf("%s: a built function needs the table in DynamoDB Local", f.Name)
	}
	dynamoDB, err := url.Parse(sys.opts.DynamoDB)
	if err != nil {
		return nil, err
	}
	endpoints := map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": sys.counted(f.Name, "dynamodb", httputil.NewSingleHostReverseProxy(dynamoDB)),
		"AWS_ENDPOINT_URL_SSM":      sys.counted(f.Name, "ssm", sys.fleet.Handler()),
		"AWS_ENDPOINT_URL_EC2":      sys.counted(f.Name, "ec2", sys.fleet.EC2Handler()),
	}
	env := []string{"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=" + sys.dynamoDBKey(), "AWS_SECRET_ACCESS_KEY=local", "CALL_TIMEOUT_SECONDS=60"}
	for name, value := range f.Environment {
		if endpoint, ok := endpoints[name]; ok {
			value = endpoint
		}
		env = append(env, name+"="+value)
	}
	running, err := runtimeapi.Start(path, env)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	sys.stop = append(sys.stop, func() {
		running.Stop()
		if output := running.Output(); output != "" {
			sys.opts.Log.Debug("function ended", "Function", f.Name, "Output", output)
		}
	})
	return running, nil
}

// counted serves a service for one function, counts the calls, and returns the
// endpoint.
func (sys *System) counted(function, service string, handler http.Handler) (endpoint string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		if service == "ec2" { // the form names the operation; the handler can still read the parsed form
			operation = r.PostFormValue("Action")
		}
		if operation != "" { // awsenv.Connect only opens a connection, without an operation
			if err := sys.calls.ask(function, service+":"+operation, nil); err != nil {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				fleet.Refuse(w, err)
				return
			}
		}
		handler.ServeHTTP(w, r)
	}))
	sys.stop = append(sys.stop, server.Close)
	return server.URL
}
