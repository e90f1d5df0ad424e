# shellcheck shell=bash
# containerd of our own, beside any other on the host: own socket, state, images and network configuration.

runtime() {
  mkdir -p "$state/cni" "$state/containerd" "$runtime_dir"
  # No ipMasq: pods need not leave the host, and each rule would slow a pod's start. hairpinMode: a pod may reach itself by Service.
  cat > "$state/cni/10-bridge.conflist" << JSON
{"cniVersion": "0.4.0", "name": "localcluster", "plugins": [
  {"type": "bridge", "bridge": "cni0", "hairpinMode": true, "ipam": {
    "type": "host-local", "dataDir": "$runtime_dir/cni", "routes": [{"dst": "0.0.0.0/0"}],
    "ranges": [[{"subnet": "$pod_cidr", "rangeStart": "$first_pod_ip", "gateway": "$node_ip"}]]}}]}
JSON
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE a sandbox may not lower its OOM score, and runc fails with "EOF".
  # netns_mounts_under_state_dir and Root: `down` must be able to tell ours from others' without a running containerd.
  cat > "$state/containerd.toml" << TOML
version = 2
root = "$state/containerd"
state = "$runtime_dir/containerd"
[grpc]
  address = "$socket"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "localhost/pause:1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$runtime_dir/runc"
TOML
  start containerd containerd -c "$state/containerd.toml"
  await 20 containerd node_ctr version
  alive kubelet || forget_containers
  node_ctr images ls -q | grep -q '^localhost/pause:1$' || load "$output/pause.tar"
}

node_ctr() { ctr -a "$socket" -n k8s.io "$@"; }

load() { # archive...
  local archive
  for archive in "$@"; do node_ctr images import "$archive" > /dev/null; done
}

forget_containers() { # containerd's records outlive its containers; a kubelet that found them would try to end them first
  local ids; mapfile -t ids < <(node_ctr containers ls -q 2> /dev/null)
  ((${#ids[@]})) || return 0
  node_ctr tasks rm -f "${ids[@]}" > /dev/null 2>&1 || true
  node_ctr containers rm "${ids[@]}" > /dev/null 2>&1 || true
}
