package corpus

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// publicFolders are where a run that got out could write.
var publicFolders = []string{"/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/dev/mqueue", "/run", "/run/lock", "/root", "/home", "/srv", "/opt"}

// host is what the host's files looked like at one moment.
type host struct {
	files map[string]string // of the read-only roots: path to size, mode, time and owner
	names map[string]bool   // entries of the public folders
}

// lookAtHost stats everything below roots. It opens nothing.
func lookAtHost(roots []string) host {
	h := host{files: map[string]string{}, names: map[string]bool{}}
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if info, err := d.Info(); err == nil {
				h.files[path] = fmt.Sprintf("%v %d %d", info.Mode(), info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
	}
	for _, dir := range publicFolders {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			h.names[filepath.Join(dir, e.Name())] = true
		}
	}
	return h
}

// changes says what is different now. Of the public folders only names that
// occur in a script count, since others on the machine use them too.
func (h host) changes(now host, scripts []*Script) []string {
	var found []string
	for path, was := range h.files {
		switch is, ok := now.files[path]; {
		case !ok:
			found = append(found, "gone from the host: "+path)
		case is != was:
			found = append(found, fmt.Sprintf("changed on the host: %s: %s, was %s", path, is, was))
		}
	}
	for path := range now.files {
		if _, ok := h.files[path]; !ok {
			found = append(found, "new on the host: "+path)
		}
	}
	for path := range now.names {
		if h.names[path] || path == canaryFile || path == canarySocket {
			continue
		}
		name := filepath.Base(path)
		i := slices.IndexFunc(scripts, func(s *Script) bool { return len(name) > 4 && strings.Contains(s.Source, name) })
		if i >= 0 {
			found = append(found, fmt.Sprintf("new on the host, and named in %s: %s", scripts[i].Name, path))
		}
	}
	slices.Sort(found)
	if len(found) > 20 {
		found = append(found[:20], fmt.Sprintf("… and %d more changes on the host", len(found)-20))
	}
	return found
}
