package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"dcv-session-broker/internal/awsenv/awsclient"
	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/operate/stack"
	"dcv-session-broker/internal/operate/token"
)

// A connection is to one system: a stack, or an API.
type connection struct {
	API *api.Client
	// Stack and AWS are set for a stack; for an API's address Stack is nil.
	Stack *stack.Stack
	AWS   aws.Config
}

// connect finds the system. It does not call its API yet.
func (p *program) connect(ctx context.Context) (*connection, error) {
	client := httpClient()
	c := &connection{API: &api.Client{URL: p.url, HTTP: client, Pause: p.pause / 2, Note: func(line string) { p.note("%s", line) }}}
	if p.url != "" {
		c.API.Tokens = p.tokensOfURL(client)
		return c, nil
	}
	var err error
	if c.AWS, c.Stack, err = p.deployed(ctx); err != nil {
		return nil, err
	}
	if c.API.URL, err = c.Stack.Output("ApiUrl"); err != nil {
		return nil, err
	}
	c.API.Tokens, err = p.tokensOfStack(c, client)
	return c, err
}

// control returns the control API of a system on one machine, which is under /local/ of its address.
func (c *connection) control() records.Local { return records.Local{HTTP: c.API.HTTP, URL: c.API.URL} }

// batch returns how many entries one request may have. For an address that is not known: the client begins with the
// default and halves it on refusal.
func (c *connection) batch() int {
	if c.Stack != nil {
		if n, err := strconv.Atoi(c.Stack.Parameters["MaxBatchSize"]); err == nil && n > 0 {
			return n
		}
	}
	return api.DefaultBatch
}

// httpClient follows no redirect: the API has none, and the token must not go to another address.
func httpClient() *http.Client {
	return &http.Client{
		Timeout:       35 * time.Second, // API Gateway ends a call after 30
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// sdk returns the SDK's configuration. The system on one machine needs no credentials, but the SDK does.
func (p *program) sdk(ctx context.Context) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{config.WithLogger(logging.Nop{})} // what fails is an error, too
	switch {
	case p.url != "":
		options = append(options, config.WithRegion("us-east-1"), config.WithCredentialsProvider(
			aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
			})))
	default:
		if p.region != "" {
			options = append(options, config.WithRegion(p.region))
		}
		if p.profile != "" {
			options = append(options, config.WithSharedConfigProfile(p.profile))
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, fmt.Errorf("%w: is --profile, or AWS_PROFILE, one of aws configure list-profiles?", err)
	}
	if cfg.HTTPClient == nil { // with AWS_CA_BUNDLE there is one
		cfg.HTTPClient = awshttp.NewBuildableClient()
	}
	cfg.HTTPClient = awsclient.Client(cfg.HTTPClient)
	if cfg.Region == "" {
		return cfg, errors.New("no region is configured: give --region, or set AWS_REGION, or AWS_PROFILE to a profile that has one. For a system on one machine give --url, or set DCVBROKER_URL")
	}
	return cfg, nil
}

// deployed reads the stack.
func (p *program) deployed(ctx context.Context) (aws.Config, *stack.Stack, error) {
	cfg, err := p.sdk(ctx)
	if err != nil {
		return cfg, nil, err
	}
	s, err := stack.Read(ctx, cloudformation.NewFromConfig(cfg), cfg.Region, p.stack)
	if failed := (*smithy.OperationError)(nil); errors.As(err, &failed) && !stack.Missing(err) {
		err = fmt.Errorf("%w: aws sts get-caller-identity shows whether there are credentials, and whose. For a system on one machine give --url, or set DCVBROKER_URL", err)
	}
	return cfg, s, err
}

// ofStack refuses an address for a verb that needs a stack.
func (p *program) ofStack(verb string) error {
	if p.url != "" {
		return fmt.Errorf("%s is about a stack: give --stack in place of --url or DCVBROKER_URL", verb)
	}
	return nil
}

const defaultScope = "dcv-session-manager/sm_scope"

// tokensOfURL returns the source of the environment, if there is one. Otherwise it is that of a system on one machine,
// which accepts any client and any secret.
func (p *program) tokensOfURL(client *http.Client) token.Source {
	scope := p.getenv("SCOPE")
	if scope == "" {
		scope = defaultScope
	}
	if own := p.ownTokens(p.url, scope, client); own != nil {
		return own
	}
	local := p.cached(p.url, token.Credentials{
		HTTP: client, URL: p.url + "/oauth2/token", ClientID: "any", Scope: scope,
		Secret: func(context.Context) (string, error) { return "any", nil },
	})
	local.Dir = "" // they cost nothing
	return localTokens{local}
}

// localTokens adds to an error what the address may be instead of a system on one machine.
type localTokens struct{ token.Source }

func (l localTokens) Token(ctx context.Context, refused string) (string, error) {
	got, err := l.Source.Token(ctx, refused)
	if err != nil {
		err = fmt.Errorf("%w: is a system running there, which make run starts? For another API set TOKEN, or TOKEN_URL, CLIENT_ID and CLIENT_SECRET", err)
	}
	return got, err
}

// ownTokens returns the source of the caller's environment, or nil.
func (p *program) ownTokens(address, scope string, client *http.Client) token.Source {
	if given := p.getenv("TOKEN"); given != "" {
		return token.Given(given)
	}
	if issuer, id, secret := p.getenv("TOKEN_URL"), p.getenv("CLIENT_ID"), p.getenv("CLIENT_SECRET"); issuer != "" && id != "" && secret != "" {
		return p.cached(address, token.Credentials{HTTP: client, URL: issuer, ClientID: id, Scope: scope,
			Secret: func(context.Context) (string, error) { return secret, nil }})
	}
	return nil
}

// tokensOfStack returns the source of the environment, if there is one, otherwise the stack's user pool.
func (p *program) tokensOfStack(c *connection, client *http.Client) (token.Source, error) {
	s := c.Stack
	scope, err := s.Parameter("Scope")
	if err != nil {
		return nil, err
	}
	if own := p.ownTokens(c.API.URL, scope, client); own != nil {
		return own, nil
	}
	if issuer := s.Parameters["Issuer"]; issuer != "" {
		return nil, fmt.Errorf("the stack takes tokens of %s: set TOKEN to one, or TOKEN_URL, CLIENT_ID and CLIENT_SECRET to get one", issuer)
	}
	pool, err := s.Output("UserPoolId")
	if err != nil {
		return nil, err
	}
	id, err := s.Output("ClientId")
	if err != nil {
		return nil, err
	}
	address, err := s.Output("TokenUrl")
	if err != nil {
		return nil, err
	}
	pools := cognitoidentityprovider.NewFromConfig(c.AWS)
	return p.cached(c.API.URL, token.Credentials{
		HTTP: client, URL: address, ClientID: id, Scope: scope, Secret: token.SecretOf(pools, pool, id),
	}), nil
}

// cached keeps the tokens for one API, because each new one is billed.
func (p *program) cached(address string, from token.Credentials) *token.Cache {
	return &token.Cache{
		From: from, API: address, Dir: p.cacheDir, Now: p.now,
		Note: func(why string) { fmt.Fprintln(p.err, "note:", why) },
	}
}
