# shellcheck shell=bash
# kubelet, kube-proxy, CoreDNS.

node() {
  make_cgroup; configure_kubelet; configure_proxy; configure_dns
  start kubelet "$output/kubelet" --config "$state/kubelet.yaml" --kubeconfig "$state/node.kubeconfig" \
    --hostname-override node1 --node-ip "$node_ip" --root-dir "$state/kubelet"
  start kube-proxy "$output/kube-proxy" --config "$state/proxy.yaml"
  start coredns "$output/coredns" -conf "$state/Corefile"
  dns_service
  await 20 coredns grep -q CoreDNS "$logs/coredns.log"
  appears kubelet node/node1
  await 60 kubelet cluster_kubectl wait --for=condition=Ready node/node1 --timeout=10s
  appears kube-controller-manager serviceaccount/default -n default # without it no pod can be made
}

appears() { # component object...
  local component=$1; shift
  await 60 "$component" cluster_kubectl wait --for=create "$@" --timeout=10s
}

make_cgroup() { # a parent of our own tells our pods' processes from everybody else's
  local top=/sys/fs/cgroup dir controller
  if [[ -f $top/cgroup.controllers ]]; then
    mkdir -p "$top/$cgroup"
    for controller in $(cat "$top/cgroup.controllers"); do # one that cannot be delegated must not keep back the others
      for dir in "$top" "$top/$cgroup"; do echo "+$controller" > "$dir/cgroup.subtree_control" 2> /dev/null || true; done
    done
  else
    for dir in "$top"/*/; do [[ ! -f $dir/cgroup.procs ]] || mkdir -p "$dir$cgroup"; done
  fi
}

# failCgroupV1: kubelet 1.34 refuses cgroup v1 unless told. evictionHard: a laptop's full disk must not evict the show.
configure_kubelet() {
  cat > "$state/kubelet.yaml" << YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
maxPods: 250
containerRuntimeEndpoint: unix://$socket
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/node.crt
tlsPrivateKeyFile: $pki/node.key
clusterDNS: [$dns_ip]
clusterDomain: cluster.local
resolvConf: ""
imageMinimumGCAge: 240h
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: 50Mi}
YAML
}

# masqueradeAll: pods share the bridge, so a reply would else pass the node by and come from an address nobody asked.
configure_proxy() {
  cat > "$state/proxy.yaml" << YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clusterCIDR: $pod_cidr
hostnameOverride: node1
iptables: {masqueradeAll: true, minSyncPeriod: 0s}
clientConnection: {kubeconfig: $kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
}

configure_dns() {
  cat > "$state/Corefile" << CORE
.:53 {
  bind $node_ip
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $kubeconfig
  }
  cache 5
}
CORE
}

dns_service() {
  cluster_kubectl apply -f - > /dev/null << YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: $dns_ip, ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]
endpoints: [{addresses: [$node_ip]}]
YAML
}
