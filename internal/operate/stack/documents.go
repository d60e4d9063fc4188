package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// Templates is the part of CloudFormation's client that is used here.
type Templates interface {
	GetTemplate(context.Context, *cloudformation.GetTemplateInput, ...func(*cloudformation.Options)) (*cloudformation.GetTemplateOutput, error)
}

// A Document is an SSM document in the stack's template.
type Document struct {
	LogicalID string
	Content   string // JSON
}

// Documents returns the documents of the template that the stack was deployed from, sorted by logical ID.
func (s *Stack) Documents(ctx context.Context, client Templates) ([]Document, error) {
	// The processed template is always JSON, and exists for every stack.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_GetTemplate.html
	out, err := client.GetTemplate(ctx, &cloudformation.GetTemplateInput{StackName: &s.Name, TemplateStage: types.TemplateStageProcessed})
	if err != nil {
		return nil, fmt.Errorf("get the template of stack %s: %w", s.Name, err)
	}
	var template struct {
		Resources map[string]struct {
			Type       string
			Properties struct{ Content json.RawMessage }
		}
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.TemplateBody)), &template); err != nil {
		return nil, fmt.Errorf("the template of stack %s cannot be read: %w", s.Name, err)
	}
	var documents []Document
	for _, id := range slices.Sorted(maps.Keys(template.Resources)) {
		if r := template.Resources[id]; r.Type == "AWS::SSM::Document" {
			documents = append(documents, Document{LogicalID: id, Content: string(r.Properties.Content)})
		}
	}
	if len(documents) == 0 {
		return nil, fmt.Errorf("the template of stack %s has no document for hosts: is it a stack of this template?", s.Name)
	}
	return documents, nil
}
