package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// examineDocument compares the document in Systems Manager with the deployed template. Commands run the default
// version.
func (d *Doctor) examineDocument(ctx context.Context, r *Report, document Document) error {
	about := fmt.Sprintf("%s (%s)", document.LogicalID, document.Name)
	out, err := d.SystemsManager.DescribeDocument(ctx, &ssm.DescribeDocumentInput{Name: &document.Name})
	if missing := (*types.InvalidDocument)(nil); errors.As(err, &missing) {
		r.fault(about, "make deploy", "does not exist in this account and region: nothing can be closed")
		return nil
	}
	if err != nil {
		return fmt.Errorf("describe document %s: %w", document.Name, err)
	}
	described := out.Document
	version, latest := aws.ToString(described.DefaultVersion), aws.ToString(described.LatestVersion)
	if described.Status != types.DocumentStatusActive {
		r.fault(about, "", "is %s, not Active: %s", described.Status, aws.ToString(described.StatusInformation))
		return nil
	}
	if version != latest {
		r.fault(about, fmt.Sprintf("aws ssm update-document-default-version --name %s --document-version %s", document.Name, latest),
			"has version %s for its default, which is what hosts run, but %s is the latest", version, latest)
		return nil
	}
	content, err := d.SystemsManager.GetDocument(ctx, &ssm.GetDocumentInput{
		Name: &document.Name, DocumentVersion: &version, DocumentFormat: types.DocumentFormatJson,
	})
	if err != nil {
		return fmt.Errorf("get document %s: %w", document.Name, err)
	}
	same, err := sameContent(aws.ToString(content.Content), document.Content)
	if err != nil {
		return fmt.Errorf("document %s: %w", document.Name, err)
	}
	if !same {
		// Deploying would not fix it: CloudFormation changes only what has changed in the template.
		r.fault(about, fmt.Sprintf("aws ssm list-document-versions --name %[1]s; aws ssm update-document-default-version --name %[1]s --document-version N", document.Name),
			"is not what the deployed template has (version %s, SHA-256 %s): it was changed by hand. Make the last version N that a deployment has made the default again",
			version, aws.ToString(described.Hash))
		return nil
	}
	r.Healthy = append(r.Healthy, fmt.Sprintf("%s: version %s, as deployed", about, version))
	return nil
}

// sameContent compares values, not texts: CloudFormation changes a document's layout, and may make strings of numbers
// and booleans.
func sameContent(one, other string) (bool, error) {
	a, err := asTexts(one)
	if err != nil {
		return false, err
	}
	b, err := asTexts(other)
	if err != nil {
		return false, err
	}
	return reflect.DeepEqual(a, b), nil
}

func asTexts(content string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(content)))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("its content is not JSON: %w", err)
	}
	return texts(v), nil
}

func texts(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = texts(v[key])
		}
		return v
	case []any:
		for i := range v {
			v[i] = texts(v[i])
		}
		return v
	default:
		return fmt.Sprint(v)
	}
}
