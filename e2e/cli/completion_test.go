package cli

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What may come next at some places, in every shell the same.
var completions = []struct {
	line string   // after pyexec
	want []string // among others, without what bash does not repeat
	not  string
}{
	{"", []string{"run", "serve", "doctor", "bench", "version", "completion"}, "__complete"},
	{"ser", []string{"serve"}, "run"},
	{"run --in", []string{"--input"}, "--server"},
	{"serve --policy=", []string{"--policy=standard", "--policy=strict", "--policy=off"}, ""},
	{"serve --policy=st", []string{"--policy=standard", "--policy=strict"}, "--policy=off"},
	{"serve --queue=3 --log-format ", []string{"auto", "json", "text"}, ""},
	{"run x.py --require-isolation ", []string{"full", "landlock"}, ""},
	{"completion ", []string{"bash", "zsh", "fish"}, ""},
	{"completion bash ", nil, "bash"},
}

func TestCompletion(t *testing.T) {
	binary := command(t).Path
	for shell, ask := range map[string]string{
		"bash": `source <("$1" completion bash)
			pyexec() { "$PYEXEC" "$@"; }
			read -ra COMP_WORDS <<< "pyexec ${2//=/ = }"
			[[ $2 == *' ' || $2 == *= || -z $2 ]] && COMP_WORDS+=('')
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pyexec; printf '%s\n' "${COMPREPLY[@]}"`,
		"zsh": `compdef() { : }
			source <($1 completion zsh)
			_describe() { print -rl -- ${found%%:*}; }; _files() { : }
			words=(pyexec ${(s: :)2}); [[ $2 == *' ' || -z $2 ]] && words+=('')
			CURRENT=$#words; pyexec() { $PYEXEC "$@" }; _pyexec`,
		"fish": `source ($argv[1] completion fish | psub)
			complete -C "pyexec $argv[2]" | string replace -r '\t.*' ''`,
	} {
		t.Run(shell, func(t *testing.T) {
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skipf("NOT TESTED: there is no %s here", shell)
			}
			for _, c := range completions {
				args := []string{"-c", ask, shell, binary, c.line}
				if shell == "fish" {
					args = []string{"--no-config", "-c", ask, binary, c.line}
				}
				cmd := exec.CommandContext(t.Context(), path, args...)
				cmd.Env = append(command(t).Env, "PYEXEC="+binary, "PATH="+filepath.Dir(binary)+":/usr/bin:/bin", "HOME="+t.TempDir())
				out, err := cmd.CombinedOutput()
				if err != nil && shell == "bash" { // the others' status says whether there was something
					t.Errorf("%q: %v: %s", c.line, err, out)
				}
				got := strings.Fields(string(out))
				for _, want := range c.want {
					if _, value, split := strings.Cut(want, "="); split && shell == "bash" {
						want = value
					}
					if !slices.Contains(got, want) {
						t.Errorf("%q is completed by %q, want %q among them", c.line, got, want)
					}
				}
				if slices.Contains(got, c.not) && c.not != "" {
					t.Errorf("%q is completed by %q", c.line, c.not)
				}
			}
		})
	}
}
