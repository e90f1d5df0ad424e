# shellcheck shell=bash
# Ends and removes everything that is ours, whatever state it is in: also after kill -9 of any of it. Each list below is what
# `leftovers` prints, so that what is cleaned and what is checked cannot drift apart.

clean() {
  stop 0 "${components[@]}" # what they know is thrown away below, so there is nothing to wait for
  end_processes our_pod_processes
  if alive containerd; then forget_containers; fi
  stop 5 containerd
  end_processes our_processes
  each our_shim_sockets rm -f
  each our_mounts umount -l
  each our_links ip link del
  each our_namespaces ip netns del
  each our_cgroups rmdir
  rm -rf "$runtime_dir" "$state/etcd" "$state/kubelet" "${audit_log%.log}"*.log
}

our_pod_processes() { # numbers of all processes in the pods' control groups
  local dir
  for dir in $(our_cgroups); do cat "$dir/cgroup.procs" 2> /dev/null || true; done | sort -u
}

our_processes() { # numbers: pods', then what runs from our build or names our socket (shims), then what is in our network
  our_pod_processes
  { find /proc -maxdepth 2 -name exe -lname "$output/*" 2> /dev/null || true
    # the brackets keep grep from finding itself
    grep -lxze "${socket%?}[${socket: -1}]" -e "$state/containerd.tom[l]" /proc/[0-9]*/cmdline 2> /dev/null || true
  } | cut -d/ -f3
  [[ ! -e $netns ]] || ip netns pids "$netns_name"
}

end_processes() { # lister: kills until it lists nobody; new ones may appear while a pod's init is dying
  local tries pid
  for ((tries = 0; tries < 50; tries++)); do
    local found; found=$("$1" | sort -u)
    [[ -n $found ]] || return 0
    for pid in $found; do kill -9 "$pid" 2> /dev/null || true; done
    sleep 0.1
  done
  die "these processes do not end: $found"
}

our_shim_sockets() { # containerd puts them where every containerd of the host puts its own
  awk '{sub("^unix://", ""); print}' "$runtime_dir"/containerd/io.containerd.runtime.v2.task/*/*/address 2> /dev/null || true
}
our_mounts() { awk -v a="$state/" -v b="$runtime_dir/" 'index($2, a) == 1 || index($2, b) == 1 {print $2}' /proc/mounts | sort -r; }
our_links() { ip -br link show dev "$host_link" 2> /dev/null | sed 's/[@ ].*//'; }
our_namespaces() { [[ ! -e $netns ]] || echo "$netns_name"; }
our_cgroups() { find /sys/fs/cgroup/"$cgroup" /sys/fs/cgroup/*/"$cgroup" -depth -type d 2> /dev/null || true; }

each() { # lister command...: for every line; what vanishes meanwhile is no fault
  local line lister=$1; shift
  while read -r line; do [[ -z $line ]] || "$@" "$line" 2> /dev/null || true; done < <("$lister")
}
