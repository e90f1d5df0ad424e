# shellcheck shell=bash
# Processes of the node: started once, known by number, stopped by number.

alive() { # name: it runs, is no zombie, and is not somebody else's process with a reused number
  local pid; pid=$(cat "$pids/$1.pid" 2> /dev/null) || return 1
  [[ -r /proc/$pid/status ]] && ! grep -q '^State:.Z' "/proc/$pid/status" && tr '\0' ' ' < "/proc/$pid/cmdline" | grep -q -- "$1"
}

start() { # name command...: in the cluster's network, with no file of ours left open, nor of who called us: it may be a lock
  local name=$1; shift
  alive "$name" && return
  { close_files; exec nsenter --net="$netns" setsid nohup "$@"; } > "$logs/$name.log" 2>&1 < /dev/null &
  echo $! > "$pids/$name.pid"
}

close_files() { # all but the three that every process has
  local number
  for number in "/proc/$BASHPID/fd"/*; do
    number=${number##*/}
    ((number < 3)) || eval "exec $number>&-"
  done
}

stop() { # seconds name...: asks all, then waits for all, then insists
  local seconds=$1 name tries; shift
  for name in "$@"; do if alive "$name"; then kill "$(cat "$pids/$name.pid")"; fi; done
  for name in "$@"; do
    for ((tries = 0; tries < seconds * 20; tries++)); do alive "$name" || break; sleep 0.05; done
    if alive "$name"; then kill -9 "$(cat "$pids/$name.pid")"; fi
    rm -f "$pids/$name.pid"
  done
}

listens() { # address port
  (exec 3<> "/dev/tcp/$1/$2") 2> /dev/null
}

await() { # seconds name command...: polls until the command succeeds; shows the end of the log where it does not
  local limit=$1 name=$2 tries; shift 2
  for ((tries = 0; tries < limit * 10; tries++)); do
    "$@" > /dev/null 2>&1 && return
    sleep 0.1
  done
  tail -5 "$logs/$name.log" >&2 || true
  die "$name did not come up in $limit s; its log is $logs/$name.log; last answer: $("$@" 2>&1 | tail -1)"
}
