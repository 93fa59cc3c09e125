package egress

import (
	"slices"
	"sync/atomic"
)

// Outcome is how a connection through the proxy ended: one of a closed set,
// fit for a metric's label.
type Outcome string

// The outcomes.
const (
	OK          Outcome = "ok"          // it reached its destination
	Malformed   Outcome = "malformed"   // no proxy request
	NotAllowed  Outcome = "not_allowed" // no rule of the run names the destination
	Forbidden   Outcome = "forbidden"   // a rule does, and yet nobody may reach it
	Unresolved  Outcome = "unresolved"  // the name has no address
	Unreachable Outcome = "unreachable" // nobody answers there
	Limited     Outcome = "limited"     // the run is over one of its limits
	Cut         Outcome = "cut"         // it was open when its time, its bytes or its run ended
)

// Outcomes lists all of them.
var Outcomes = []Outcome{OK, Malformed, NotAllowed, Forbidden, Unresolved, Unreachable, Limited, Cut}

// Stats is what a proxy has done so far.
type Stats struct {
	Open        int64             // connections of runs at this moment
	Connections map[Outcome]int64 // that have ended
	BytesUp     int64             // from runs to the world
	BytesDown   int64
}

type counters struct {
	open, up, down atomic.Int64
	ended          [8]atomic.Int64 // by the outcome's place in Outcomes
}

func (c *counters) end(o Outcome) { c.ended[slices.Index(Outcomes, o)].Add(1) }

// Stats may be called at any time.
func (p *Proxy) Stats() Stats {
	s := Stats{
		Open: p.count.open.Load(), BytesUp: p.count.up.Load(), BytesDown: p.count.down.Load(),
		Connections: make(map[Outcome]int64, len(Outcomes)),
	}
	for i, o := range Outcomes {
		s.Connections[o] = p.count.ended[i].Load()
	}
	return s
}
