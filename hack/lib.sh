# shellcheck shell=bash disable=SC2034 # read by the scripts that source this
# What every script of hack/ shares: where things are kept, and how a step says what it does and how long it took.

program=${0##*/}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${UMBEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/umbel}
bin=$cache/bin
export PATH=$bin:$PATH

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { say "$*"; exit 1; }

step() { # what command...: for everything that may take longer than two seconds
  local what=$1 begin=${EPOCHREALTIME/./} tenths; shift
  say "$what ..."
  "$@"
  tenths=$(((${EPOCHREALTIME/./} - begin) / 100000))
  say "$what: $((tenths / 10)).$((tenths % 10)) s"
}

quietly() { # external command...: its output is shown only where it fails
  local log status; log=$(mktemp)
  "$@" > "$log" 2>&1 && { rm -f "$log"; return; }
  status=$?
  tail -40 "$log" >&2; rm -f "$log"
  say "failed ($status): $*"
  return "$status"
}

fingerprint() { # path...: one hash over names, modes and contents of all files below
  find "$@" -type f -not -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 stat -c '%a %n' | sha256sum | cut -c1-16
  find "$@" -type f -not -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

needs_debian() { # "command-or-path package"...: installs the packages whose command is missing
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair% *}" > /dev/null || missing+=("${pair#* }")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get > /dev/null || die "missing: ${missing[*]} (names of Debian's packages); install them with your package manager"
  [[ $(id -u) == 0 ]] || die "missing: ${missing[*]}; as root: apt-get install ${missing[*]}"
  step "installing Debian's ${missing[*]}" apt_install "${missing[@]}"
}
apt_install() ( # a package's service must not start: what it would serve is started by us, elsewhere
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"
  fi
  [[ -n $(find /var/lib/apt/lists -name '*Packages*' -mmin -1440 -print -quit 2> /dev/null) ]] || quietly apt-get update -q
  DEBIAN_FRONTEND=noninteractive quietly apt-get install -y -q --no-install-recommends "$@"
)

at_least() { # wanted found: compares dotted versions
  [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -1) == "$1" ]]
}

needs_go() { # Go from 1.21 on fetches the newer toolchain that a module asks for by itself
  local found=none
  command -v go > /dev/null && found=$(go env GOVERSION) && at_least 1.21 "${found#go}" && return
  die "Go 1.21 or newer is needed (found: $found). Debian 12 has 1.19, which is too old: install golang-go from" \
    "bookworm-backports, or the archive of https://go.dev/dl/ unpacked to /usr/local, with /usr/local/go/bin on PATH."
}

docker_answers() { command -v docker > /dev/null && timeout 10 docker version --format '{{.Server.Version}}' > /dev/null 2>&1; }
