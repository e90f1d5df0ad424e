# shellcheck shell=bash disable=SC2034 # read by the other parts
# Every name, path and address of the local cluster. What is not named here is not ours.

output=$cache/kubernetes     # what `build` makes; `down` leaves it
state=$cache/localcluster    # certificates, images, logs; `down` keeps those and removes the rest
runtime_dir=/run/umbel       # containerd's and runc's state, process numbers; gone after `down`
pki=$state/pki logs=$state/log pids=$runtime_dir/pids
kubeconfig=$state/admin.kubeconfig
audit_log=$logs/audit.log    # and audit-TIME.log, which the API server makes of it when it is large; of one life of the cluster
socket=$runtime_dir/containerd.sock

netns_name=umbel netns=/run/netns/umbel
host_link=umbel0             # the host's only interface towards the cluster
cgroup=umbel                 # parent of every pod's control group, in each hierarchy

# The host is 10.244.0.1: pods reach servers on it there. The node is 10.244.0.2: API server, DNS, and the way to Services.
host_ip=10.244.0.1 node_ip=10.244.0.2 pod_cidr=10.244.0.0/22 first_pod_ip=10.244.0.10
service_cidr=10.96.0.0/16 service_ip=10.96.0.1 dns_ip=10.96.0.10

version=$(sed -n 's|^.*k8s.io/kubernetes v\([0-9.]*\).*|\1|p' "$here/go.mod" | head -1)
components=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns)
