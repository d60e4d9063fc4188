package smoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
)

// Given is a token that the caller has already.
type Given string

// Token is Tokens'.
func (g Given) Token(context.Context) (string, error) { return string(g), nil }

// Credentials get a token by client credentials (RFC 6749, section 4.4).
type Credentials struct {
	HTTP     *http.Client
	URL      string
	ClientID string
	Secret   func(context.Context) (string, error)
	Scope    string
}

// Token is Tokens'. An error has the issuer's error code, and nothing of what was sent.
func (c Credentials) Token(ctx context.Context) (string, error) {
	secret, err := c.Secret(ctx)
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.Scope}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(c.ClientID), url.QueryEscape(secret)) // RFC 6749, section 2.3.1
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(&answer)
	switch {
	case answer.Error != "":
		return "", fmt.Errorf("%s answered %d, %s", c.URL, resp.StatusCode, answer.Error)
	case resp.StatusCode != http.StatusOK || err != nil || answer.AccessToken == "":
		return "", fmt.Errorf("%s answered %d, without a token", c.URL, resp.StatusCode)
	}
	return answer.AccessToken, nil
}

// UserPools is Cognito's client.
type UserPools interface {
	DescribeUserPoolClient(context.Context, *cognitoidentityprovider.DescribeUserPoolClientInput, ...func(*cognitoidentityprovider.Options)) (*cognitoidentityprovider.DescribeUserPoolClientOutput, error)
}

// SecretOf reads the secret of a user pool's client, which is in no output of the stack.
func SecretOf(pools UserPools, poolID, clientID string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := pools.DescribeUserPoolClient(ctx, &cognitoidentityprovider.DescribeUserPoolClientInput{
			UserPoolId: &poolID, ClientId: &clientID,
		})
		if err != nil {
			return "", fmt.Errorf("read the secret of client %s of user pool %s: %w", clientID, poolID, err)
		}
		if out.UserPoolClient == nil || aws.ToString(out.UserPoolClient.ClientSecret) == "" {
			return "", errors.New("client " + clientID + " has no secret")
		}
		return *out.UserPoolClient.ClientSecret, nil
	}
}
