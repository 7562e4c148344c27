{{- define "segue.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name, with the chart's where it is not in it already. */}}
{{- define "segue.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains (include "segue.name" .) .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "segue.name" .) | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* ClusterRoles of two releases of the same name in two namespaces must not meet. */}}
{{- define "segue.clusterName" -}}
{{- if eq .Release.Namespace (include "segue.fullname" .) -}}
{{- include "segue.fullname" . -}}
{{- else -}}
{{- printf "%s-%s" .Release.Namespace (include "segue.fullname" .) -}}
{{- end -}}
{{- end -}}

{{- define "segue.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "segue.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "segue.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}
