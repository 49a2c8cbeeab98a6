# What must be installed, and its installation by apt. Debian 12 has all of it. Sourced by dev.

packages_build=(clang-19 lld-19 cmake ninja-build libfmt-dev libyaml-cpp-dev nlohmann-json3-dev libcli11-dev libssl-dev
                libc-ares-dev libhiredis-dev)
packages_test=(libclang-rt-19-dev llvm-19 libgtest-dev libgmock-dev python3 python3-pytest python3-yaml python3-jsonschema strace
               redis-server redis-sentinel curl chromium)
packages_bench=(python3 nginx-light haproxy strace)
packages_lint=(python3 clang-format-19 clang-tidy-19)

# One look into dpkg's list, so that this costs nothing when all is there.
missing_packages() {  # missing_packages GROUP…
  local group name wanted=()
  for group in "$@"; do
    local -n names="packages_$group"
    wanted+=("${names[@]}")
  done
  # Another nginx does as well, and nginx-light would take its place.
  [ ! -x /usr/sbin/nginx ] || mapfile -t wanted < <(printf '%s\n' "${wanted[@]}" | grep -vx nginx-light)
  local installed
  # dpkg-query fails when it does not know one of them, which is no failure here.
  installed=$(dpkg-query -W -f='${db:Status-Status}/${Package}\n' "${wanted[@]}" 2>/dev/null) || true
  for name in "${wanted[@]}"; do
    [[ $'\n'$installed$'\n' == *$'\n'"installed/$name"$'\n'* ]] || printf '%s\n' "$name"
  done | sort -u
}

setup() {
  local group groups=(build "${@:-test}")
  for group in "${groups[@]}"; do
    case $group in build | test | bench | lint) ;; *) fail "There is no set of packages '$group'; there are build, test, bench and lint." 2 ;; esac
  done
  need "${groups[@]}"
  say "All that is needed is installed."
}

need() {  # need GROUP…: installs what is missing of these groups, or ends with a sentence that says why it cannot
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    need_without_apt
    return
  fi
  local missing
  mapfile -t missing < <(missing_packages "$@")
  # A compiler of one's own choice makes Debian's superfluous.
  if [ -n "${CXX:-}" ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vx -e clang-19 -e '')
  fi
  [ ${#missing[@]} -eq 0 ] || install "${missing[@]}"
}

need_without_apt() {
  local program
  for program in "${CXX:-clang++-19}" cmake ninja; do
    command -v "$program" >/dev/null ||
      fail "This is not Debian (there is no apt), so nothing can be installed for you, and $program is missing: install Clang 19 or newer, lld, CMake 3.25, Ninja, {fmt} 9, yaml-cpp 0.7, nlohmann/json, CLI11, OpenSSL 3, c-ares 1.18 and hiredis 0.14, set CXX to the compiler, and try again."
  done
}

install() {  # install PACKAGE…
  local log=build/setup.log as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "Packages are missing and you are neither root nor is there sudo. As root: apt-get install --no-install-recommends $*"
    sudo -n true 2>/dev/null || fail "Packages are missing and sudo wants a password, which this script does not ask for. Run: sudo apt-get install --no-install-recommends $*"
    as_root=(sudo -n)
  fi
  need_disk / 2500 "to install packages"
  mkdir -p build
  say "Installing with apt (log: $log): $*"
  local services=()
  local name
  for name in nginx-light haproxy redis-server redis-sentinel; do
    [[ " $* " != *" $name "* ]] || services+=("${name%-light}")
  done
  : >"$log"
  local updated=no
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; then
    update && updated=yes
  fi
  # Lists that are old name packages that are gone: once more with new ones.
  if ! apt_install "$@"; then
    [ $updated = no ] && update && apt_install "$@" || explain_apt_failure "$log"
  fi
  stop_services
}

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 \
    -o Acquire::http::Timeout=20 "$@" </dev/null >>"$log" 2>&1
}
apt_install() { apt install --no-install-recommends "$@"; }
update() {
  say "Fetching apt's lists of packages."
  apt update || true  # what matters is whether the packages can be had then
}

explain_apt_failure() {
  local reason="apt failed; all that it said is in $1."
  if grep -qE 'Temporary failure resolving|Could not resolve|Could not connect|Unable to connect|Failed to fetch|timed out' "$1"; then
    reason="apt could not fetch what it needs: is there a network, and does it reach the servers in /etc/apt/sources.list?"
  elif grep -qE 'Unable to locate package|has no installation candidate' "$1"; then
    local names
    names=$(grep -oE "(Unable to locate package|Package ')[ ']*[a-z0-9.+-]+" "$1" | grep -oE '[a-z0-9.+-]+$' | sort -u | tr '\n' ' ')
    reason="this system's sources (/etc/apt/sources.list) do not offer ${names% }; those of Debian 12 do."
  elif grep -qE "No space left|don't have enough free space" "$1"; then
    reason="there is not enough disk space for the packages."
  elif grep -q 'Could not get lock' "$1"; then
    reason="another apt is at work and did not end within two minutes: try again when it has."
  fi
  grep -E '^[EW]: ' "$1" | tail -n 4 | sed 's/^/  apt: /' >&2
  fail "Setting up failed: $reason"
}

# Benches and tests start these programs themselves; the services that the packages start are not wanted.
stop_services() {
  local name
  for name in "${services[@]}"; do
    if [ -d /run/systemd/system ]; then
      "${as_root[@]}" systemctl disable --now "$name" >>"$log" 2>&1 || true
    else
      "${as_root[@]}" service "$name" stop >>"$log" 2>&1 || true
    fi
  done
}

need_disk() {  # need_disk PATH MIB PURPOSE
  local free
  free=$(df -Pm "$1" | awk 'NR == 2 {print $4}')
  [ "$free" -ge "$2" ] || fail "There is not enough disk space $3: $1 has $free MiB free, about $2 MiB are needed."
}

need_port() {  # need_port PORT
  local hex
  hex=$(printf ':%04X' "$1")
  if grep -qsE "^ *[0-9]+: [0-9A-F]+$hex [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6; then
    fail "Port $1 is already taken, which the demo needs: end what listens there (ss -ltnp shows it) and try again."
  fi
}
