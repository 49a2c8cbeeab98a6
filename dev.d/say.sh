# Talking to people, and the summary at the end of a test run. Sourced by dev.

say() { printf '%s\n' "$*"; }

fail() {  # fail SENTENCE [EXIT CODE]
  printf 'dev: %s\n' "$1" >&2
  exit "${2:-1}"
}

summary=()
failures=0

# A step that may fail without ending the run; its result and its time go into the summary.
step() {  # step NAME COMMAND…
  local name=$1 begun=$SECONDS result=ok
  shift
  printf '\n== %s\n' "$name"
  # A subshell, so that a step that ends early ends itself alone; the exit code is asked for outside of any condition, because
  # within one bash would ignore `set -e` in it.
  set +e
  (set -e; "$@")
  local code=$?
  set -e
  if [ $code -ne 0 ]; then
    result=FAILED
    failures=$((failures + 1))
  fi
  summary+=("$(printf '%-7s %5d s  %s' "$result" $((SECONDS - begun)) "$name")")
}

summarize() {  # summarize TITLE; the run's exit code
  printf '\n== %s: summary\n' "$1"
  printf '%s\n' "${summary[@]}"
  if [ $failures -eq 0 ]; then
    say "All passed, in $SECONDS s."
  else
    say "$failures of ${#summary[@]} failed, in $SECONDS s."
    exit 1
  fi
}
