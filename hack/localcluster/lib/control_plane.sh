# shellcheck shell=bash
# etcd, API server, controller manager, scheduler. Admission plugins are the default ones, PodSecurity among them.

control_plane() {
  start etcd "$output/etcd" --data-dir "$state/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  local audit; mapfile -t audit < <(audit_options)
  start kube-apiserver "$output/kube-apiserver" --etcd-servers http://127.0.0.1:2379 --secure-port 6443 --bind-address 0.0.0.0 \
    --advertise-address "$node_ip" --service-cluster-ip-range "$service_cidr" --authorization-mode Node,RBAC --allow-privileged \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/serviceaccount.key" \
    --service-account-signing-key-file "$pki/serviceaccount.key" --kubelet-preferred-address-types InternalIP \
    --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" --enable-aggregator-routing \
    --requestheader-client-ca-file "$pki/ca.crt" --requestheader-username-headers X-Remote-User \
    --requestheader-group-headers X-Remote-Group --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$pki/admin.crt" --proxy-client-key-file "$pki/admin.key" "${audit[@]}"
  await 60 kube-apiserver listens "$node_ip" 6443 # asked first, as each kubectl costs half a second of work
  await 60 kube-apiserver cluster_kubectl get --raw /readyz
  start kube-controller-manager "$output/kube-controller-manager" --kubeconfig "$state/controllers.kubeconfig" \
    --leader-elect=false --use-service-account-credentials --service-account-private-key-file "$pki/serviceaccount.key" \
    --root-ca-file "$pki/ca.crt" --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
  start kube-scheduler "$output/kube-scheduler" --kubeconfig "$state/scheduler.kubeconfig" --leader-elect=false
}

cluster_kubectl() { "$output/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# Who did what to which object, one JSON line each: the accounts of pods, the operator's among them, or with LOCALCLUSTER_AUDIT everybody.
# The controllers' and the kubelet's requests are ten times as many, and tell nothing of umbel.
audit_options() {
  local others=None
  [[ -z ${LOCALCLUSTER_AUDIT:-} ]] || others=Metadata
  cat > "$state/audit.yaml" << YAML
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: $others, userGroups: ["system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: $others}
YAML
  printf -- '%s\n' --audit-policy-file "$state/audit.yaml" --audit-log-path "$audit_log" --audit-log-maxsize 50 --audit-log-maxbackup 3
}
