package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dcv-session-broker/internal/operate/doctor"
	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/operate/screen"
)

// A program is one run of dcvbroker.
type program struct {
	in       io.Reader
	out, err io.Writer // the result, and messages about it
	getenv   func(string) string
	now      func() time.Time
	// interactive is true if a user at a terminal can answer questions.
	interactive bool
	// width and errWidth are the widths of the terminals out and err, or 0.
	width, errWidth int
	// pause is the first wait when the program polls for what takes the broker seconds.
	pause time.Duration
	// cacheDir is where tokens are kept; "" keeps none.
	cacheDir string

	stack, url, region, profile string
}

// The exit codes, for scripts.
const (
	exitDone         = 0
	exitUnsuccessful = 1 // a session or a check failed
	exitTimedOut     = 2
	exitNotRun       = 3 // usage, credentials, no answer
)

// The errors of a verb that has already printed what is wrong.
var (
	errUnsuccessful = errors.New("some were unsuccessful")
	errTimedOut     = errors.New("timed out")
)

// worst returns the most severe of several errors: could not run, then timed out, then unsuccessful.
func worst(errs ...error) (worst error) {
	rank := func(err error) int {
		switch {
		case err == nil:
			return 0
		case errors.Is(err, errUnsuccessful):
			return 1
		case errors.Is(err, errTimedOut):
			return 2
		}
		return 3
	}
	for _, err := range errs {
		if rank(err) > rank(worst) {
			worst = err
		}
	}
	return worst
}

// version is set when a release is built.
var version = doctor.Devel

// run runs the program and returns its exit code.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.command()
	root.SetArgs(append([]string{}, args...)) // for nil cobra takes the process's arguments
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	refuseUnknown(root)
	switch verb, err := root.ExecuteContextC(ctx); {
	case err == nil:
		return exitDone
	case errors.Is(err, errUnsuccessful):
		return exitUnsuccessful
	case errors.Is(err, errTimedOut):
		return exitTimedOut
	case ctx.Err() != nil && !errors.Is(err, errNotConfirmed):
		p.note("dcvbroker: interrupted%s", leftBehind(verb.Name(), err))
	default:
		text := err.Error()
		if records.Denied(err) && !strings.Contains(text, "your credentials lack the permission") {
			text += ": " + verb.CommandPath() + " --help says which permissions it needs"
		}
		lines := strings.Split(text, "\n")
		lines[0] = "dcvbroker: " + lines[0]
		for _, line := range lines {
			fmt.Fprintln(p.err, screen.Line(line, p.errWidth))
		}
	}
	return exitNotRun
}

// leftBehind says what goes on after a verb was interrupted.
func leftBehind(verb string, err error) string {
	switch verb {
	case "delete", "cancel", "drain":
		return ". What was accepted goes on; dcvbroker get shows it"
	case "delete-stack", "redrive": // their errors say what goes on
		return ": " + err.Error()
	}
	return ""
}

// command returns the root command. Each verb is added here, in the order of the help.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "dcvbroker",
		Short: "Shows and deletes the sessions of dcv-session-broker",
		Long: `Shows and deletes the sessions of dcv-session-broker.

It connects to a stack, which it finds as the AWS CLI does, or to the address of
an API: --url, or the environment's DCVBROKER_URL. Access tokens are then those
of TOKEN, or of TOKEN_URL, CLIENT_ID and CLIENT_SECRET (and SCOPE), or, for a
stack, of its user pool.

For a stack it needs the permissions cloudformation:DescribeStacks and, for the
user pool, cognito-idp:DescribeUserPoolClient. What a verb needs more, its help
says.

It exits with 0 if all was done, 1 if some was unsuccessful, 2 if it timed out,
and 3 if it could not run.`,
		Example: `  dcvbroker get                                # the stack dcv-session-broker
  dcvbroker get --stack studio --profile work  # another one
  dcvbroker get --url http://127.0.0.1:8080    # what make run has started`,
		Version:       version,
		SilenceErrors: true,
		// How many typing errors a verb may have to be proposed.
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       noArgs,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.stack, "stack", "dcv-session-broker", "the deployed stack")
	flags.StringVar(&p.url, "url", "", "the address of an API, in place of a stack\n(default: DCVBROKER_URL)")
	flags.StringVar(&p.region, "region", "", "the stack's region (default: as the AWS CLI)")
	flags.StringVar(&p.profile, "profile", "", "the profile of your AWS configuration\n(default: as the AWS CLI)")
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // no verb and no flag takes a file
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := noneEmpty(cmd, args); err != nil {
			return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
		}
		return p.address(cmd)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(
		p.getCommand(), p.deleteCommand(), p.cancelCommand(), p.drainCommand(),
		p.explainCommand(), p.stuckCommand(), p.pageCommand(), p.proxyCommand(),
		p.doctorCommand(), p.smokeCommand(), p.redriveCommand(), p.deleteStackCommand(), p.versionCommand(),
	)
	return root
}

// noneEmpty refuses empty arguments and flags, as in --owner "$OWNER" of a script: without an owner the verb would take
// all sessions.
func noneEmpty(cmd *cobra.Command, args []string) (err error) {
	if cmd.Name() == cobra.ShellCompRequestCmd || cmd.Name() == cobra.ShellCompNoDescRequestCmd { // the word to complete may be empty
		return nil
	}
	if slices.Contains(args, "") {
		return errors.New("an argument is empty")
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" && f.Name != "message" && f.Name != "reason" {
			err = fmt.Errorf("--%s is empty", f.Name)
		}
	})
	return err
}

// address reads which system is meant: a flag takes precedence over the environment.
func (p *program) address(cmd *cobra.Command) error {
	stackGiven := cmd.Flags().Changed("stack")
	if stackGiven && p.url != "" {
		return errors.New("--stack and --url name two systems: leave one out")
	}
	if p.url == "" && !stackGiven {
		p.url = p.getenv("DCVBROKER_URL")
	}
	p.url = strings.TrimRight(p.url, "/")
	if p.url != "" && !strings.HasPrefix(p.url, "http://") && !strings.HasPrefix(p.url, "https://") {
		return fmt.Errorf("%q is not an address: one begins with http:// or https://", p.url)
	}
	return nil
}

// noArgs is for a command that takes no arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	like := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		like = fmt.Sprintf(" (is it %s?)", strings.Join(near, ", "))
	}
	return fmt.Errorf("%s does not know %q%s: see %[1]s --help", cmd.CommandPath(), args[0], like)
}

// oneArg is for a command that takes one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s takes one %s: see %s --help", cmd.Name(), what, cmd.CommandPath())
		}
		return nil
	}
}

// refuseUnknown makes cobra's own verbs refuse unknown arguments, for which they would print help.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, verb := range root.Commands() {
		switch verb.Name() {
		case "completion":
			verb.Args, verb.SuggestionsMinimumDistance = noArgs, root.SuggestionsMinimumDistance
			verb.Short = "Prints the script by which a shell completes commands"
			verb.Example = "  source <(dcvbroker completion bash)     # for this shell\n  dcvbroker completion zsh --help         # how to load it in each shell"
			verb.RunE = func(cmd *cobra.Command, _ []string) error {
				return fmt.Errorf("completion takes a shell, bash, zsh, fish or powershell: see %s --help", cmd.CommandPath())
			}
		case "help":
			verb.Args = func(_ *cobra.Command, args []string) error {
				found, rest, err := root.Find(args)
				if err == nil && found.HasSubCommands() {
					err = noArgs(found, rest)
				}
				return err
			}
		}
	}
}

// choice adds a flag that takes one of these values.
func choice(cmd *cobra.Command, into *string, name, short string, values []string, usage string) {
	cmd.Flags().VarP(&choiceValue{into, values}, name, short, usage+":\n"+strings.Join(values, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

type choiceValue struct {
	into   *string
	values []string
}

func (v *choiceValue) String() string { return *v.into }
func (v *choiceValue) Type() string   { return "string" }
func (v *choiceValue) Set(given string) error {
	for _, value := range v.values {
		if strings.EqualFold(given, value) {
			*v.into = value
			return nil
		}
	}
	return fmt.Errorf("it can be %s", strings.Join(v.values, ", "))
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Says which version this is", Example: "  dcvbroker version", Args: noArgs,
		Run: func(*cobra.Command, []string) { fmt.Fprintln(p.out, "dcvbroker", version) },
	}
}

// note writes a message, in lines that fit the terminal.
func (p *program) note(format string, args ...any) {
	fmt.Fprintln(p.err, screen.Line(fmt.Sprintf(format, args...), p.errWidth))
}

// json writes the output of a verb for programs.
func (p *program) json(shown any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(shown)
}

// slowPause is the wait when the program polls for what takes AWS minutes.
const slowPause = 5 * time.Second
