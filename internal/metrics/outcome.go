package metrics

import "github.com/python-code-executor/pyexec"

// outcomes are the values of the label outcome.
var outcomes = []string{
	"ok",
	string(pyexec.InvalidRequest), string(pyexec.SyntaxError), string(pyexec.MissingMain), string(pyexec.MissingReturn),
	string(pyexec.PolicyViolation), string(pyexec.Exception), string(pyexec.Exited), string(pyexec.InvalidResult),
	string(pyexec.Timeout), string(pyexec.MemoryLimit), string(pyexec.Killed), string(pyexec.OutputLimit), string(pyexec.DiskLimit),
	string(pyexec.CodeUnavailable), string(pyexec.CodeCanceled), string(pyexec.CodeInternal),
}

// doorRefuses are the codes that the HTTP door gives of itself, before the
// stages that are counted. Of those that a stage gives, the stage counts.
var doorRefuses = map[pyexec.Code]bool{
	pyexec.CodeInvalidRequest:       true,
	pyexec.CodeUnauthenticated:      true,
	pyexec.CodeForbidden:            true,
	pyexec.CodeMethodNotAllowed:     true,
	pyexec.CodeTooLarge:             true,
	pyexec.CodeUnsupportedMediaType: true,
	pyexec.CodeRateLimited:          true,
}

// refusals are the values of the label reason.
var refusals = []pyexec.Code{
	pyexec.CodeInvalidRequest, pyexec.CodeUnauthenticated, pyexec.CodeForbidden, pyexec.CodeMethodNotAllowed,
	pyexec.CodeTooLarge, pyexec.CodeUnsupportedMediaType, pyexec.CodeRateLimited,
	pyexec.CodeOverloaded, pyexec.CodeDraining, pyexec.CodeUnavailable, pyexec.CodeCanceled,
}

// known holds the label values; anything else would be a bug, and is internal.
var known = func() map[string]bool {
	all := map[string]bool{}
	for _, o := range outcomes {
		all[o] = true
	}
	for _, code := range refusals {
		all[string(code)] = true
	}
	return all
}()

// outcomeOf is the label of a run, and whether the run was begun. An internal
// error counts as begun: nobody knows how far it came.
func outcomeOf(res pyexec.Result, err error) (outcome string, begun bool) {
	begun = true
	switch {
	case err != nil:
		code := pyexec.CodeOf(err)
		outcome = string(code)
		begun = res.Timing.Run > 0 || code == pyexec.CodeInternal
	case res.Failure != nil:
		outcome = string(res.Failure.Type)
	default:
		outcome = "ok"
	}
	if !known[outcome] {
		outcome = string(pyexec.CodeInternal)
	}
	return outcome, begun
}
