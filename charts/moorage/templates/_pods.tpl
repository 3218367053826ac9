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

{{/* What opens the keys in the database: files of root keys, and credentials for a service that has them. */}}
{{- define "moorage.rootKeyMounts" -}}
{{- if .Values.rootKey.existingSecret }}
- {name: root-key, mountPath: /etc/moorage/root-key, readOnly: true}
{{- end }}
{{- if .Values.rootKey.kms.credentialsSecret }}
- {name: kms, mountPath: /etc/moorage/kms, readOnly: true}
{{- end }}
{{- end }}

{{- define "moorage.rootKeyEnvironment" -}}
{{- if .Values.rootKey.kms.credentialsSecret }}
- {name: AWS_SHARED_CREDENTIALS_FILE, value: /etc/moorage/kms/credentials}
{{- end }}
{{- end }}

{{- define "moorage.secretVolumes" -}}
{{- with .Values.rootKey.existingSecret }}
- name: root-key
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $.Values.rootKey.key | quote }}, path: root-key}]
{{- end }}
{{- with .Values.rootKey.kms.credentialsSecret }}
- name: kms
  secret:
    secretName: {{ . }}
    defaultMode: 0440
    items: [{key: {{ $.Values.rootKey.kms.credentialsKey | quote }}, path: credentials}]
{{- end }}
- name: store
  secret:
    secretName: {{ .Values.store.existingSecret }}
    defaultMode: 0440
    items: [{key: {{ .Values.store.key | quote }}, path: secret-key}]
{{- end }}
