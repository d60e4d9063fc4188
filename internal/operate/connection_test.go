package main

import (
	"os"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// The SDK's own client loses answers on a busy machine: see awsenv.Client.
func TestSDKHasTheClientThatLosesNoAnswers(t *testing.T) {
	for _, url := range []string{"", "http://127.0.0.1:8080"} {
		p := program{getenv: os.Getenv, url: url, region: "us-east-1"}
		config, err := p.sdk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, is := config.HTTPClient.(*awshttp.BuildableClient); is || config.HTTPClient == nil {
			t.Errorf("%q: the SDK's own client: %T", url, config.HTTPClient)
		}
	}
}
