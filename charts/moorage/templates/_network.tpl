{{/* One peer of a network policy: {cidr} or {namespace, labels}. */}}
{{- define "moorage.peer" -}}
{{- if .cidr -}}
ipBlock: {cidr: {{ .cidr | quote }}}
{{- else -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .namespace | quote }}}}
podSelector: {matchLabels: {{ toJson .labels }}}
{{- end }}
{{- end }}
