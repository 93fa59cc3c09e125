package main

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The scripts only pass the line on: what may come next is worked out here,
// from the tables that parse it.
//
//go:embed completion
var completionScripts embed.FS

var shells = []string{"bash", "zsh", "fish"}

var completionCommand = command{
	name: "completion", args: "SHELL", most: 1, words: shells,
	summary: "print what makes a shell complete pyexec's commands, flags and values",
	examples: []string{
		"source <(pyexec completion bash)                                       # in ~/.bashrc",
		"source <(pyexec completion zsh)                                        # in ~/.zshrc, after compinit",
		"pyexec completion fish > ~/.config/fish/completions/pyexec.fish",
	},
	run: func(in *invocation) int {
		if len(in.args) == 0 || !slices.Contains(shells, in.args[0]) {
			in.problem("for which shell? One of %s", strings.Join(shells, ", "))
			return in.usage()
		}
		text, err := completionScripts.ReadFile("completion/pyexec." + in.args[0])
		if err != nil {
			in.ui.fail("%v", err)
			return exitInternal
		}
		_, _ = in.ui.out.Write(text)
		return 0
	},
}

var completeCommand = command{name: "__complete", hidden: true, raw: func(args []string) int {
	for _, c := range candidates(args) {
		fmt.Printf("%s\t%s\n", c.word, c.help)
	}
	return 0
}}

type candidate struct{ word, help string }

// candidates are what the last of words, which may be empty, may become; none
// where it is for a file name. Words are those after pyexec.
func candidates(words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	last := words[len(words)-1]
	var all []candidate
	switch c := find(words[0]); {
	case len(words) == 1:
		for _, c := range commands {
			if !c.hidden {
				all = append(all, candidate{c.name, c.summary})
			}
		}
	case c == nil:
	default:
		all = c.candidates(words[1:len(words)-1], last)
	}
	return slices.DeleteFunc(all, func(c candidate) bool { return !strings.HasPrefix(c.word, last) })
}

func (c *command) candidates(before []string, last string) []candidate {
	options := slices.Clone(c.options)
	if c.settings {
		options = append(options, c.allSettings()...)
	}
	named := func(flag string) *option {
		i := slices.IndexFunc(options, func(o option) bool { return "--"+o.name == flag })
		if i < 0 {
			return nil
		}
		return &options[i]
	}
	if flag, _, ok := strings.Cut(last, "="); ok {
		if o := named(flag); o != nil {
			return values(o, flag+"=")
		}
		return nil
	}
	if len(before) > 0 {
		if o := named(before[len(before)-1]); o != nil && o.kind != "" {
			return values(o, "")
		}
	}
	var all []candidate
	if strings.HasPrefix(last, "-") {
		for _, o := range options {
			all = append(all, candidate{"--" + o.name, o.help})
		}
		return all
	}
	if len(before) == 0 {
		for _, w := range c.words {
			all = append(all, candidate{w, ""})
		}
	}
	return all
}

func values(o *option, prefix string) []candidate {
	var all []candidate
	for _, v := range o.values {
		all = append(all, candidate{prefix + v, ""})
	}
	return all
}

func splitList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

func printCommands(w io.Writer) {
	for _, c := range commands {
		if !c.hidden {
			fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
		}
	}
}
