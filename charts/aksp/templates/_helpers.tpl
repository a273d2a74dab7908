{{- define "aksp.labels" -}}
app.kubernetes.io/name: aksp
app.kubernetes.io/managed-by: aksp
{{- end }}

{{- define "aksp.selector" -}}
app.kubernetes.io/name: aksp
app.kubernetes.io/component: addon
{{- end }}

{{- define "aksp.constraints" -}}
{{- concat (.Files.Get "files/constraints.txt" | trim | splitList "\n") .Values.constraints | uniq | sortAlpha | toJson -}}
{{- end }}

{{- define "aksp.unwatched" -}}
{{- concat (list "kube-system" .Release.Namespace) .Values.excludeNamespaces | uniq | sortAlpha | toJson -}}
{{- end }}
