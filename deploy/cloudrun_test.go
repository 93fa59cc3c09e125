package deploy_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake stands for gcloud, docker and curl: it writes down how it was called,
// and answers by the first line of $FAKE_ANSWERS whose left side is part of
// the call: "part of the call => text", where text may be fail.
const fake = `#!/usr/bin/env bash
printf '%q ' "${0##*/}" "$@" >>"$FAKE_LOG"
echo >>"$FAKE_LOG"
call="${0##*/} $*"
while IFS= read -r line; do
	[[ $call == *"${line%% => *}"* ]] || continue
	[ "${line#* => }" != fail ] || exit 1
	echo "${line#* => }"
	exit 0
done <"$FAKE_ANSWERS"
`

const url = "https://python-code-executor-abc-ew.a.run.app"

// always are answers of a project in which all is well.
const always = `auth list => me@example.com
auth print-identity-token => TOKEN
artifacts docker images describe => sha256:0123456789abcdef
run services describe python-code-executor --region=europe-west1 --format => ` + url + `
/health => {"status":"ok","isolation":{"level":"full","layers":{}}}
/execute => {"result":{"message":"Hello World"},"stdout":""}
`

// fresh is a project in which nothing is there yet.
const fresh = `describe pyexec --location => fail
service-accounts describe => fail
secrets describe => fail
run services describe python-code-executor --region=europe-west1 => ` + url + `
`

type deployment struct {
	status      int
	out, errors string
	calls       []string
}

// deploy runs deploy.sh against the fakes.
func deploy(t *testing.T, answers string, args ...string) deployment {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"gcloud", "docker", "curl"} {
		write(t, filepath.Join(dir, name), fake)
	}
	log, answersFile := filepath.Join(dir, "log"), filepath.Join(dir, "answers")
	write(t, answersFile, answers)
	write(t, log, "")
	var out, errOut strings.Builder
	cmd := exec.Command("../deploy.sh", args...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "FAKE_LOG="+log, "FAKE_ANSWERS="+answersFile, "PYEXEC_API_KEY=")
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	d := deployment{status: cmd.ProcessState.ExitCode(), out: out.String(), errors: errOut.String()}
	for line := range strings.Lines(string(text)) {
		d.calls = append(d.calls, strings.TrimSpace(line))
	}
	return d
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// changing are the calls that change something, without what is the same in
// each and without this checkout's folder and commit.
func (d deployment) changing(t *testing.T) []string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	commit, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	clean := strings.NewReplacer("gcloud --quiet --project=my-project ", "", root, "ROOT", strings.TrimSpace(string(commit)), "COMMIT", "\\", "")
	var found []string
	for _, call := range d.calls {
		if strings.Contains(call, " describe ") || strings.Contains(call, "auth ") || strings.HasPrefix(call, "curl") {
			continue
		}
		found = append(found, clean.Replace(call))
	}
	return found
}

func keysFile(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "keys.yaml")
	write(t, file, "callers: {}\n")
	return file
}

const (
	enable = "services enable run.googleapis.com artifactregistry.googleapis.com cloudbuild.googleapis.com secretmanager.googleapis.com"
	bind   = "secrets add-iam-policy-binding pyexec-keys --member=serviceAccount:pyexec-run@my-project.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor"
	build  = "builds submit ROOT --config=ROOT/deploy/cloudrun/cloudbuild.yaml --substitutions=_IMAGE=europe-west1-docker.pkg.dev/my-project/pyexec/server:COMMIT,_VERSION=COMMIT"
	run    = "run deploy python-code-executor --image=europe-west1-docker.pkg.dev/my-project/pyexec/server@sha256:0123456789abcdef --region=europe-west1" +
		" --execution-environment=gen2 --service-account=pyexec-run@my-project.iam.gserviceaccount.com --cpu=2 --memory=2Gi --concurrency=4" +
		" --min-instances=0 --max-instances=10 --timeout=60 --port=8080 --cpu-boost --cpu-throttling --no-allow-unauthenticated" +
		" --set-env-vars=PYEXEC_KEYS_FILE=/secrets/keys.yaml,PYEXEC_REQUIRE_AUTH=true --set-secrets=/secrets/keys.yaml=pyexec-keys:latest" +
		" --startup-probe=httpGet.path=/readyz,httpGet.port=8080,periodSeconds=1,timeoutSeconds=1,failureThreshold=60" +
		" --liveness-probe=httpGet.path=/livez,httpGet.port=8080,periodSeconds=30,timeoutSeconds=5,failureThreshold=3"
)

func TestDeployToAnEmptyProject(t *testing.T) {
	keys := keysFile(t)
	d := deploy(t, strings.Replace(fresh, "=> "+url, "=> fail", 1)+always, "my-project", "europe-west1", "--keys-file="+keys)
	// The fake's service is not there before the deployment, nor after it.
	if d.status == 0 || !strings.Contains(d.errors, "run this again") {
		t.Errorf("status %d, %s", d.status, d.errors)
	}
	want := []string{
		enable,
		"artifacts repositories create pyexec --location=europe-west1 --repository-format=docker --description=python-code-executor",
		"iam service-accounts create pyexec-run --display-name=python-code-executor, no roles",
		"secrets create pyexec-keys --replication-policy=automatic",
		"secrets versions add pyexec-keys --data-file=" + keys, bind, build, run,
	}
	if diff := cmp.Diff(want, d.changing(t)); diff != "" {
		t.Errorf("calls:\n%s", diff)
	}
}

func TestDeployAgain(t *testing.T) {
	d := deploy(t, always, "my-project", "europe-west1")
	want := []string{enable, bind, build, run + " --no-traffic --tag=candidate", "run services update-traffic python-code-executor --region=europe-west1 --to-latest"}
	if diff := cmp.Diff(want, d.changing(t)); diff != "" || d.status != 0 {
		t.Errorf("status %d, %s, calls:\n%s", d.status, d.errors, diff)
	}
	for _, part := range []string{url, "isolation: full", "@sha256:0123456789abcdef", "curl " + url + "/execute", "print-identity-token"} {
		if !strings.Contains(d.out, part) {
			t.Errorf("%q is not in what it prints:\n%s", part, d.out)
		}
	}
	if calls := strings.Join(d.calls, "\n"); !strings.Contains(calls, "https://candidate---python-code-executor-abc-ew.a.run.app/health") {
		t.Errorf("the candidate was not asked before it got traffic:\n%s", calls)
	}
}

func TestDeployOptions(t *testing.T) {
	keys := keysFile(t)
	d := deploy(t, always, "my-project", "europe-west1", "--service=other", "--gen1", "--cpu=4", "--memory=8Gi", "--min-instances=1", "--max-instances=3",
		"--always-on", "--public", "--keys-file="+keys, "--image=registry/x@sha256:f", "--accept-isolation=seccomp")
	calls := strings.Join(d.changing(t), "\n")
	for _, part := range []string{
		"run deploy other --image=registry/x@sha256:f ", "--execution-environment=gen1", "--cpu=4 --memory=8Gi --concurrency=8 --min-instances=1 --max-instances=3",
		"--no-cpu-throttling --allow-unauthenticated", "PYEXEC_REQUIRE_ISOLATION=seccomp", "secrets versions add pyexec-keys --data-file=" + keys,
	} {
		if !strings.Contains(calls, part) {
			t.Errorf("%q is not in the calls:\n%s", part, calls)
		}
	}
	if strings.Contains(calls, "builds submit") {
		t.Errorf("an image was built although one was given:\n%s", calls)
	}
}

func TestDeployBuildsHere(t *testing.T) {
	d := deploy(t, always, "my-project", "europe-west1", "--local-build")
	calls := strings.Join(d.changing(t), "\n")
	const tag = "europe-west1-docker.pkg.dev/my-project/pyexec/server:COMMIT"
	for _, part := range []string{
		"docker build --platform=linux/amd64 --build-arg VERSION=COMMIT --build-arg REVISION=COMMIT -t " + tag + " ROOT\ndocker push " + tag + "\n",
		"server@sha256:0123456789abcdef",
	} {
		if !strings.Contains(calls, part) {
			t.Errorf("%q is not in the calls:\n%s", part, calls)
		}
	}
}

func TestDeployMistakes(t *testing.T) {
	d := deploy(t, always, "--cpu=3", "--memory=big", "--min-instances=5", "--max-instances=2", "--service=No", "--nonsense", "--image=x:latest", "--keys-file=/nowhere", "--accept-isolation=much", "only-project")
	if d.status != 64 || len(d.calls) != 0 {
		t.Errorf("status %d, calls %q", d.status, d.calls)
	}
	for _, part := range []string{"PROJECT and REGION", "--cpu=3", "--memory=big", "--min-instances=5", "--service=No", "--nonsense", "by digest", "/nowhere", "=much", "nothing was done"} {
		if !strings.Contains(d.errors, part) {
			t.Errorf("%q is not in what it says:\n%s", part, d.errors)
		}
	}
}

func TestDeployFailures(t *testing.T) {
	for _, c := range []struct{ name, answers, says string }{
		{"no account", "auth list => \n", "gcloud auth login"},
		{"no project", "projects describe => fail\n", "cannot be seen"},
		{"the build fails", "builds submit => fail\n", ""},
		{"no digest", "images describe => \n", "its digest is not known"},
		{"the revision does not start", "run deploy => fail\nlogging read => not landlock: needs Linux 5.13\n", "--accept-isolation=seccomp"},
		{"not healthy", "/health => fail\n", "not healthy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := deploy(t, c.answers+always, "my-project", "europe-west1")
			if d.status == 0 || !strings.Contains(d.errors, c.says) {
				t.Errorf("status %d, %q is not in %s", d.status, c.says, d.errors)
			}
			if calls := strings.Join(d.calls, "\n"); strings.Contains(calls, "update-traffic") {
				t.Errorf("traffic was moved all the same:\n%s", calls)
			}
		})
	}
}

// TestDeployHalfFinished: a secret without a version is what is left of a
// deployment that was interrupted; a key is made for it.
func TestDeployHalfFinished(t *testing.T) {
	if _, err := os.Stat("../bin/pyexec"); err != nil {
		t.Skip("no bin/pyexec: make build")
	}
	d := deploy(t, "secrets versions describe => fail\n"+always, "my-project", "europe-west1")
	calls := strings.Join(d.calls, "\n")
	if d.status != 0 || !strings.Contains(calls, "secrets versions add pyexec-keys") || strings.Contains(calls, "secrets create") {
		t.Errorf("status %d, %s, calls:\n%s", d.status, d.errors, calls)
	}
	if !strings.Contains(d.errors, "API key, shown only here: pyx_") || !strings.Contains(calls, "Authorization:\\ Bearer\\ pyx_") {
		t.Errorf("the key was not shown, or not tried:\n%s\n%s", d.errors, calls)
	}
}

// TestDryRunChangesNothing: it calls nothing at all, and prints what a real
// run in an empty project calls.
func TestDryRunChangesNothing(t *testing.T) {
	keys := keysFile(t)
	d := deploy(t, always, "my-project", "europe-west1", "--dry-run", "--keys-file="+keys)
	if d.status != 0 || len(d.calls) != 0 {
		t.Errorf("status %d, calls %q, %s", d.status, d.calls, d.errors)
	}
	real := deploy(t, fresh+always, "my-project", "europe-west1", "--keys-file="+keys)
	printed := d.out + d.errors
	for _, call := range real.calls {
		if strings.Contains(call, "update-traffic") || strings.Contains(call, "auth list") || strings.Contains(call, " describe ") || strings.HasPrefix(call, "curl") {
			continue
		}
		call = strings.TrimSuffix(strings.ReplaceAll(call, "sha256:0123456789abcdef", "sha256:DIGEST"), " --no-traffic --tag=candidate")
		if !strings.Contains(printed, call) {
			t.Errorf("%s is not in\n%s", call, printed)
		}
	}
}
