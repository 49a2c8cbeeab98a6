# Configuring and compiling. Each purpose has a tree of its own below build/. Sourced by dev.

jobs=${JOBS:-$(nproc)}
# For trees whose checks count and whose speed counts a little.
checked_flags=-DCMAKE_CXX_FLAGS_DEBUG="-O1 -g1"

configure() {  # configure DIRECTORY CMAKE-OPTIONS…
  local directory=$1 log=$1/configure.log
  shift
  mkdir -p "$directory"
  # A tree that was copied from elsewhere, or made with another compiler, cannot be used again.
  local cache=$directory/CMakeCache.txt
  if [ -f "$cache" ] && ! { grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache" &&
      grep -qE "^CMAKE_CXX_COMPILER:.*[/=]$(basename "${CXX:-clang++-19}" | sed 's/+/[+]/g')\$" "$cache"; }; then
    say "$directory was made elsewhere or with another compiler: making it anew."
    rm -rf "$directory"
    mkdir -p "$directory"
  fi
  if ! cmake -S . -B "$directory" -G Ninja -DCMAKE_CXX_COMPILER="${CXX:-clang++-19}" "$@" >"$log" 2>&1; then
    grep -A 6 -m 1 'CMake Error' "$log" >&2 || tail -n 20 "$log" >&2
    fail "Configuring $directory failed; all that CMake said is in $log."
  fi
}

compile() {  # compile DIRECTORY [TARGET…]
  local directory=$1
  shift
  need_disk . 1000 "to build"
  say "Building $directory${*:+: }$*"
  ninja -C "$directory" -j "$jobs" --quiet "$@" || fail "Building $directory failed: the compiler's messages are above."
}

build_release() {
  configure build/release -DCMAKE_BUILD_TYPE=Release -DSTEELYARD_TESTS=OFF
  compile build/release steelyard
}

# In the same tree: what is tested is what is shipped, compiled once.
build_tests() {  # build_tests [TARGET…]
  configure build/release -DCMAKE_BUILD_TYPE=Release -DSTEELYARD_TESTS=ON
  compile build/release "$@"
}

build_checked() {  # build_checked DIRECTORY SANITIZERS [TARGET…]
  local directory=$1 sanitizers=$2
  shift 2
  configure "$directory" -DCMAKE_BUILD_TYPE=Debug "$checked_flags" -DSTEELYARD_SANITIZE="$sanitizers" -DSTEELYARD_TESTS=ON
  compile "$directory" "$@"
}
