#!/usr/bin/env bash
# Deploys python-code-executor to Google Cloud Run, and can be run again at any
# time: what is there already is kept, and traffic moves to the new revision
# only after it has answered right.
#
#   ./deploy.sh PROJECT REGION [options]
#
#   --service=NAME            name of the service (python-code-executor)
#   --gen1                    first generation (gVisor) instead of the second
#   --cpu=N --memory=SIZE     of an instance (2, 2Gi); it takes 2 x N runs at once
#   --min-instances=N --max-instances=N   (0, 10)
#   --always-on               CPU between requests as well, billed by the instance
#   --public                  let everybody call it; API keys are still asked for
#   --keys-file=FILE          API keys, of `pyexec keys create`; without it, and without
#                             a secret from an earlier deployment, a key is made and printed
#   --image=IMAGE@sha256:...  deploy this one instead of building
#   --local-build             build with docker here instead of with Cloud Build
#   --accept-isolation=LEVEL  serve with less than level landlock, as seccomp
#   --dry-run                 print the commands, run none
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

say() { printf 'deploy.sh: %s\n' "$*" >&2; }
die() {
	say "$@"
	exit 1
}
usage() {
	sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$here/deploy.sh"
}

# ---- what is asked for: every mistake at once

service=python-code-executor generation=gen2 cpu=2 memory=2Gi min=0 max=10
throttling=--cpu-throttling access=--no-allow-unauthenticated
keys='' image='' local_build=false accept='' dry_run=false
problems=() names=()
for arg in "$@"; do
	value=${arg#*=}
	case $arg in
	-h | --help) usage && exit ;;
	--service=*) service=$value ;;
	--gen1) generation=gen1 ;;
	--gen2) generation=gen2 ;;
	--cpu=*) cpu=$value ;;
	--memory=*) memory=$value ;;
	--min-instances=*) min=$value ;;
	--max-instances=*) max=$value ;;
	--always-on) throttling=--no-cpu-throttling ;;
	--public) access=--allow-unauthenticated ;;
	--keys-file=*) keys=$value ;;
	--image=*) image=$value ;;
	--local-build) local_build=true ;;
	--accept-isolation=*) accept=$value ;;
	--dry-run) dry_run=true ;;
	-*) problems+=("there is no option $arg") ;;
	*) names+=("$arg") ;;
	esac
done
project=${names[0]:-} region=${names[1]:-}
[ ${#names[@]} -eq 2 ] || problems+=("give PROJECT and REGION, as in: ./deploy.sh my-project europe-west1")
[[ $service =~ ^[a-z]([a-z0-9-]{0,47}[a-z0-9])?$ ]] || problems+=("--service=$service: lower-case letters, digits and hyphens, at most 49")
[[ $cpu =~ ^[1248]$ ]] || problems+=("--cpu=$cpu: 1, 2, 4 or 8")
[[ $memory =~ ^[1-9][0-9]*(Mi|Gi)$ ]] || problems+=("--memory=$memory: a number with Mi or Gi, as 2Gi")
[[ $min =~ ^[0-9]+$ && $max =~ ^[1-9][0-9]*$ ]] && [ "$min" -le "$max" ] || problems+=("--min-instances=$min --max-instances=$max: numbers, the first not above the second")
case $accept in '' | full | namespaces-masked-proc | namespaces-no-landlock | landlock | seccomp) ;; *) problems+=("--accept-isolation=$accept: there is no such level") ;; esac
[ -z "$keys" ] || [ -r "$keys" ] || problems+=("--keys-file=$keys cannot be read")
[ -z "$image" ] || [[ $image == *@sha256:* ]] || problems+=("--image=$image: name it by digest, as IMAGE@sha256:...")
tools=(gcloud curl)
if $local_build; then tools+=(docker); fi
if ! $dry_run; then
	for tool in "${tools[@]}"; do
		command -v "$tool" >/dev/null || problems+=("$tool is needed and not here")
	done
fi
if [ ${#problems[@]} -gt 0 ]; then
	for problem in "${problems[@]}"; do say "$problem"; done
	say "./deploy.sh --help says more; nothing was done"
	exit 64
fi

# ---- how commands are run

# run COMMAND...: changes something.
run() {
	if $dry_run; then
		printf '%q ' "$@" && echo
	else
		"$@"
	fi
}
# there COMMAND...: whether something is there already; a dry run assumes not.
there() {
	$dry_run && return 1
	"$@" >/dev/null 2>&1
}
# ask ASSUMED COMMAND...: what it prints; a dry run goes on with ASSUMED.
ask() {
	if $dry_run; then
		printf '%q ' "${@:2}" >&2 && echo >&2
		echo "$1"
	else
		"${@:2}"
	fi
}

g=(gcloud --quiet "--project=$project")
repository=$region-docker.pkg.dev/$project/pyexec
account=pyexec-run@$project.iam.gserviceaccount.com
secret="pyexec-keys"
made_key=''
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if ! $dry_run; then
	[ -n "$("${g[@]}" auth list --filter=status:ACTIVE --format='value(account)')" ] ||
		die "gcloud has no account: gcloud auth login. Nothing was done"
	"${g[@]}" projects describe "$project" >/dev/null ||
		die "project $project cannot be seen with this account. Nothing was done"
fi

# ---- what the service needs

run "${g[@]}" services enable run.googleapis.com artifactregistry.googleapis.com cloudbuild.googleapis.com secretmanager.googleapis.com
there "${g[@]}" artifacts repositories describe pyexec "--location=$region" ||
	run "${g[@]}" artifacts repositories create pyexec "--location=$region" --repository-format=docker --description="python-code-executor"
# Without any role in the project: a script that got out could do nothing.
there "${g[@]}" iam service-accounts describe "$account" ||
	run "${g[@]}" iam service-accounts create pyexec-run --display-name="python-code-executor, no roles"

# make_key: a keys file with one caller, and its key in $made_key.
make_key() {
	local -a pyexec
	keys=$tmp/keys.yaml
	if $dry_run; then
		echo "pyexec keys create --keys-file $secret.yaml --caller default"
		return
	elif [ -x "$here/bin/pyexec" ]; then
		pyexec=("$here/bin/pyexec")
	elif command -v go >/dev/null; then
		pyexec=(go -C "$here" run ./cmd/pyexec)
	else
		die "a key cannot be made without bin/pyexec or Go: make one elsewhere with pyexec keys create, and give --keys-file=FILE"
	fi
	made_key=$("${pyexec[@]}" keys create --keys-file "$keys" --caller default) || die "pyexec keys create failed"
}

secret_there=false
if there "${g[@]}" secrets describe "$secret"; then
	secret_there=true
else
	run "${g[@]}" secrets create "$secret" --replication-policy=automatic
fi
# A secret without a version is what a deployment leaves that was interrupted here.
if $secret_there && ! there "${g[@]}" secrets versions describe latest "--secret=$secret"; then
	secret_there=false
fi
if [ -z "$keys" ] && ! $secret_there; then make_key; fi
[ -z "$keys" ] || run "${g[@]}" secrets versions add "$secret" "--data-file=$($dry_run && [[ $keys == "$tmp"/* ]] && echo "$secret.yaml" || echo "$keys")"
if [ -n "$made_key" ]; then
	# At once: whatever fails below, the secret has it from now on.
	say "API key, shown only here: $made_key"
fi
run "${g[@]}" secrets add-iam-policy-binding "$secret" "--member=serviceAccount:$account" --role=roles/secretmanager.secretAccessor

# ---- the image, by digest

if [ -z "$image" ]; then
	tag=$(git -C "$here" rev-parse --short=12 HEAD 2>/dev/null || date -u +%Y%m%d%H%M%S)
	tagged=$repository/server:$tag
	if $local_build; then
		run "${g[@]}" auth configure-docker "$region-docker.pkg.dev"
		run docker build --platform=linux/amd64 --build-arg "VERSION=$tag" --build-arg "REVISION=$tag" -t "$tagged" "$here"
		run docker push "$tagged"
	else
		run "${g[@]}" builds submit "$here" "--config=$here/deploy/cloudrun/cloudbuild.yaml" "--substitutions=_IMAGE=$tagged,_VERSION=$tag"
	fi
	digest=$(ask sha256:DIGEST "${g[@]}" artifacts docker images describe "$tagged" '--format=value(image_summary.digest)')
	[[ $digest == sha256:* ]] || die "the image was built, but its digest is not known: ${digest:-nothing was printed}"
	image=$repository/server@$digest
fi

# ---- the service

environment="PYEXEC_KEYS_FILE=/secrets/keys.yaml,PYEXEC_REQUIRE_AUTH=true"
[ -z "$accept" ] || environment+=",PYEXEC_REQUIRE_ISOLATION=$accept"
deploy=(
	run deploy "$service" "--image=$image" "--region=$region" "--execution-environment=$generation" "--service-account=$account"
	"--cpu=$cpu" "--memory=$memory" "--concurrency=$((2 * cpu))" "--min-instances=$min" "--max-instances=$max"
	--timeout=60 --port=8080 --cpu-boost "$throttling" "$access"
	"--set-env-vars=$environment" "--set-secrets=/secrets/keys.yaml=$secret:latest"
	"--startup-probe=httpGet.path=/readyz,httpGet.port=8080,periodSeconds=1,timeoutSeconds=1,failureThreshold=60"
	"--liveness-probe=httpGet.path=/livez,httpGet.port=8080,periodSeconds=30,timeoutSeconds=5,failureThreshold=3"
)
candidate=false
if there "${g[@]}" run services describe "$service" "--region=$region"; then
	candidate=true # the old revision goes on until the new one has answered
	deploy+=(--no-traffic --tag=candidate)
fi
if ! run "${g[@]}" "${deploy[@]}"; then
	say "the revision did not start; what it said:"
	"${g[@]}" logging read "resource.type=cloud_run_revision AND resource.labels.service_name=$service" --limit=30 --freshness=10m '--format=value(textPayload)' >&2 || true
	die "if it says that the isolation cannot be had, the lines name the missing layer. --accept-isolation=seccomp serves without it; it is then all that Google's sandbox around the instance. Nothing else was changed: an earlier revision still serves"
fi

# ---- does it answer?

url=$(ask https://SERVICE_URL "${g[@]}" run services describe "$service" "--region=$region" '--format=value(status.url)') || url=''
[[ $url == https://* ]] || die "the service has no URL yet: ${url:-nothing was printed}; run this again"
tested=$url
if $candidate; then tested=${url/https:\/\//https://candidate---}; fi
headers=()
if [ "$access" = --no-allow-unauthenticated ]; then
	token=$(ask TOKEN "${g[@]}" auth print-identity-token)
	headers+=(-H "X-Serverless-Authorization: Bearer $token")
fi
health=$(ask '{"isolation":{"level":"(not asked)"}}' curl -sS --fail-with-body --max-time 60 "${headers[@]}" "$tested/health") ||
	die "the new revision is not healthy: $health. An earlier revision still serves"
level=$(sed -n 's/.*"isolation":{"level":"\([^"]*\)".*/\1/p' <<<"$health")
hello='{"script": "def main():\n    return {\"message\": \"Hello World\"}"}'
key=${made_key:-${PYEXEC_API_KEY:-}}
if [ -n "$key" ]; then
	answer=$(ask '{"result":{"message":"Hello World"},"stdout":""}' curl -sS --max-time 60 "${headers[@]}" \
		-H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d "$hello" "$tested/execute") || answer="nothing: curl failed"
	[ "$answer" = '{"result":{"message":"Hello World"},"stdout":""}' ] || die "the new revision answers wrong: $answer. An earlier revision still serves"
fi
if $candidate; then
	run "${g[@]}" run services update-traffic "$service" "--region=$region" --to-latest
fi

cat <<END
URL:       $url
isolation: $level
image:     $image
END
token_header=''
if [ "$access" = --no-allow-unauthenticated ]; then
	# shellcheck disable=SC2016 # for the reader's shell
	token_header=' -H "X-Serverless-Authorization: Bearer $(gcloud auth print-identity-token)"'
fi
cat <<END
Try:
  curl $url/execute$token_header \\
    -H "Authorization: Bearer ${made_key:-YOUR_KEY}" -H 'Content-Type: application/json' \\
    -d '$hello'
END
