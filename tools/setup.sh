# Sourced by tools/run and tools/test: packages and the build. Written for Debian 12, 13 and Ubuntu 24.04, whose names for these
# packages are the same.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

build_packages=(g++ cmake ninja-build pkg-config ccache libzmq3-dev cppzmq-dev libmsgpack-cxx-dev libpistache-dev
  libyaml-cpp-dev nlohmann-json3-dev libfmt-dev libcli11-dev libexpected-dev robin-map-dev
  libre2-dev libjq-dev libssl-dev libsqlite3-dev zlib1g-dev prometheus-cpp-dev libspdlog-dev)
test_packages=(catch2 libvalijson-dev curl chromium openssl python3 python3-zmq python3-msgpack python3-jwt python3-cryptography sslscan)

# Installs what is missing of the packages named, and says so.
install_missing() {
  local missing=() each
  for each in "$@"; do
    dpkg-query -W -f='${Status}' "$each" 2>/dev/null | grep -q 'install ok installed' || missing+=("$each")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    echo "waggle needs these packages (Debian's names), and there is no apt-get to install them: ${missing[*]}" >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "waggle needs these packages; install them as root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "installing missing packages: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# npm, which fetches the viewer of the page at /docs, and what the end-to-end tests take from there; as a package only where it is not there in
# another way.
install_npm() {
  command -v npm >/dev/null || install_missing npm
}

# Clang, and the sanitizers of the version that it has, which are in a package of that version's.
install_clang() {
  local version
  install_missing clang || return 1
  version=$(clang++ -dM -E -x c++ /dev/null | sed -n 's/^#define __clang_major__ //p')
  install_missing "libclang-rt-$version-dev"
}

# build PRESET FOLDER [CMAKE-OPTION...] -- [TARGET...]: configures and builds; quiet unless something is built or fails.
build() {
  local preset=$1 folder=$2 options=()
  shift 2
  while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
  shift || true
  local log
  log=$(mktemp)
  if ! (cd "$root" && cmake --preset "$preset" "${options[@]}") >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  echo "building into $folder/ (the first time takes some minutes)"
  if [ $# -gt 0 ]; then set -- --target "$@"; fi
  NINJA_STATUS='[%f/%t] ' cmake --build "$root/$folder" "$@"
}
