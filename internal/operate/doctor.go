package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/spf13/cobra"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/doctor"
	"dcv-session-broker/internal/session"
)

func (p *program) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [HOST...]",
		Short: "Says host by host what is missing, and the command that fixes it",
		Long: `Says host by host what is missing, and the command that fixes it; without hosts,
for all that have the fleet's tag. It also compares the documents that hosts run
with those that the stack was deployed with.

It sends no command to a host and changes nothing. The newest inventory with all
of a host's sessions shows whether the host's dcv answers. At the end it lists
what it does not look at.

It needs the permissions cloudformation:DescribeStacks, ListStackResources and
GetTemplate; ssm:DescribeInstanceInformation, DescribeDocument, GetDocument and
GetServiceSetting; ec2:DescribeInstances; and dynamodb:BatchGetItem on the table
of hosts. It exits with 1 if there is a fault.`,
		Example: `  dcvbroker doctor --stack studio
  dcvbroker doctor i-0a1b2c3d4e5f60001 mi-0123456789abcdef0`,
		ValidArgsFunction: func(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return p.complete(cmd, given, begun, api.Session.HostID)
		},
		RunE: func(cmd *cobra.Command, hosts []string) error { return p.examine(cmd.Context(), hosts) },
	}
}

func (p *program) examine(ctx context.Context, hosts []string) error {
	of := p.doctorOfStack
	if p.url != "" {
		of = p.doctorOfLocal
	}
	d, minutes, err := of(ctx)
	if err != nil {
		return err
	}
	every, err := strconv.Atoi(minutes)
	if err != nil {
		return fmt.Errorf("the parameter InventoryMinutes: %w", err)
	}
	d.Named, d.InventoryEvery = hosts, time.Duration(every)*time.Minute
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

// doctorOfStack examines the hosts and documents of the stack as it was deployed, of whatever release.
func (p *program) doctorOfStack(ctx context.Context) (d *doctor.Doctor, inventoryMinutes string, err error) {
	cfg, s, err := p.deployed(ctx)
	if err != nil {
		return nil, "", err
	}
	if err := s.ReadResources(ctx, cloudformation.NewFromConfig(cfg)); err != nil {
		return nil, "", err
	}
	tagValue, err := s.Parameter("FleetTagValue")
	if err != nil {
		return nil, "", err
	}
	if inventoryMinutes, err = s.Parameter("InventoryMinutes"); err != nil {
		return nil, "", err
	}
	notes, err := hostsTable(cfg, s)
	if err != nil {
		return nil, "", err
	}
	deployed, err := s.Documents(ctx, cloudformation.NewFromConfig(cfg))
	if err != nil {
		return nil, "", err
	}
	d = &doctor.Doctor{
		SystemsManager: ssm.NewFromConfig(cfg), EC2: ec2.NewFromConfig(cfg), Notes: notes,
		TagValue: tagValue, Now: p.now, Release: s.Outputs["Version"], Program: version,
	}
	if id, err := arn.Parse(s.ID); err == nil {
		d.Partition = id.Partition
	}
	for _, document := range deployed {
		name, err := s.Resource(document.LogicalID)
		if err != nil {
			return nil, "", err
		}
		d.Documents = append(d.Documents, doctor.Document{LogicalID: document.LogicalID, Name: name, Content: document.Content})
	}
	fmt.Fprintf(p.out, "stack %s (%s) in %s, hosts with the tag %s=%s\n", s.Name, s.Status, cfg.Region, session.FleetTagKey, tagValue)
	return d, inventoryMinutes, nil
}

// doctorOfLocal examines those of the system on one machine, where a document's name is its logical ID.
func (p *program) doctorOfLocal(ctx context.Context) (d *doctor.Doctor, inventoryMinutes string, err error) {
	l, cfg, err := p.local(ctx)
	if err != nil {
		return nil, "", err
	}
	settings, err := l.Settings(ctx)
	if err != nil {
		return nil, "", err
	}
	d = &doctor.Doctor{
		SystemsManager: p.localSSM(cfg), EC2: p.localEC2(cfg), Notes: l, TagValue: settings.Parameters["FleetTagValue"], Now: settings.Clock(),
	}
	for _, id := range slices.Sorted(maps.Keys(settings.Documents)) {
		d.Documents = append(d.Documents, doctor.Document{LogicalID: id, Name: id, Content: string(settings.Documents[id])})
	}
	return d, settings.Parameters["InventoryMinutes"], nil
}
