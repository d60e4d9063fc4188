package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/template"
)

// onlyVersion is the version of every document.
const onlyVersion = "1"

// DescribeDocument simulates Systems Manager's.
func (f *Fleet) DescribeDocument(_ context.Context, in *ssm.DescribeDocumentInput, _ ...func(*ssm.Options)) (*ssm.DescribeDocumentOutput, error) {
	d, err := f.document(deref(in.Name), deref(in.DocumentVersion), deref(in.VersionName))
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(d.Content))
	return &ssm.DescribeDocumentOutput{Document: &types.DocumentDescription{
		Name:            in.Name,
		DocumentType:    types.DocumentTypeCommand,
		DocumentFormat:  types.DocumentFormatJson,
		DocumentVersion: aws.String(onlyVersion),
		DefaultVersion:  aws.String(onlyVersion),
		LatestVersion:   aws.String(onlyVersion),
		SchemaVersion:   aws.String("2.2"),
		Hash:            aws.String(hex.EncodeToString(hash[:])),
		HashType:        types.DocumentHashTypeSha256,
		Owner:           aws.String(account),
		Status:          types.DocumentStatusActive,
	}}, nil
}

// GetDocument simulates Systems Manager's.
func (f *Fleet) GetDocument(_ context.Context, in *ssm.GetDocumentInput, _ ...func(*ssm.Options)) (*ssm.GetDocumentOutput, error) {
	if in.DocumentFormat != "" && in.DocumentFormat != types.DocumentFormatJson {
		return nil, notSimulated("a document in another format than JSON")
	}
	d, err := f.document(deref(in.Name), deref(in.DocumentVersion), deref(in.VersionName))
	if err != nil {
		return nil, err
	}
	return &ssm.GetDocumentOutput{
		Name:            in.Name,
		Content:         aws.String(d.Content),
		DocumentType:    types.DocumentTypeCommand,
		DocumentFormat:  types.DocumentFormatJson,
		DocumentVersion: aws.String(onlyVersion),
		Status:          types.DocumentStatusActive,
	}, nil
}

func (f *Fleet) document(name, version, versionName string) (template.Document, error) {
	d, ok := f.documents[name]
	switch {
	case !ok:
		return d, &types.InvalidDocument{}
	case versionName != "":
		return d, notSimulated("VersionName")
	case version != "" && !versionText.MatchString(version):
		return d, invalid("documentVersion: must satisfy the pattern %s", versionText)
	case !slices.Contains([]string{"", "$DEFAULT", "$LATEST", onlyVersion}, version):
		return d, &types.InvalidDocumentVersion{}
	}
	return d, nil
}
