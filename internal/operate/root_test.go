package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/story"
	"dcv-session-broker/internal/operate/stuck"
)

func TestHelpOfEachVerbShowsExamples(t *testing.T) {
	fits := func(said string) {
		t.Helper()
		for line := range strings.Lines(said) {
			if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("a line of help is too long for 80 columns: %s", line)
			}
		}
	}
	for _, verb := range (&program{}).command().Commands() {
		if verb.Example == "" || !strings.HasPrefix(strings.TrimSpace(verb.Example), "dcvbroker "+verb.Name()) {
			t.Errorf("%s has no example", verb.Name())
		}
		said, status := dcvbroker(t, "", verb.Name(), "--help")
		fits(said)
		if status != exitDone || !strings.Contains(said, "Examples:\n  dcvbroker "+verb.Name()) || !strings.Contains(said, "--stack") {
			t.Errorf("%s: %d\n%s", verb.Name(), status, said)
		}
	}
	said, status := dcvbroker(t, "")
	fits(said)
	if status != exitDone || !strings.Contains(said, "exits with 0 if all was done, 1 if some was unsuccessful, 2 if it timed out,\nand 3 if it could not run") {
		t.Errorf("%d\n%s", status, said)
	}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if said, status := dcvbroker(t, "", args...); status != exitDone || !strings.Contains(said, version) {
			t.Errorf("%d\n%s", status, said)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if said, status := dcvbroker(t, "", "completion", shell); status != exitDone || !strings.Contains(said, "dcvbroker") {
			t.Errorf("%s: %d\n%s", shell, status, said)
		}
	}
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/design-review", `{"Owner": "user2"}`)
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/render-7", `{"Owner": "user2"}`)
	dcvbroker(t, "", "delete", "render-7", "--grace", "10m", "--url", url)
	for typed, want := range map[string]string{
		"get -o ":                                   "table wide json csv",
		"get --state D":                             "CREATING READY DELETING DELETED UNKNOWN", // the shell filters
		"delete --url " + url + " ren":              "render-7",
		"cancel --url " + url + " ":                 "render-7", // the other has no deletion
		"cancel --url " + url + " render-7 ":        "",
		"get --url " + url + " --owner ":            "user2",
		"doctor --url " + url + " i-":               demoHost,
		"get --stack ":                              "",
		"explain --url " + url + " ren":             "render-7",
		"drain --url " + url + " i-":                demoHost,
		"drain --url " + url + " " + demoHost + " ": "",
		"get --url " + url + " --host i-":           demoHost,
		"get --url http://127.0.0.1:1 ":             "",
		"get --stack studio ":                       "", // would take seconds
		"delete-stack --table ":                     "keep delete",
		"del":                                       "delete delete-stack",
	} {
		said, _ := dcvbroker(t, "", append([]string{cobra.ShellCompNoDescRequestCmd}, strings.Split(typed, " ")...)...)
		var got []string
		for _, line := range strings.Split(said, "\n") {
			if strings.HasPrefix(line, ":") && line != ":4" {
				t.Errorf("%q: %s: the shell would propose files", typed, line)
			}
			if line == "" || strings.HasPrefix(line, ":") || strings.HasPrefix(line, "Completion ended") {
				continue
			}
			got = append(got, line)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q", typed, got)
		}
	}
}

// Every error says what to do next.
func TestErrorsNameTheNextStep(t *testing.T) {
	a := &account{}
	a.serve(t)
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
	for _, c := range []struct {
		typed, next string
	}{
		{"gte", "(is it get?): see dcvbroker --help"},
		{"get --olderthan 1h", "see dcvbroker get --help"},
		{"get --older-than yesterday", "see dcvbroker get --help"},
		{"get --older-than 3x", "it is a number and a unit, as in 90m, 12h or 3d: see dcvbroker get --help"},
		{"delete --older-than -1h", "as in 90m, 12h or 3d: see dcvbroker delete --help"},
		{"delete s-1 --timeout -1h", "as in 90m, 12h or 3d: see dcvbroker delete --help"},
		{"delete s-1 --timeout 1h", "give --wait, too: see dcvbroker delete --help"},
		{"explain s-1 --since yesterday", "as in 90m, 12h or 3d: see dcvbroker explain --help"},
		{"page --every 1s", "it can be 2s to 1h: see dcvbroker page --help"},
		{"drain a --message " + strings.Repeat("m", 201), "--message is longer than 200 characters: see dcvbroker drain --help"},
		{"delete a --reason " + strings.Repeat("r", 201), "--reason is longer than 200 characters: see dcvbroker delete --help"},
		{"completion", "bash, zsh, fish or powershell: see dcvbroker completion --help"},
		{"completion bsh", "(is it bash, zsh, fish?): see dcvbroker completion --help"},
		{"completion bash now", "unknown command \"now\" for \"dcvbroker completion bash\""},
		{"help gte", "(is it get?): see dcvbroker --help"},
		{"help completion bsh", "(is it bash, zsh, fish?): see dcvbroker completion --help"},
		{"get -o yaml", "it can be table, wide, json, csv: see dcvbroker get --help"},
		{"get --state GONE", "it can be CREATING, READY, DELETING, DELETED, UNKNOWN: see dcvbroker get --help"},
		{"get --stack studio --url " + url, "leave one out"},
		{"get --url 127.0.0.1:8080", "one begins with http:// or https://"},
		{"get --url http://127.0.0.1:1", "is a system running there, which make run starts?"},
		{"get --url " + none.URL, "set TOKEN, or TOKEN_URL, CLIENT_ID and CLIENT_SECRET"},
		{"get --stack nowhere", "name another with --stack"},
		{"get", "name another with --stack"},
		{"get --stack studio", "is it a stack of this template"},
		{"get --profile nobody", "is --profile, or AWS_PROFILE, one of aws configure list-profiles?"},
		{"delete", "name IDs, or give --owner, --host or --older-than: see dcvbroker delete --help"},
		{"delete s-1 --grace 600", "it is a number and a unit, as in 90m, 12h or 3d: see dcvbroker delete --help"},
		{"delete s-1 --grace 5s", "from 1m to 24h: see dcvbroker delete --help"},
		{"delete s-1 --grace 10m --force", "leave --grace and --message out: see dcvbroker delete --help"},
		{"cancel", "see dcvbroker cancel --help"},
		{"cancel --all s-1", "give either --all, or IDs, --owner and --host: see dcvbroker cancel --help"},
		{"drain", "see dcvbroker drain --help"},
		{"drain a b", "see dcvbroker drain --help"},
		{"drain --url " + url + " " + demoHost, "give --yes"},
		{"redrive --url " + url, "give --stack"},
		{"delete-stack --url " + url, "give --stack"},
		{"explain", "see dcvbroker explain --help"},
		{"explain s-1 --url http://127.0.0.1:1", "make run starts it"},
		{"explain s-1 --url " + none.URL, "For an API in AWS name its stack: --stack NAME"},
		{"stuck --url " + none.URL, "For an API in AWS name its stack: --stack NAME"},
		{"stuck all", "see dcvbroker stuck --help"},
		{"doctor --url " + none.URL, "For an API in AWS name its stack: --stack NAME"},
		{"smoke now", "see dcvbroker smoke --help"},
		{"proxy now", "see dcvbroker proxy --help"},
		{"proxy --listen nowhere --url " + url, "choose another address with --listen HOST:PORT)"},
		{"proxy --url http://127.0.0.1:1", "set TOKEN, or TOKEN_URL, CLIENT_ID and CLIENT_SECRET"},
	} {
		said, status := dcvbroker(t, "", strings.Fields(c.typed)...)
		if status != exitNotRun || !strings.HasPrefix(lastLine(said), "dcvbroker: ") || !strings.HasSuffix(lastLine(said), c.next) {
			if !strings.Contains(lastLine(said), c.next) {
				t.Errorf("%s: %d\n%s", c.typed, status, said)
			}
		}
	}
	a.denied = "ListStackResources"
	if said, status := dcvbroker(t, "", "doctor", "--stack", "studio"); status != exitNotRun || !strings.HasSuffix(said, ": dcvbroker doctor --help says which permissions it needs\n") {
		t.Errorf("%d\n%s", status, said)
	}
	t.Setenv("TOKEN", "t")
	if said, status := dcvbroker(t, "", "get", "--url", none.URL); status != exitNotRun || !strings.Contains(said, "It is the output ApiUrl of its stack") {
		t.Errorf("%d\n%s", status, said)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if said, status := dcvbroker(t, "", "get"); status != exitNotRun || !strings.Contains(said, "aws sts get-caller-identity shows whether there are credentials, and whose. For a system on one machine give --url") {
		t.Errorf("%d\n%s", status, said)
	}
}

func lastLine(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	return lines[len(lines)-1]
}

// No verb needs a checkout.
func TestEachVerbRunsFromAnEmptyFolder(t *testing.T) {
	_, url := startSystem(t, system.Options{Every: map[string]time.Duration{"deletions": -1, "inventory": 200 * time.Millisecond, "idle": -1}})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
	t.Chdir(t.TempDir())
	t.Setenv("DCVBROKER_URL", url)
	for _, typed := range []string{
		"get", "explain s-1", "stuck", "doctor", "delete s-1 --grace 10m", "cancel s-1", "delete s-1 --wait", "smoke", "drain " + demoHost + " --yes", "version", "completion bash", "help get",
	} {
		if said, status := dcvbroker(t, "", strings.Fields(typed)...); status != exitDone {
			t.Errorf("%s: %d\n%s", typed, status, said)
		}
	}
	ofStack := []string{"delete-stack", "redrive"}
	for _, verb := range (&program{}).command().Commands() { // page and proxy have tests of their own
		if !slices.Contains(append(ofStack, "get", "delete", "cancel", "smoke", "drain", "version", "completion", "help", "doctor", "explain", "stuck", "page", "proxy"), verb.Name()) {
			t.Errorf("%s is not run", verb.Name())
		}
	}
	a := &account{}
	a.serve(t)
	for _, verb := range ofStack {
		if said, status := dcvbroker(t, "", verb, "--stack", "nowhere"); status != exitNotRun || !strings.Contains(said, "there is no stack nowhere") {
			t.Errorf("%s: %d\n%s", verb, status, said)
		}
	}
}

// The fields of the output for programs are those that README.md lists.
func TestJSONIsAsDocumented(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/a", `{"Owner": "user1"}`)
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/b", `{"Owner": "user1"}`)
	dcvbroker(t, "", "delete", "a", "--url", url, "--grace", "10m", "--reason", "maintenance", "--yes")
	var all []map[string]any
	said, _ := dcvbroker(t, "", "get", "a", "--url", url, "-o", "json")
	if err := json.Unmarshal([]byte(said), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v\n%s", err, said)
	}
	for field, want := range map[string]any{
		"Id": "a", "Owner": "user1", "State": "READY", "Type": "VIRTUAL", "NumOfConnections": 0.0, "DeletionReason": "maintenance", "DeletionRequestedBy": "local",
	} {
		if all[0][field] != want {
			t.Errorf("%s is %v", field, all[0][field])
		}
	}
	if host := all[0]["Server"].(map[string]any)["Id"]; host != demoHost {
		t.Errorf("Server.Id is %v", host)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	// documented compares fields with the list between two texts of README.md.
	documented := func(from, to string, types ...reflect.Type) {
		t.Helper()
		_, text, _ := strings.Cut(string(readme), from)
		text, _, _ = strings.Cut(text, to)
		var names, listed []string
		for _, structure := range types {
			for field := range structure.Fields() {
				if !field.IsExported() {
					continue
				}
				name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
				names = append(names, cmp.Or(name, field.Name))
			}
		}
		for _, name := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(text, -1) {
			listed = append(listed, name[1])
		}
		slices.Sort(names)
		slices.Sort(listed)
		if !slices.Equal(names, listed) {
			t.Errorf("fields:    %q\nREADME.md: %q", names, listed)
		}
	}
	documented("`get -o json` is an array", "`-o csv`", reflect.TypeFor[api.Session]())
	documented("`stuck -o json` is an object", "`explain -o json`", reflect.TypeFor[stuck.List](), reflect.TypeFor[stuck.Deletion]())
	documented("`explain -o json` is an object", "Tokens are billed", reflect.TypeFor[story.Story](), reflect.TypeFor[story.Event]())
	if said, status := dcvbroker(t, "", "get", "--owner", "nobody", "--url", url, "-o", "json"); status != exitDone || !strings.HasPrefix(said, "[]\n") {
		t.Errorf("%d\n%s", status, said)
	}
	said, _ = dcvbroker(t, "", "get", "--url", url, "-o", "csv")
	if lines := strings.Split(said, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "Id,Owner,HostId,Type,State,") || !strings.HasPrefix(lines[1], "a,user1,"+demoHost+",VIRTUAL,READY,") {
		t.Errorf("%s", said)
	}
}

func TestTableFitsANarrowTerminal(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	long := strings.Repeat("long-", 15)
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/"+long, `{"Owner": "`+strings.Repeat("o", 30)+`"}`)
	for _, width := range []int{60, 80} {
		var out strings.Builder
		p := program{out: &out, err: &out, now: time.Now, getenv: func(string) string { return "" }, width: width}
		p.run(t.Context(), []string{"get", "--url", url})
		for _, line := range strings.Split(out.String(), "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("%d columns: %q", width, line)
			}
		}
		if !strings.Contains(out.String(), " READY ") {
			t.Errorf("%d columns hide the state:\n%s", width, &out)
		}
	}
	var out strings.Builder
	p := program{out: &out, err: &out, now: time.Now, getenv: func(string) string { return "" }, width: 80}
	p.run(t.Context(), []string{"get", "--url", url, "-o", "wide"})
	if !strings.Contains(out.String(), long) || !strings.Contains(out.String(), demoHost) {
		t.Errorf("what is wide was cut:\n%s", &out)
	}
}
