package jail

import (
	"errors"
	"path/filepath"
)

var errNoPlots = errors.New("matplotlib is not installed")

// fail notes that there will be no zygote of a kind.
func (g *generation) fail(kind Kind, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errs[kind] = err
	close(g.grown)
	g.grown = make(chan struct{})
}

// HasPlots tells whether matplotlib was installed by make setup for this
// Python: with its list of fonts, which no run could make quickly.
func HasPlots(python string) bool {
	return exists(filepath.Join(filepath.Dir(filepath.Dir(python)), "fonts"))
}
