{{/* What the operator may do in each namespace that it looks after. */}}
{{- define "segue.rules" -}}
# patch is for the finalizer alone: the operator never writes a spec, and reports through the status.
- apiGroups: [segue.dev]
  resources: [schemachanges]
  verbs: [get, list, watch, patch]
- apiGroups: [segue.dev]
  resources: [schemachanges/status]
  verbs: [patch]
# By name only: each SchemaChange says which Secret holds its database's URI.
- apiGroups: ['']
  resources: [secrets]
  verbs: [get]
# Blue/green makes a second Deployment, rolls the first one behind it, and removes the second.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
# Which code runs is read from pods, and nowhere else.
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list, watch]
# Blue/green narrows a Service's selector and puts it back.
- apiGroups: ['']
  resources: [services]
  verbs: [get, list, watch, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
