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
  verbs: [get, list]
# Observe: what owns pods, and the template that its next pod comes from.
- apiGroups: [apps]
  resources: [statefulsets, daemonsets, controllerrevisions]
  verbs: [get]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list]
# Which code runs is read from pods, and nowhere else.
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch]
# Blue/green narrows a Service's selector and puts it back; a canary with httpRoute makes a second Service and removes it.
- apiGroups: ['']
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
# A canary with httpRoute divides the traffic of that route. list tells a route that is missing from a cluster without any.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, patch]
# A toggle sets keys of a ConfigMap that a resource names, and puts them back.
- apiGroups: ['']
  resources: [configmaps]
  verbs: [get, patch]
# An idle Deployment may have been scaled down while green served: it is asked for its pods again.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
