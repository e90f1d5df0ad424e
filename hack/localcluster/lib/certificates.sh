# shellcheck shell=bash
# One authority, one certificate per component, and the kubeconfig that carries it. Kept from one `up` to the next.

certificates() ( # a subshell: the umask must not reach containerd, whose unpacked images everybody reads
  umask 077; mkdir -p "$pki"
  if [[ ! -f $pki/ca.crt ]]; then
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" -subj /CN=localcluster -days 3650 2> /dev/null
    openssl genrsa -out "$pki/serviceaccount.key" 2048 2> /dev/null
  fi
  local names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
  certificate apiserver /CN=kube-apiserver "subjectAltName=IP:127.0.0.1,IP:$service_ip,IP:$node_ip,$names"
  certificate admin /O=system:masters/CN=admin
  certificate controllers /CN=system:kube-controller-manager
  certificate scheduler /CN=system:kube-scheduler
  certificate node /O=system:nodes/CN=system:node:node1 "subjectAltName=DNS:node1,IP:$node_ip"
)

certificate() { # name subject [extension]
  [[ -f $state/$1.kubeconfig ]] && return
  openssl req -newkey rsa:2048 -nodes -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "$2" 2> /dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 3650 -out "$pki/$1.crt" \
    -extfile <(echo "${3:-basicConstraints=CA:FALSE}") 2> /dev/null
  cat > "$state/$1.kubeconfig" << YAML
apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://$node_ip:6443", certificate-authority-data: $(base64 -w0 "$pki/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$pki/$1.crt"), client-key-data: $(base64 -w0 "$pki/$1.key")}}]
contexts: [{name: local, context: {cluster: local, user: $1}}]
current-context: local
YAML
}
