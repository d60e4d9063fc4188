// Package awsenv reads what Lambda puts into a function's environment: the
// function's own settings, and what the AWS SDK needs to make clients.
package awsenv

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"dcv-session-broker/internal/telemetry"
)

// Settings reads variables and remembers what is wrong with them, so that one
// message can name it all.
type Settings struct {
	// Getenv looks a variable up; nil is os.Getenv.
	Getenv func(name string) string

	errs []error
}

func (s *Settings) get(name string) string {
	if s.Getenv != nil {
		return s.Getenv(name)
	}
	return os.Getenv(name)
}

// Text is a variable that must be set.
func (s *Settings) Text(name string) string {
	v := s.get(name)
	if v == "" {
		s.errs = append(s.errs, fmt.Errorf("%s is not set", name))
	}
	return v
}

// Count is a variable that must be a whole number of at least 1; ifUnset is
// for one that is not set.
func (s *Settings) Count(name string, ifUnset int) int {
	v := s.get(name)
	if v == "" {
		return ifUnset
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		s.errs = append(s.errs, fmt.Errorf("%s is %q, not a whole number of at least 1", name, v))
	}
	return n
}

// Minutes is a variable that is a time, a whole number of minutes and at least
// so many.
func (s *Settings) Minutes(name string, ifUnset, least int) time.Duration {
	v := s.get(name)
	if v == "" {
		return time.Duration(ifUnset) * time.Minute
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least {
		s.errs = append(s.errs, fmt.Errorf("%s is %q, not a whole number of minutes of at least %d", name, v, least))
	}
	return time.Duration(n) * time.Minute
}

// Switch is a variable that is "true" or "false".
func (s *Settings) Switch(name string, ifUnset bool) bool {
	switch v := s.get(name); v {
	case "":
		return ifUnset
	case "true", "false":
		return v == "true"
	default:
		s.errs = append(s.errs, fmt.Errorf("%s is %q, not true or false", name, v))
		return false
	}
}

// OneOf is a variable that is one of the values; the first is for one that is
// not set.
func (s *Settings) OneOf(name string, values ...string) string {
	v := s.get(name)
	if v == "" {
		return values[0]
	}
	if !slices.Contains(values, v) {
		s.errs = append(s.errs, fmt.Errorf("%s is %q, not one of %q", name, v, values))
	}
	return v
}

// NewID is a random UUID.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Err names all that is wrong with the variables read so far.
func (s *Settings) Err() error { return errors.Join(s.errs...) }

// MustBeRight ends the process if a variable was wrong. Lambda then reports
// the function's start as failed, and the log says why.
func (s *Settings) MustBeRight(log *slog.Logger) {
	if err := s.Err(); err != nil {
		log.Error("the function's environment is wrong: compare it with template.yaml", "Cause", err)
		os.Exit(1)
	}
}

// Output writes JSON lines to stdout, from the level LOG_LEVEL on (info if it
// is not set), and metrics of the stack STACK.
func Output() *telemetry.Output {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv("LOG_LEVEL"))); err != nil {
		level = slog.LevelInfo
	}
	return telemetry.JSON(os.Stdout, level, os.Getenv("STACK"), time.Now)
}

// Config is the SDK's configuration for a function. It is made by hand since
// config.LoadDefaultConfig, which also looks for profiles, containers and
// instance roles, is a good part of a cold start; a Lambda function has its
// region and credentials in its environment, always (Lambda developer guide,
// "Defined runtime environment variables").
//
// A try without an answer after callTimeout counts as failed; three are made at
// most. CALL_TIMEOUT_SECONDS overrides it, for stand-ins on slow machines.
func Config(callTimeout time.Duration) aws.Config {
	if n, err := strconv.Atoi(os.Getenv("CALL_TIMEOUT_SECONDS")); err == nil && n > 0 {
		callTimeout = time.Duration(n) * time.Second
	}
	return aws.Config{
		Region:      os.Getenv("AWS_REGION"),
		Credentials: aws.CredentialsProviderFunc(credentials),
		HTTPClient: &client{HTTPClient: awshttp.NewBuildableClient().WithTimeout(callTimeout).WithTransportOptions(func(t *http.Transport) {
			// A batch of 1,000 sessions is 40 calls side by side.
			t.MaxIdleConnsPerHost = 64
			// All but the first of them resume its session, where the service lets
			// them: less than half the processor time of a whole handshake.
			t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		})},
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = 3
				o.MaxBackoff = time.Second
			})
		},
	}
}

// Endpoint is the endpoint that AWS_ENDPOINT_URL_<service> names, or nil for
// AWS's own. The variable is the SDK's; it is read here since the
// configuration is made by hand.
func Endpoint(service string) *string {
	if url := os.Getenv("AWS_ENDPOINT_URL_" + service); url != "" {
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
