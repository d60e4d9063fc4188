package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// The SDK's own client loses answers on a busy machine: see awsclient.Client. With and without
// certificates of a company, dcvbroker has the other, which makes calls.
func TestSDKHasTheClientThatLosesNoAnswers(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("{}")) }))
	defer server.Close()
	plain := httptest.NewServer(server.Config.Handler)
	defer plain.Close()
	bundle := filepath.Join(t.TempDir(), "company.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for certificates, endpoint := range map[string]string{"": plain.URL, bundle: server.URL} {
		t.Setenv("AWS_CA_BUNDLE", certificates)
		p := program{getenv: os.Getenv, url: "http://127.0.0.1:8080"}
		config, err := p.sdk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, is := config.HTTPClient.(*awshttp.BuildableClient); is {
			t.Error("it is the SDK's own client")
		}
		client := ssm.NewFromConfig(config, func(o *ssm.Options) { o.BaseEndpoint = aws.String(endpoint) })
		if _, err := client.DescribeInstanceInformation(t.Context(), nil); err != nil {
			t.Errorf("with the certificates %q: %v", certificates, err)
		}
	}
}
