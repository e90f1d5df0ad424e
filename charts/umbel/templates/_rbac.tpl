{{/*
What the operator does where it looks after TaskQueues: the rules of one ClusterRole, or of a Role in each namespace.
tests/unit/chart holds them to what the code asks for.
*/}}
{{- define "umbel.rules" -}}
# what users write, and what umbel says about it
- apiGroups: [umbel.dev]
  resources: [taskqueues]
  verbs: [list, watch]
- apiGroups: [umbel.dev]
  resources: [taskqueues/status]
  verbs: [patch]
# the pools; their size goes through the scale subresource alone
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# which workers live, and which idle one goes first: its annotation pod-deletion-cost
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, patch]
# the broker's URL: the Secrets that TaskQueues name, never a list of them
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.secretNames }}
  resourceNames:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  verbs: [get]
# why a size changed
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "umbel.subjects" -}}
- kind: ServiceAccount
  name: {{ include "umbel.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
