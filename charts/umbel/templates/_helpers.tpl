{{- define "umbel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Names of everything: the release's alone where it says "umbel" already. */}}
{{- define "umbel.fullname" -}}
{{- $name := include "umbel.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "umbel.serviceAccountName" -}}
{{- default (include "umbel.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{/* A selector cannot change once the Deployment exists: nothing of the values or the version goes in here. */}}
{{- define "umbel.selectorLabels" -}}
app.kubernetes.io/name: {{ include "umbel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the pod of `helm test`: those above must not match it. */}}
{{- define "umbel.verifyLabels" -}}
app.kubernetes.io/name: {{ include "umbel.name" . | trunc 56 | trimSuffix "-" }}-verify
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: verify
{{- end }}

{{- define "umbel.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "umbel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: umbel
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Takes (dict "image" <values> "tag" <default tag>). */}}
{{- define "umbel.image" -}}
{{- $image := .image }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .tag $image.tag }}{{ end }}
{{- end }}

{{/* Of an endpoint: what a ServiceMonitor and a PodMonitor share. Takes their values. */}}
{{- define "umbel.scrape" -}}
honorLabels: {{ .honorLabels }}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
