package admission

import "time"

// load tells an overload from a line that is merely full: whether far more is
// asked for than can be served. A client that sends its next request when it
// has its answer never causes more refusals than there are runs, so that no
// number of those is one. It is not safe for concurrent use.
type load struct {
	places          int
	since           time.Time // when the window began
	refused, served int       // in it
	was             bool      // it was an overload in the window before
}

// Refusals and runs are counted over a window of some runs before they are
// compared anew.
const (
	loadWindow     = 250 * time.Millisecond // at least
	loadWindowRuns = 5                      // as long as so many runs in a row
	loadWindowMost = 20 * time.Second
)

// count adds what happened now. A run holds its place for mean.
func (l *load) count(now time.Time, mean time.Duration, refused, served int) {
	l.turn(now, mean)
	l.refused += refused
	l.served += served
}

// over says whether there is an overload, in this window or in the last one.
func (l *load) over(now time.Time, mean time.Duration) bool {
	l.turn(now, mean)
	return l.was || l.tooMuch()
}

// tooMuch asks for less of an overload that goes on: arrivals are uneven, and
// one window that is let off would fill the line again.
func (l *load) tooMuch() bool {
	times := 2
	if l.was {
		times = 1
	}
	return l.refused > times*(l.served+l.places)
}

// turn begins a new window when the old one is over.
func (l *load) turn(now time.Time, mean time.Duration) {
	window := min(max(loadWindow, loadWindowRuns*mean), loadWindowMost)
	age := now.Sub(l.since)
	if age < window {
		return
	}
	l.was = age < 2*window && l.tooMuch()
	l.since, l.refused, l.served = now, 0, 0
}
