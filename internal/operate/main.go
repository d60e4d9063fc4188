// Command operate does what an operator of the broker does: it tries it out, looks after its hosts, puts dead letters back,
// and takes a stack down. `make smoke`, `make doctor`, `make redrive` and `make delete-stack` start it. It finds account,
// region and credentials as the AWS CLI does (AWS_PROFILE, AWS_REGION, single sign-on). Nothing that is deployed is made of it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/operate/doctor"
	"dcv-session-broker/internal/operate/redrive"
	"dcv-session-broker/internal/operate/smoke"
	"dcv-session-broker/internal/operate/stack"
	"dcv-session-broker/internal/operate/teardown"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := operator{in: os.Stdin, out: os.Stdout, getenv: os.Getenv}
	switch err := o.run(ctx, os.Args[1:]); {
	case err == nil:
	case errors.Is(err, smoke.ErrFailed), errors.Is(err, errFaults): // said already
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "operate:", err)
		os.Exit(2)
	}
}

// An operator is one run of the command.
type operator struct {
	in     io.Reader
	out    io.Writer
	getenv func(string) string

	stack, url   string
	hosts        string
	templateFile string
	table        string
	confirm      string
}

var (
	errFaults = errors.New("there are faults")
	errUsage  = errors.New("usage: operate smoke|doctor|redrive|delete-stack [-stack NAME] [-url URL] [-hosts 'ID ...'] [-table keep|delete] [-confirm NAME]")
)

func (o *operator) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("operate", flag.ContinueOnError)
	flags.SetOutput(o.out)
	flags.StringVar(&o.stack, "stack", "dcv-session-broker", "the deployed stack")
	flags.StringVar(&o.url, "url", "", "the address of the system on one machine, instead of a stack")
	flags.StringVar(&o.hosts, "hosts", "", "for doctor: the hosts to examine, instead of all that are tagged")
	flags.StringVar(&o.templateFile, "template", "template.yaml", "for doctor: the template of this checkout")
	flags.StringVar(&o.table, "table", "keep", "for delete-stack: keep, or delete")
	flags.StringVar(&o.confirm, "confirm", "", "for delete-stack: the stack's name, instead of being asked for it")
	if err := flags.Parse(args[1:]); err != nil {
		return errUsage
	}
	if flags.NArg() > 0 {
		return errUsage
	}
	o.url = strings.TrimRight(o.url, "/")
	switch args[0] {
	case "smoke":
		return o.smoke(ctx)
	case "doctor":
		return o.doctor(ctx)
	case "redrive":
		return o.redrive(ctx)
	case "delete-stack":
		return o.deleteStack(ctx)
	}
	return errUsage
}

// pause is between two looks at what takes AWS minutes.
const pause = 5 * time.Second

// sdk is the SDK's configuration. The system on one machine wants no credentials, but the SDK does.
func (o *operator) sdk(ctx context.Context) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if o.url != "" {
		options = append(options, config.WithRegion("us-east-1"), config.WithCredentialsProvider(
			aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "local", SecretAccessKey: "local"}, nil
			})))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err == nil && cfg.Region == "" {
		err = errors.New("no region is configured: set AWS_REGION, or AWS_PROFILE to a profile that has one")
	}
	return cfg, err
}

func (o *operator) deployed(ctx context.Context) (aws.Config, *stack.Stack, error) {
	cfg, err := o.sdk(ctx)
	if err != nil {
		return cfg, nil, err
	}
	s, err := stack.Read(ctx, cloudformation.NewFromConfig(cfg), o.stack)
	return cfg, s, err
}

func (o *operator) smoke(ctx context.Context) error {
	client := &http.Client{Timeout: 35 * time.Second} // the gateway hangs up after 30
	check := &smoke.Check{HTTP: client, Pause: 200 * time.Millisecond, Patience: 2 * time.Minute, Out: o.out}
	if o.url != "" {
		check.API = o.url
		check.Records = &smoke.Control{HTTP: client, URL: o.url}
		check.Tokens = smoke.Credentials{
			HTTP: client, URL: o.url + "/oauth2/token", ClientID: "any", Scope: "dcv-session-manager/sm_scope",
			Secret: func(context.Context) (string, error) { return "any", nil },
		}
		return check.Run(ctx)
	}
	cfg, s, err := o.deployed(ctx)
	if err != nil {
		return err
	}
	table, err := s.Output("SessionsTableName")
	if err != nil {
		return err
	}
	if check.API, err = s.Output("ApiUrl"); err != nil {
		return err
	}
	if check.Tokens, err = o.tokens(cfg, s, client); err != nil {
		return err
	}
	check.Records = smoke.Table{Client: dynamodb.NewFromConfig(cfg), Name: table}
	check.Guarded = true
	fmt.Fprintf(o.out, "stack %s (%s), %s\n", s.Name, s.Status, check.API)
	return check.Run(ctx)
}

// tokens are the caller's, if the environment has any, or else those of the stack's user pool.
func (o *operator) tokens(cfg aws.Config, s *stack.Stack, client *http.Client) (smoke.Tokens, error) {
	scope, err := s.Parameter("Scope")
	if err != nil {
		return nil, err
	}
	if token := o.getenv("TOKEN"); token != "" {
		return smoke.Given(token), nil
	}
	if address, id, secret := o.getenv("TOKEN_URL"), o.getenv("CLIENT_ID"), o.getenv("CLIENT_SECRET"); address != "" && id != "" && secret != "" {
		return smoke.Credentials{HTTP: client, URL: address, ClientID: id, Scope: scope,
			Secret: func(context.Context) (string, error) { return secret, nil }}, nil
	}
	if issuer := s.Parameters["Issuer"]; issuer != "" {
		return nil, fmt.Errorf("the stack's tokens are those of %s: set TOKEN to one, or TOKEN_URL, CLIENT_ID and CLIENT_SECRET to where one can be had", issuer)
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
	pools := cognitoidentityprovider.NewFromConfig(cfg)
	return smoke.Credentials{HTTP: client, URL: address, ClientID: id, Scope: scope, Secret: smoke.SecretOf(pools, pool, id)}, nil
}

func (o *operator) doctor(ctx context.Context) error {
	written, err := template.Load(o.templateFile, nil)
	if err != nil {
		return err
	}
	var cfg aws.Config
	var s *stack.Stack
	tagValue, minutes := written.Parameters()["FleetTagValue"], written.Parameters()["InventoryMinutes"]
	var notes session.HostNotes
	if o.url != "" {
		// There a document's name is its logical ID, and the services are where AWS_ENDPOINT_URL_SSM and _EC2 say.
		for _, variable := range []string{"AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_EC2"} {
			if o.getenv(variable) == "" {
				return fmt.Errorf("%s is not set: start the system with SSM_PORT and EC2_PORT, and name those ports", variable)
			}
		}
		if cfg, err = o.sdk(ctx); err != nil {
			return err
		}
		notes = doctor.Control{HTTP: &http.Client{Timeout: 10 * time.Second}, URL: o.url}
	} else {
		if cfg, s, err = o.deployed(ctx); err != nil {
			return err
		}
		if tagValue, err = s.Parameter("FleetTagValue"); err != nil {
			return err
		}
		if minutes, err = s.Parameter("InventoryMinutes"); err != nil {
			return err
		}
		table, err := s.Output("HostsTableName")
		if err != nil {
			return err
		}
		notes = dynamo.Hosts{Client: dynamodb.NewFromConfig(cfg), Table: table}
		fmt.Fprintf(o.out, "stack %s (%s) in %s, hosts with the tag %s=%s\n", s.Name, s.Status, cfg.Region, session.FleetTagKey, tagValue)
	}
	every, err := strconv.Atoi(minutes)
	if err != nil {
		return fmt.Errorf("the parameter InventoryMinutes: %w", err)
	}
	d := &doctor.Doctor{
		SystemsManager: ssm.NewFromConfig(cfg),
		EC2:            ec2.NewFromConfig(cfg),
		Notes:          notes,
		InventoryEvery: time.Duration(every) * time.Minute,
		TagValue:       tagValue,
		Named:          strings.Fields(o.hosts),
	}
	if d.Documents, err = documents(ctx, cfg, s, written); err != nil {
		return err
	}
	report, err := d.Examine(ctx)
	if err != nil {
		return err
	}
	report.Print(o.out)
	if report.Faults() > 0 {
		return errFaults
	}
	return nil
}

// documents are those that hosts should run: of the stack's own template, which need not be this checkout's (a release was
// deployed, say), or, without a stack, of the checkout.
func documents(ctx context.Context, cfg aws.Config, s *stack.Stack, written *template.Template) (all []doctor.Document, err error) {
	ofCheckout := map[string]string{}
	for _, document := range written.Documents() {
		ofCheckout[document.LogicalID] = document.Content
		all = append(all, doctor.Document{LogicalID: document.LogicalID, Name: document.LogicalID, Content: document.Content})
	}
	if s == nil {
		return all, nil
	}
	deployed, err := s.Documents(ctx, cloudformation.NewFromConfig(cfg))
	if err != nil {
		return nil, err
	}
	all = nil
	for _, document := range deployed {
		name, err := s.Resource(document.LogicalID)
		if err != nil {
			return nil, err
		}
		all = append(all, doctor.Document{
			LogicalID: document.LogicalID, Name: name, Content: document.Content, Checkout: ofCheckout[document.LogicalID],
		})
	}
	return all, nil
}

func (o *operator) redrive(ctx context.Context) error {
	cfg, s, err := o.deployed(ctx)
	if err != nil {
		return err
	}
	queue, err := s.Output("HostEventsDeadLetterQueueUrl")
	if err != nil {
		return err
	}
	r := &redrive.Redrive{SQS: sqs.NewFromConfig(cfg), QueueURL: queue, Pause: time.Second, Out: o.out}
	return r.Run(ctx)
}

func (o *operator) deleteStack(ctx context.Context) error {
	if o.table != "keep" && o.table != "delete" {
		return fmt.Errorf("TABLE is %q; it can be keep or delete", o.table)
	}
	cfg, err := o.sdk(ctx)
	if err != nil {
		return err
	}
	t := &teardown.Teardown{
		CloudFormation: cloudformation.NewFromConfig(cfg),
		DynamoDB:       dynamodb.NewFromConfig(cfg),
		Stack:          o.stack,
		WithTable:      o.table == "delete",
		Confirm:        o.ask,
		Pause:          pause,
		Out:            o.out,
	}
	return t.Run(ctx)
}

// ask is for a name, which may have been given already.
func (o *operator) ask(question string) (string, error) {
	if o.confirm != "" {
		return o.confirm, nil
	}
	fmt.Fprint(o.out, question)
	line, err := bufio.NewReader(o.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}
