package pool

import (
	"testing"
	"time"
)

func TestDemandFollowsMissesAndSlack(t *testing.T) {
	now := time.Unix(0, 0)
	d := newDemand(Size{Floor: 1, Start: 2, Ceiling: 4})
	if d.target != 2 {
		t.Fatalf("starts with %d, want 2", d.target)
	}
	for range 5 {
		d.taken(0, true, now)
	}
	if d.target != 4 {
		t.Fatalf("after misses %d, want the ceiling 4", d.target)
	}
	for range 10 { // two were left each time: two are too many
		now = now.Add(sizeWindow / 8)
		d.taken(2, false, now)
	}
	if d.target != 2 {
		t.Fatalf("after a window with two to spare %d, want 2", d.target)
	}
	for range 30 {
		now = now.Add(sizeWindow / 8)
		d.taken(3, false, now)
	}
	if d.target != 1 {
		t.Fatalf("after long slack %d, want the floor 1", d.target)
	}
	d.taken(0, false, now) // the last one is no miss
	if d.target != 1 {
		t.Fatalf("an empty shelf alone changed the target to %d", d.target)
	}
}
