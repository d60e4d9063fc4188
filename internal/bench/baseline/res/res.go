// Package res deletes sessions as Research and Engineering Studio on AWS does
// since release 2026.06, which has no session broker any more. It is written
// after RES's source (github.com/aws/res): terminate_sessions of
// res/resources/vdi_management.py, describe_sessions of
// res/resources/dcv/sessions.py, and res/utils/ssm_utils.py.
//
// RES ends a session by terminating its instance. Before that it asks the host
// by Run Command how many clients are connected, and refuses to delete a session
// that has any, unless the caller forces it. What else RES does is left out,
// in its favour: its API, its schedules and permissions, S3, Active Directory.
package res

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// SSM_DEFAULT_BATCH_SIZE, COMMAND_TIMEOUT_SECONDS and
// COMMAND_POLL_INTERVAL_SECONDS of ssm_utils.py.
const (
	batchSize    = 50
	waitAtMost   = 60 * time.Second
	pollInterval = 2 * time.Second
)

// A Deleter deletes sessions, for callers who do not force it.
type Deleter struct {
	DynamoDB       *dynamodb.Client
	SystemsManager *ssm.Client
	EC2            *ec2.Client
	Table          string
	// Sleep waits between two reads of a command.
	Sleep func(time.Duration)
}

// A Session is one to be deleted, and what its caller is told: why it was not,
// or "" where it was.
type Session struct {
	ID, Owner     string
	FailureReason string

	hostID      string
	connections int
}

// Delete returns the result of each session in its FailureReason. An error is one
// answer for all.
func (d *Deleter) Delete(ctx context.Context, sessions []*Session) error {
	var known []*Session
	for _, s := range sessions { // validate_sessions_to_delete
		out, err := d.DynamoDB.GetItem(ctx, &dynamodb.GetItemInput{TableName: &d.Table, Key: key(s.ID)})
		if err != nil {
			return err
		}
		owner, _ := out.Item["Owner"].(*types.AttributeValueMemberS)
		host, _ := out.Item["HostId"].(*types.AttributeValueMemberS)
		if owner == nil || host == nil || owner.Value != s.Owner {
			s.FailureReason = "Invalid RES Session ID"
			continue
		}
		s.hostID = host.Value
		known = append(known, s)
	}
	d.countConnections(ctx, known)
	var hosts []string
	for _, s := range known { // terminate_sessions
		if s.connections > 0 {
			s.FailureReason = fmt.Sprintf("There exists %d active connection(s) for session_id: %s. Please terminate.", s.connections, s.ID)
			continue
		}
		// RES deletes the record after it has set this state; here its state tells so.
		for _, state := range []string{"DELETING", "DELETED"} {
			if err := d.setState(ctx, s.ID, state); err != nil {
				return err
			}
		}
		hosts = append(hosts, s.hostID)
	}
	if len(hosts) == 0 {
		return nil
	}
	_, err := d.EC2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: hosts})
	return err
}

// A pending command is one host's part.
type pending struct {
	session   *Session
	commandID string
}

// countConnections is get_active_counts_for_sessions: a session that cannot be
// described has no connections.
func (d *Deleter) countConnections(ctx context.Context, sessions []*Session) {
	var commands []pending
	for batch := range slices.Chunk(sessions, batchSize) { // send_command_to_os_groups
		var hosts []string
		for _, s := range batch {
			hosts = append(hosts, s.hostID)
		}
		out, err := d.SystemsManager.SendCommand(ctx, &ssm.SendCommandInput{
			DocumentName:   aws.String("AWS-RunShellScript"),
			InstanceIds:    hosts,
			Parameters:     map[string][]string{"commands": {"dcv describe-session $(dcv list-sessions --json | first id) --json"}},
			TimeoutSeconds: aws.Int32(int32(waitAtMost / time.Second)),
			MaxErrors:      aws.String("100%"),
		})
		if err != nil { // the whole batch cannot be described
			continue
		}
		for _, s := range batch {
			commands = append(commands, pending{s, *out.Command.CommandId})
		}
	}
	for _, c := range commands { // collect_command_results, one after another
		var described struct {
			Connections int `json:"num-of-connections"`
		}
		text, err := d.wait(ctx, c)
		if err == nil && json.Unmarshal([]byte(text), &described) == nil {
			c.session.connections = described.Connections
		}
	}
}

// wait is wait_for_command, with boto3's waiter command_executed in it: it reads,
// pauses, and reads again, and at the end reads once more.
func (d *Deleter) wait(ctx context.Context, c pending) (output string, err error) {
	read := &ssm.GetCommandInvocationInput{CommandId: &c.commandID, InstanceId: &c.session.hostID}
	for n := range int(waitAtMost / pollInterval) {
		if n > 0 {
			d.Sleep(pollInterval)
		}
		out, err := d.SystemsManager.GetCommandInvocation(ctx, read)
		var none *ssmtypes.InvocationDoesNotExist
		switch {
		case errors.As(err, &none):
			continue
		case err != nil:
			return "", err
		case out.Status == ssmtypes.CommandInvocationStatusSuccess:
			out, err := d.SystemsManager.GetCommandInvocation(ctx, read)
			if err != nil {
				return "", err
			}
			return aws.ToString(out.StandardOutputContent), nil
		}
	}
	_, err = d.SystemsManager.GetCommandInvocation(ctx, read)
	return "", errors.Join(fmt.Errorf("SSM command %s timed out", c.commandID), err)
}

func (d *Deleter) setState(ctx context.Context, id, state string) error {
	_, err := d.DynamoDB.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &d.Table, Key: key(id),
		UpdateExpression:          aws.String("SET #state = :state"),
		ExpressionAttributeNames:  map[string]string{"#state": "State"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":state": &types.AttributeValueMemberS{Value: state}},
	})
	return err
}

func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"SessionId": &types.AttributeValueMemberS{Value: id}}
}
