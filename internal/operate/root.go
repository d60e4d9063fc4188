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
	"dcv-session-broker/internal/operate/table"
)

// A program is one run of dcvbroker.
type program struct {
	in       io.Reader
	out, err io.Writer // what was asked for, and what is said about it
	getenv   func(string) string
	now      func() time.Time
	// interactive: somebody sits there who can be asked.
	interactive bool
	// width and errWidth are those of the terminals that out and err are, or 0.
	width, errWidth int
	// pause is between the first looks at what takes the broker seconds.
	pause time.Duration
	// cacheDir is where tokens are kept; "" keeps none.
	cacheDir string

	stack, url, region, profile string
}

// What a run ends with, for scripts.
const (
	exitDone         = 0
	exitUnsuccessful = 1 // some of it: a session, a check
	exitTimedOut     = 2
	exitNotRun       = 3 // usage, credentials, no answer
)

// What a verb returns that has said already what is wrong.
var (
	errUnsuccessful = errors.New("some were unsuccessful")
	errTimedOut     = errors.New("timed out")
)

// worst is the error that a run ends with of several: what could not be run, then what timed out, then what was unsuccessful.
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

// run runs the program, and gives what it exits with.
func (p *program) run(ctx context.Context, args []string) int {
	root := p.command()
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for those of the process
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	refuseUnknown(root)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return exitDone
	case errors.Is(err, errUnsuccessful):
		return exitUnsuccessful
	case errors.Is(err, errTimedOut):
		return exitTimedOut
	case ctx.Err() != nil:
		fmt.Fprintln(p.err, "dcvbroker: interrupted. What was accepted goes on; dcvbroker get shows it")
	default:
		lines := strings.Split(err.Error(), "\n")
		for i := range lines {
			lines[i] = table.Plain(lines[i])
		}
		fmt.Fprintln(p.err, "dcvbroker:", strings.Join(lines, "\n"))
	}
	return exitNotRun
}

// command is the whole tree. Each verb is added here, in the order in which help lists them.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "dcvbroker",
		Short: "Looks at and ends the sessions of dcv-session-broker",
		Long: `Looks at and ends the sessions of dcv-session-broker.

It speaks to a stack, which it finds as the AWS CLI does, or to the address of
an API: --url, or the environment's DCVBROKER_URL. Access tokens are then those
of TOKEN, or of TOKEN_URL, CLIENT_ID and CLIENT_SECRET (and SCOPE), or, for a
stack, of its user pool.

It exits with 0 if all was done, 1 if some was unsuccessful, 2 if it timed out,
and 3 if it could not run.`,
		Example: `  dcvbroker get                                # the stack dcv-session-broker
  dcvbroker get --stack studio --profile work  # another one
  dcvbroker get --url http://127.0.0.1:8080    # what make run has started`,
		Version:       version,
		SilenceErrors: true,
		// How far a verb may be from what was typed, to be proposed.
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

// noneEmpty refuses what a script did not fill in, as in --owner "$OWNER": without an owner all sessions would be meant.
func noneEmpty(cmd *cobra.Command, args []string) (err error) {
	if cmd.Name() == cobra.ShellCompRequestCmd || cmd.Name() == cobra.ShellCompNoDescRequestCmd { // what is begun may be empty
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

// address says which system is meant: that of a flag goes before that of the environment.
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
		return fmt.Errorf("%q is no address: it begins with http:// or https://", p.url)
	}
	return nil
}

// noArgs is of a command that takes no arguments.
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

// oneArg is of a command that takes one argument.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s takes one %s: see %s --help", cmd.Name(), what, cmd.CommandPath())
		}
		return nil
	}
}

// refuseUnknown has cobra's own verbs refuse what they do not know: they print help, as if that were what was asked for.
func refuseUnknown(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, verb := range root.Commands() {
		switch verb.Name() {
		case "completion":
			verb.Args, verb.SuggestionsMinimumDistance = noArgs, root.SuggestionsMinimumDistance
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

// choice is a flag that has one of these values.
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

// json writes what a verb shows for programs.
func (p *program) json(shown any) error {
	encoder := json.NewEncoder(p.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(shown)
}

// slowPause is between two looks at what takes AWS minutes.
const slowPause = 5 * time.Second
