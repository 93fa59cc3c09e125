package main

import (
	"fmt"
	"math"
	"strings"
)

// bars are the rows of the plot.
type bar struct {
	label    string
	mid, far float64
}

// svg is a bar chart of p50 as a multiple of R, with a whisker up to p99; the
// axis is logarithmic.
func (r *report) svg() string {
	R := r.find("latency", cold, "pass")
	var bars []bar
	for _, x := range r.Rows {
		if x.Part == "latency" {
			b := bar{x.Who + ", " + x.What, x.against(R, p50, p50), x.against(R, p99, p50)}
			if b.mid > 0 && b.far > 0 {
				bars = append(bars, b)
			}
		}
	}
	const left, width, line, least, most = 260, 520, 24, 0.02, 50.0
	at := func(v float64) float64 {
		v = min(max(v, least), most)
		return left + width*math.Log(v/least)/math.Log(most/least)
	}
	height := 60 + line*len(bars)
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", left+width+80, height)
	fmt.Fprintf(&s, `<rect width="100%%" height="100%%" fill="white"/><text x="10" y="18">Latency as a multiple of a cold python3 -I -c pass: p50, whisker to p99 (logarithmic)</text>`+"\n")
	for _, v := range []float64{0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50} {
		fmt.Fprintf(&s, `<line x1="%.1f" x2="%.1f" y1="28" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle" fill="#666">%g</text>`+"\n", at(v), at(v), height-24, at(v), height-8, v)
	}
	for i, b := range bars {
		y, colour := 34+line*i, "#999"
		if strings.HasPrefix(b.label, ours) {
			colour = "#2a6"
		}
		fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="end">%s</text><rect x="%d" y="%d" width="%.1f" height="14" fill="%s"/><line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="black"/><text x="%.1f" y="%d">%s</text>`+"\n",
			left-8, y+11, escape(b.label), left, y, at(b.mid)-left, colour, at(b.mid), at(b.far), y+7, y+7, at(max(b.far, b.mid))+6, y+11, figure(b.mid))
	}
	s.WriteString("</svg>\n")
	return s.String()
}

func escape(s string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s) }
