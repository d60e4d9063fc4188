package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/operate/runbook"
	"dcv-session-broker/internal/operate/stack"
)

// system returns what reads the records of the stack, or of the system on one machine.
func (p *program) system(ctx context.Context) (records.System, error) {
	if p.url != "" {
		l, _, err := p.local(ctx)
		return l, err
	}
	cfg, s, err := p.deployed(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := s.Output("SessionsTableName")
	if err != nil {
		return nil, err
	}
	hosts, err := hostsTable(cfg, s)
	if err != nil {
		return nil, err
	}
	minutes, err := s.Parameter("GiveUpAfterMinutes")
	if err != nil {
		return nil, err
	}
	giveUp, err := strconv.Atoi(minutes)
	if err != nil {
		return nil, fmt.Errorf("the parameter GiveUpAfterMinutes: %w", err)
	}
	step := dynamo.IndexStep(s.Parameters["IndexStep"])
	if step == "" { // the stack is older than the parameter
		step = "0"
	}
	logs := records.Logs{Events: cloudwatchlogs.NewFromConfig(cfg)}
	if logs.Unknown = s.ReadResources(ctx, cloudformation.NewFromConfig(cfg)); logs.Unknown == nil {
		logs.Groups = records.GroupsOf(s.Resources)
	}
	client := dynamodb.NewFromConfig(cfg)
	return records.Stack{
		Reader:         dynamo.NewReader(client, sessions),
		Index:          dynamo.Index{Client: client, Table: sessions, Step: step},
		Hosts:          hosts,
		Logs:           logs,
		SystemsManager: records.SystemsManager{Client: ssm.NewFromConfig(cfg)},
		GiveUp:         time.Duration(giveUp) * time.Minute,
	}, nil
}

// sources returns what explain and stuck read: the system, its clock, and the runbook.
func (p *program) sources(ctx context.Context) (system records.System, now func() time.Time, book *runbook.Runbook, err error) {
	if system, err = p.system(ctx); err != nil {
		return nil, nil, nil, err
	}
	if now, err = system.Clock(ctx); err != nil {
		return nil, nil, nil, err
	}
	book, err = readRunbook()
	return system, now, book, err
}

// hostsTable returns the stack's table of hosts.
func hostsTable(cfg aws.Config, s *stack.Stack) (dynamo.Hosts, error) {
	name, err := s.Output("HostsTableName")
	return dynamo.Hosts{Client: dynamodb.NewFromConfig(cfg), Table: name}, err
}

// local returns the system on one machine.
func (p *program) local(ctx context.Context) (l records.Local, cfg aws.Config, err error) {
	cfg, err = p.sdk(ctx)
	return records.Local{HTTP: httpClient(), URL: p.url, SystemsManager: records.SystemsManager{Client: p.localSSM(cfg)}}, cfg, err
}

// localSSM and localEC2 return clients of the simulated services, at the address of the control API.
func (p *program) localSSM(cfg aws.Config) *ssm.Client {
	return ssm.NewFromConfig(cfg, func(o *ssm.Options) { o.BaseEndpoint = aws.String(p.url + "/local/ssm") })
}

func (p *program) localEC2(cfg aws.Config) *ec2.Client {
	return ec2.NewFromConfig(cfg, func(o *ec2.Options) { o.BaseEndpoint = aws.String(p.url + "/local/ec2") })
}
