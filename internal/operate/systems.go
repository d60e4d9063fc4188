package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/operate/records"
)

// system is what is known of the sessions beside the API: of the stack, or of the system on one machine.
func (p *program) system(ctx context.Context) (records.System, error) {
	if p.url != "" {
		return p.local(ctx)
	}
	cfg, s, err := p.deployed(ctx)
	if err != nil {
		return nil, err
	}
	sessions, err := s.Output("SessionsTableName")
	if err != nil {
		return nil, err
	}
	hosts, err := s.Output("HostsTableName")
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
	client := dynamodb.NewFromConfig(cfg)
	return records.Stack{
		Reader:         dynamo.NewReader(client, sessions),
		Index:          dynamo.Index{Client: client, Table: sessions},
		Hosts:          dynamo.Hosts{Client: client, Table: hosts},
		Logs:           records.Logs{Events: cloudwatchlogs.NewFromConfig(cfg), Groups: records.GroupsOf(s.Resources)},
		SystemsManager: records.SystemsManager{Client: ssm.NewFromConfig(cfg)},
		GiveUp:         time.Duration(giveUp) * time.Minute,
	}, nil
}

// local is the system on one machine.
func (p *program) local(ctx context.Context) (records.Local, error) {
	cfg, err := p.sdk(ctx)
	l := records.Local{HTTP: httpClient(), URL: p.url, SystemsManager: records.SystemsManager{Client: p.localSystemsManager(cfg)}}
	return l, err
}

// localSystemsManager is the simulated one, beside the control API.
func (p *program) localSystemsManager(cfg aws.Config) *ssm.Client {
	return ssm.NewFromConfig(cfg, func(o *ssm.Options) { o.BaseEndpoint = aws.String(p.url + "/local/ssm") })
}
