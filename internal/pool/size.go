package pool

import "time"

// Size bounds how many children of one kind wait for a script.
type Size struct {
	Floor, Start, Ceiling int
}

// sizeWindow is how long a shelf must have had children to spare before it
// holds fewer. It is looked at when a child is taken, never by a timer: there
// may be no CPU between requests, and an idle child costs only memory.
const sizeWindow = 30 * time.Second

// demand is the size that a shelf has found to be right.
type demand struct {
	Size
	target int
	least  int // fewest children left on the shelf since the window began
	since  time.Time
}

func newDemand(s Size) demand {
	return demand{Size: s, target: min(max(s.Start, s.Floor), s.Ceiling), least: s.Ceiling}
}

// taken notes that a child was taken and how many are left, or, with missed,
// that there was none.
func (d *demand) taken(left int, missed bool, now time.Time) {
	if missed {
		d.target = min(d.target+1, d.Ceiling)
		d.least, d.since = d.Ceiling, now
		return
	}
	d.least = min(d.least, left)
	if d.since.IsZero() {
		d.since = now
	}
	if now.Sub(d.since) >= sizeWindow {
		d.target = max(d.target-d.least, d.Floor)
		d.least, d.since = d.Ceiling, now
	}
}
