# Which tests make up which run. A step that fails does not keep the others from running. Sourced by dev.

python=/usr/bin/python3

ctest_in() {  # ctest_in DIRECTORY OPTIONS…
  local directory=$1
  shift
  ctest --test-dir "$directory" --output-on-failure --no-tests=error --timeout 600 -j "$jobs" "$@"
}

# Against the binary of that tree. The cache of pytest would litter the sources.
pytest_against() {  # pytest_against BINARY OPTIONS…
  STEELYARD=$PWD/$1 "$python" -B -m pytest -q -p no:cacheprovider "${@:2}"
}

run_style() {
  local status=0
  "$python" -B tests/style/check.py || status=1
  "$python" -B -m pytest -q -p no:cacheprovider tests/style
  return $status
}

run_bench_tests() { "$python" -B -m pytest -q -p no:cacheprovider bench; }

run_examples() {  # the examples and the schema that editors use agree
  [ ! -f tests/integration/schema_check.py ] || "$python" -B tests/integration/schema_check.py "$1"
}

run_all() {
  need build test
  step "style" run_style
  step "tests of the benches" run_bench_tests
  step "build: release" build_release
  step "build: tests" build_tests
  step "unit tests, fuzz corpus, simulation" ctest_in build/release
  step "examples against the schema" run_examples build/release/steelyard
  step "integration tests" pytest_against build/release/steelyard tests/integration
  summarize "test"
}

run_unit() {
  need build test
  build_tests
  ctest_in build/release -R "${1:-^(unit|fuzz)_}"
}

run_integration() {
  need build test
  build_release
  # A file among the options is run alone.
  local option where=tests/integration
  for option in "$@"; do
    [ ! -e "${option%%::*}" ] || where=
  done
  pytest_against build/release/steelyard ${where:+"$where"} "$@"
}

run_sim() {  # options as the simulator takes them: --seeds N [--from K], or --seed N [--trace]
  need build test
  build_tests steelyard_sim
  local simulator=build/release/tests/sim/steelyard_sim
  [ $# -gt 0 ] || set -- --seeds 1000
  "$simulator" "$@"
}

# Counting system calls and memory says nothing about an instrumented binary, and the leak check cannot work under a tracer.
not_when_instrumented=(--ignore=tests/integration/test_system_calls.py --ignore=tests/integration/test_faults.py -k "not memory")

run_asan() {
  need build test
  export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
  export ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19
  step "build: address,undefined" build_checked build/asan address,undefined
  step "unit tests, fuzz corpus, simulation" ctest_in build/asan
  step "integration tests" pytest_against build/asan/steelyard tests/integration "${not_when_instrumented[@]}"
  summarize "asan"
}

# Those whose workers share pools, queues and logs.
threaded_tests=(
  tests/integration/test_{admin,balancing,choosing,churn,failover,health,lifecycle,log,packets,policies,proxying,queue,reload,sessions}.py
  tests/integration/test_{registration,takeover,takeover_admin,upgrade}.py
  tests/integration/test_{redirect,redirect_choices,carried,carried_faults,carried_edges,guard,guard_faults}.py
  tests/integration/test_{rate_limits,rate_limits_shown,redis_limits}.py)

run_tsan() {
  need build test
  export TSAN_OPTIONS=halt_on_error=1:external_symbolizer_path=/usr/bin/llvm-symbolizer-19
  step "build: thread" build_checked build/tsan thread steelyard unit_observe unit_quota unit_upstream
  step "unit tests of what threads share" ctest_in build/tsan -R "^unit_(observe|quota|upstream)$"
  step "integration tests with several workers" pytest_against build/tsan/steelyard "${threaded_tests[@]}"
  summarize "tsan"
}
