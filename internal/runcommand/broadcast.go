package runcommand

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// BroadcasterAPI is the part of the Systems Manager client that a Broadcaster uses.
type BroadcasterAPI interface {
	SenderAPI
	ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
}

// A Broadcaster asks all hosts with the fleet's tag in one call, however many they are.
type Broadcaster struct {
	API BroadcasterAPI
	// InventoryDocument and IdleDocument are the documents' names.
	InventoryDocument, IdleDocument string
	// FleetTag is the value of the tag DcvFleet on the fleet's hosts.
	FleetTag string
}

// Inventory asks the hosts which sessions run. The command's comment has the ID and the
// time.
func (b *Broadcaster) Inventory(ctx context.Context, id string, sentAt time.Time) error {
	return b.send(ctx, b.InventoryDocument, comment{kind: inventoryKind, id: id, at: sentAt}, nil)
}

// CloseIdle asks the hosts to close sessions that nobody has used for that time.
// Without a warning it sends the document's defaults, and no user is warned.
func (b *Broadcaster) CloseIdle(ctx context.Context, id string, sentAt time.Time, limit session.IdleLimit) error {
	parameters := map[string][]string{"idleMinutes": {strconv.Itoa(int(limit.After / time.Minute))}}
	if warn := limit.WarnBefore(); warn > 0 {
		parameters["warnSeconds"] = []string{strconv.Itoa(int(warn / time.Second))}
		if limit.Message != "" {
			parameters["message"] = []string{base64.StdEncoding.EncodeToString([]byte(limit.Message))}
		}
	}
	return b.send(ctx, b.IdleDocument, comment{kind: idleKind, id: id, at: sentAt}, parameters)
}

func (b *Broadcaster) send(ctx context.Context, document string, c comment, parameters map[string][]string) error {
	in := surveyCommand(document, c)
	in.Targets = []types.Target{{Key: aws.String("tag:" + session.FleetTagKey), Values: []string{b.FleetTag}}}
	in.Parameters = parameters
	_, err := b.API.SendCommand(ctx, in)
	// A fleet without a connected host is no failure: there is nobody to ask.
	if none := (*types.InvalidInstanceId)(nil); errors.As(err, &none) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("send %s to the fleet: %w", document, err)
	}
	return nil
}

// surveyCommand returns a command without its hosts.
func surveyCommand(document string, c comment) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{
		DocumentName:   aws.String(document),
		Comment:        aws.String(c.String()),
		TimeoutSeconds: aws.Int32(int32(DeliveryTimeout / time.Second)),
		MaxErrors:      aws.String("100%"),
		MaxConcurrency: aws.String("100%"),
	}
}
