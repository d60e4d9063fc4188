package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/spf13/cobra"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/operate/doctor"
	"dcv-session-broker/internal/operate/stack"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

func (p *program) doctorCommand() *cobra.Command {
	templateFile := ""
	cmd := &cobra.Command{
		Use:   "doctor [HOST...]",
		Short: "Says host by host what is missing, and the command that fixes it",
		Example: `  dcvbroker doctor --stack studio
  dcvbroker doctor i-0a1b2c3d4e5f60001 mi-0123456789abcdef0`,
		RunE: func(cmd *cobra.Command, hosts []string) error {
			return p.doctor(cmd.Context(), hosts, templateFile)
		},
	}
	cmd.Flags().StringVar(&templateFile, "template", "template.yaml", "the template of this checkout")
	return cmd
}

func (p *program) doctor(ctx context.Context, hosts []string, templateFile string) error {
	written, err := template.Load(templateFile, nil)
	if err != nil {
		return err
	}
	var cfg aws.Config
	var s *stack.Stack
	tagValue, minutes := written.Parameters()["FleetTagValue"], written.Parameters()["InventoryMinutes"]
	var notes session.HostNotes
	if p.url != "" {
		// There a document's name is its logical ID, and the services are where AWS_ENDPOINT_URL_SSM and _EC2 say.
		for _, variable := range []string{"AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL_EC2"} {
			if p.getenv(variable) == "" {
				return fmt.Errorf("%s is not set: start the system with SSM_PORT and EC2_PORT, and name those ports", variable)
			}
		}
		if cfg, err = p.sdk(ctx); err != nil {
			return err
		}
		notes = doctor.Control{HTTP: &http.Client{Timeout: 10 * time.Second}, URL: p.url}
	} else {
		if cfg, s, err = p.deployed(ctx); err != nil {
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
		fmt.Fprintf(p.out, "stack %s (%s) in %s, hosts with the tag %s=%s\n", s.Name, s.Status, cfg.Region, session.FleetTagKey, tagValue)
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
		Named:          hosts,
	}
	if d.Documents, err = documents(ctx, cfg, s, written); err != nil {
		return err
	}
	report, err := d.Examine(ctx)
	if err != nil {
		return err
	}
	report.Print(p.out)
	if report.Faults() > 0 {
		return errUnsuccessful
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
