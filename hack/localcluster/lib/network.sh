# shellcheck shell=bash
# A network namespace for the whole node: its bridge, firewall rules and listening ports are invisible to the host, collide
# with nothing there, and go when it goes. The host keeps one interface and one route.

network() {
  [[ -e $netns ]] && return
  not_taken
  ip netns add "$netns_name"
  ip -n "$netns_name" link set lo up
  # a fixed address: a bridge without one takes its ports' and changes it as pods come and go, and ARP goes stale for seconds
  ip -n "$netns_name" link add cni0 address 1a:84:13:79:da:0b type bridge
  ip -n "$netns_name" addr add "$node_ip/${pod_cidr#*/}" dev cni0
  ip -n "$netns_name" link set cni0 up
  ip link add "$host_link" type veth peer name host netns "$netns_name"
  ip -n "$netns_name" link set host master cni0 up
  ip addr add "$host_ip/${pod_cidr#*/}" dev "$host_link"
  ip link set "$host_link" up
  ip route add "$service_cidr" via "$node_ip" dev "$host_link"
  nsenter --net="$netns" sysctl -qw net.ipv4.ip_forward=1
}

not_taken() {
  local taken; taken=$(ip -4 route show root "$pod_cidr"; ip -4 route show root "$service_cidr")
  [[ -z $taken ]] || die "this host has a route to $pod_cidr or $service_cidr already, which the local cluster wants: $taken"
}
