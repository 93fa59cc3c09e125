package browser

import (
	"os"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/python-code-executor/pyexec/e2e/e2etest"
)

// TestScreenshots takes the pictures of the docs; SCREENSHOTS=1 writes them.
func TestScreenshots(t *testing.T) {
	server := start(t)
	for _, shot := range []struct {
		file, theme, example string
		phone                bool
	}{
		{"playground-light.png", "light", "pandas", false},
		{"playground-dark.png", "dark", "A plot (SVG, plain Python)", false},
		{"playground-error.png", "light", "An error", false},
		{"playground-phone.png", "light", "Print and return", true},
	} {
		t.Run(shot.file, func(t *testing.T) {
			p := newTab(t, server.BaseURL+"/")
			call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: shot.theme}},
			})
			if shot.phone {
				p.run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
			}
			p.choose(shot.example)
			p.press("#run")
			p.finished()
			if shot.example == "An error" {
				p.press("#isolation-button")
				p.until(`document.querySelectorAll("#layers li").length > 5`)
			}
			if wide := value[int](p, "document.documentElement.scrollWidth"); wide > value[int](p, "innerWidth") {
				t.Errorf("the page is %d wide, and scrolls sideways", wide)
			}
			picture := get(p, chromedp.FullScreenshot(100))
			if os.Getenv("SCREENSHOTS") != "" {
				if err := os.WriteFile(e2etest.Repo(t, "docs", "images", shot.file), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
