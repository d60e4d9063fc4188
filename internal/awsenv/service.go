package awsenv

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// A Service is an AWS service that functions call.
type Service struct {
	// Name is the SDK's name of it, as in AWS_ENDPOINT_URL_<Name>.
	Name string
	// CallTimeout is how long one try of a call may take.
	CallTimeout time.Duration
}

// The services that functions call. A call that hangs must end, with all its
// tries, before its function does: LongestCall.
var (
	DynamoDB       = Service{"DYNAMODB", 4 * time.Second}
	SystemsManager = Service{"SSM", 6 * time.Second}
	EC2            = Service{"EC2", 6 * time.Second}
)

const (
	maxTries = 3
	maxPause = time.Second // between two tries
)

// LongestCall returns how long a call without an answer takes at most.
func (s Service) LongestCall() time.Duration {
	return maxTries*s.CallTimeout + (maxTries-1)*maxPause
}

// Config returns the SDK's configuration for a client of the service. It is made by hand
// since config.LoadDefaultConfig, which also looks for profiles, containers and instance
// roles, is a good part of a cold start; a Lambda function has its region and credentials
// in its environment, always (Lambda developer guide, "Defined runtime environment
// variables").
//
// CALL_TIMEOUT_SECONDS overrides CallTimeout, for stand-ins on slow machines.
func (s Service) Config() aws.Config {
	callTimeout := s.CallTimeout
	if n, err := strconv.Atoi(os.Getenv("CALL_TIMEOUT_SECONDS")); err == nil && n > 0 {
		callTimeout = time.Duration(n) * time.Second
	}
	return aws.Config{
		Region:       os.Getenv("AWS_REGION"),
		Credentials:  aws.CredentialsProviderFunc(credentials),
		BaseEndpoint: s.endpoint(),
		HTTPClient: &client{HTTPClient: awshttp.NewBuildableClient().WithTimeout(callTimeout).WithTransportOptions(func(t *http.Transport) {
			// A batch of 1,000 sessions is 40 parallel calls.
			t.MaxIdleConnsPerHost = 64
			// All except the first resume its TLS session, if the service allows that: less than
			// half the processor time of a full handshake.
			t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		})},
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = maxTries
				o.MaxBackoff = maxPause
			})
		},
	}
}

// endpoint returns the value of AWS_ENDPOINT_URL_<Name>, or of AWS_ENDPOINT_URL for all
// services, or nil for AWS's endpoint. The variables are the SDK's; they are read here
// because the configuration is made by hand.
func (s Service) endpoint() *string {
	if url := cmp.Or(os.Getenv("AWS_ENDPOINT_URL_"+s.Name), os.Getenv("AWS_ENDPOINT_URL")); url != "" {
		return aws.String(url)
	}
	return nil
}

func credentials(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID:     os.Getenv("AWS_ACCESS_KEY_ID"),
		SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken:    os.Getenv("AWS_SESSION_TOKEN"),
		Source:          "environment",
	}
	if !c.HasKeys() {
		return c, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
	}
	return c, nil
}
