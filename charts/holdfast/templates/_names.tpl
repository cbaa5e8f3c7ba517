{{/* Names are fixed, not derived from the release: there is one release per cluster, and the bridges know these names. */}}

{{- define "holdfast.labels" -}}
app.kubernetes.io/name: {{ .name }}
{{ include "holdfast.shared" .root }}
{{- end }}

{{- define "holdfast.shared" -}}
app.kubernetes.io/part-of: holdfast
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "holdfast.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "holdfast.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "holdfast.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "holdfast.redisUrl" -}}
{{ .Values.redis.url | default (printf "redis://holdfast-redis.%s.svc:6379/0" .Release.Namespace) }}
{{- end }}
