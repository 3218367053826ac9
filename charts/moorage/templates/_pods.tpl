{{/* What operator and API have in common: the hardened baseline, settings, and secrets as files. */}}

{{- define "moorage.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "moorage.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "moorage.databaseSecret" -}}
{{- if .Values.postgresql.enabled }}{{ .Release.Name }}-postgresql-app{{ else }}{{ .Values.database.existingSecret }}{{ end }}
{{- end }}

{{/* Argument: (list $ "key of the URL") */}}
{{- define "moorage.databaseUrl" -}}
{{- $root := first . -}}
secretKeyRef:
  name: {{ include "moorage.databaseSecret" $root }}
  key: {{ ternary "uri" (last .) $root.Values.postgresql.enabled }}
{{- end }}

{{- define "moorage.apiTlsSecret" -}}
{{- .Values.api.tls.existingSecret | default "moorage-api-tls" }}
{{- end }}

{{- define "moorage.apiHost" -}}
moorage-api.{{ .Release.Namespace }}.svc
{{- end }}

{{/* A pod of ours talks to the Kubernetes API with a token of an hour, and mounts nothing else of its account. */}}
{{- define "moorage.accountVolume" -}}
name: account
projected:
  sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3607}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
    - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end }}

{{- define "moorage.accountMount" -}}
{name: account, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{- define "moorage.secretVolumes" -}}
- name: root-key
  secret:
    secretName: {{ .Values.rootKey.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .Values.rootKey.key | quote }}, path: root-key}]
- name: store
  secret:
    secretName: {{ .Values.store.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .Values.store.key | quote }}, path: secret-key}]
{{- end }}
