package fleet

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"dcv-session-broker/internal/awsenv"
)

// event is an EventBridge event as AWS's services send it to the default bus.
type event struct {
	Version    string            `json:"version"`
	ID         string            `json:"id"`
	DetailType string            `json:"detail-type"`
	Source     string            `json:"source"`
	Account    string            `json:"account"`
	Time       string            `json:"time"`
	Region     string            `json:"region"`
	Resources  []string          `json:"resources"`
	Detail     map[string]string `json:"detail"`
}

const milliseconds = "2006-01-02T15:04:05.000Z"

func (f *Fleet) put(source, detailType string, resources []string, detail map[string]string) {
	encoded, err := json.Marshal(event{
		Version:    "0",
		ID:         awsenv.NewID(),
		DetailType: detailType,
		Source:     source,
		Account:    account,
		Time:       f.now().UTC().Format(time.RFC3339),
		Region:     region,
		Resources:  resources,
		Detail:     detail,
	})
	if err != nil { // strings only
		panic(err)
	}
	f.outbox = append(f.outbox, encoded)
}

// instanceStarted sends the events of both states of a start, which takes no time here.
func (f *Fleet) instanceStarted(h *host) {
	f.instanceIs(h, types.InstanceStateNamePending)
	f.instanceChanged(h)
}

func (f *Fleet) instanceChanged(h *host) { f.instanceIs(h, h.instanceState()) }

// instanceIs sends EC2's event. Machines outside EC2 have none.
func (f *Fleet) instanceIs(h *host, state types.InstanceStateName) {
	f.log.Info("host changed", "Host", h.id, "State", state)
	if isInstance(h.id) {
		f.put("aws.ec2", "EC2 Instance State-change Notification", []string{arn(h.id)},
			map[string]string{"instance-id": h.id, "state": string(state)})
	}
}

// invocationChanged sends Systems Manager's event for a command on one host.
func (f *Fleet) invocationChanged(i *invocation) {
	c := i.command
	f.log.Debug("invocation changed", "Host", i.host.id, "Command", c.id, "Document", c.document.LogicalID,
		"Status", i.status.details)
	if i.status.ended && i.host.LosesEvents {
		f.log.Info("event lost", "Host", i.host.id, "Command", c.id, "Status", i.status.details)
		return
	}
	f.put("aws.ssm", "EC2 Command Invocation Status-change Notification", []string{arn(i.host.id)}, map[string]string{
		"command-id":          c.id,
		"document-name":       c.document.LogicalID,
		"instance-id":         i.host.id,
		"requested-date-time": c.requested.UTC().Format(milliseconds),
		"status":              string(i.status.code),
	})
}

// commandChanged sends Systems Manager's event for a command as a whole. Its detail-type differs by one word.
func (f *Fleet) commandChanged(c *command, status string) {
	var resources []string
	for _, i := range c.invocations {
		resources = append(resources, arn(i.host.id))
	}
	f.put("aws.ssm", "EC2 Command Status-change Notification", resources, map[string]string{
		"command-id":          c.id,
		"document-name":       c.document.LogicalID,
		"expire-after":        c.expires.UTC().Format(milliseconds),
		"requested-date-time": c.requested.UTC().Format(milliseconds),
		"status":              status,
	})
}

func arn(hostID string) string {
	service, kind := "ec2", "instance"
	if !isInstance(hostID) {
		service, kind = "ssm", "managed-instance"
	}
	return fmt.Sprintf("arn:aws:%s", strings.Join([]string{service, region, account, kind + "/" + hostID}, ":"))
}
