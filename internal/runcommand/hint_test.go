package runcommand

import "testing"

func TestAHintNamesTheCause(t *testing.T) {
	const preload = "ERROR: ld.so: object '/usr/lib64/libmonitor.so' from /etc/ld.so.preload cannot be preloaded (cannot open shared object file): ignored.\n"
	for rest, want := range map[string]string{
		"":         "",
		"  \n\t\n": "",
		"Killed\n": "Killed",
		preload + "sh: 1: /var/lib/amazon/ssm/i-0123456789abcdef0/document/orchestration/x/linux/_script.sh: Permission denied\nfailed to run commands: exit status 126": "sh: 1: .../_script.sh: Permission denied ERROR: ld.so: object '.../libmonitor.so",
		"bash: warning: setlocale: LC_ALL: cannot change locale (C.UTF-8)\nawk: not found\n":                                                                             "awk: not found bash: warning: setlocale: LC_ALL: cannot change locale (C.UTF-8)",
		"failed to run commands: exit status 1": "failed to run commands: exit status 1",
		"a\x00b\x1b[31mé\r\n":                   "a b [31m",
		"only a warning":                        "only a warning",
	} {
		if got := hint(rest); got != want {
			t.Errorf("%q: %q, want %q", rest, got, want)
		}
	}
}
