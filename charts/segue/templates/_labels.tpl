{{/* What the Deployment selects its pods by. It can't be changed while the Deployment stands. */}}
{{- define "segue.selector" -}}
app.kubernetes.io/name: {{ include "segue.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The pod of `helm test` must not be taken for one of the operator's. */}}
{{- define "segue.testSelector" -}}
app.kubernetes.io/name: {{ include "segue.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What every object carries besides a selector; the user's own labels never go before ours. */}}
{{- define "segue.commonLabels" -}}
{{- $ours := dict "app.kubernetes.io/version" .Chart.AppVersion "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- toYaml (merge $ours (dict "helm.sh/chart" $chart) .Values.commonLabels) -}}
{{- end -}}

{{- define "segue.labels" -}}
{{- toYaml (merge (include "segue.selector" . | fromYaml) (include "segue.commonLabels" . | fromYaml)) -}}
{{- end -}}

{{- define "segue.podLabels" -}}
{{- toYaml (merge (include "segue.labels" . | fromYaml) .Values.podLabels) -}}
{{- end -}}
