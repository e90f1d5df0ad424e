# shellcheck shell=bash
# Compiles every component into one binary, and the pause image. Done once per go.mod and main.go.

build() {
  local stamp; stamp=$(cat "$here/go.mod" "$here/main.go" | sha256sum)
  if [[ ! -x $output/localcluster || $(cat "$output/.stamp" 2> /dev/null) != "$stamp" ]]; then
    needs_go
    mkdir -p "$output"
    step "building Kubernetes v$version, once (5 minutes on 2 cores)" compile
    echo "$stamp" > "$output/.stamp"
  fi
  [[ -f $output/pause.tar ]] || pause_image
}

compile() {
  local flag=k8s.io/component-base/version name
  (cd "$here" && CGO_ENABLED=0 quietly go build -trimpath -o "$output/localcluster" -ldflags "-s -w -X $flag.gitVersion=v$version \
    -X $flag.gitMajor=${version%%.*} -X $flag.gitMinor=$(cut -d. -f2 <<< "$version")" .)
  (cd "$here/pause" && CGO_ENABLED=0 quietly go build -trimpath -ldflags '-s -w' -o "$output/pause" .)
  for name in "${components[@]}" kubectl; do ln -sf localcluster "$output/$name"; done
  rm -f "$output/pause.tar"
}

architecture() { case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac; }

pause_image() ( # an OCI archive of one static binary, made with tar alone
  local work layer config manifest name=localhost/pause:1
  work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/oci/blobs/sha256"
  blob() { # file: stores it under its hash, which it prints
    local sum; sum=$(sha256sum "$1" | cut -d' ' -f1)
    cp "$1" "$work/oci/blobs/sha256/$sum"; echo "$sum"
  }
  described() { echo "\"digest\":\"sha256:$2\",\"size\":$(stat -c%s "$1")"; }
  tar -C "$output" --sort=name --mtime=@0 --owner=0 --group=0 -cf "$work/layer" pause
  layer=$(blob "$work/layer")
  echo "{\"architecture\":\"$(architecture)\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/pause\"]},
    \"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$layer\"]}}" > "$work/config"
  config=$(blob "$work/config")
  echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",
    \"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",$(described "$work/config" "$config")},
    \"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",$(described "$work/layer" "$layer")}]}" > "$work/manifest"
  manifest=$(blob "$work/manifest")
  echo '{"imageLayoutVersion":"1.0.0"}' > "$work/oci/oci-layout"
  echo "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",
    $(described "$work/manifest" "$manifest"),
    \"annotations\":{\"org.opencontainers.image.ref.name\":\"$name\",\"io.containerd.image.name\":\"$name\"}}]}" > "$work/oci/index.json"
  tar -C "$work/oci" -cf "$output/pause.tar" .
)
