{{- define "palco.labels" -}}
app.kubernetes.io/name: palco
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "palco.secret" -}}
{{ .Values.existingSecret | default .Release.Name }}
{{- end }}
