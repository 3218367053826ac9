{{/* Who asks, as conditions in CEL: the policies are about everybody else. */}}

{{- define "moorage.isOperator" -}}
request.userInfo.username == "system:serviceaccount:{{ .Release.Namespace }}:moorage-operator"
{{- end }}

{{/* Kubelets and the cluster's controllers, also where these share one account. */}}
{{- define "moorage.isCluster" -}}
(request.userInfo.groups.exists(group, group in ["system:nodes", "system:serviceaccounts:kube-system"]) ||
 request.userInfo.username in ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"])
{{- end }}

{{/*
Match conditions that let some pass: always administrators who say that they know what they do, with
`kubectl --as=… --as-group=…`; besides (list $ "operator" "cluster").
*/}}
{{- define "moorage.butFor" -}}
{{- $root := first . -}}
- name: not-break-glass
  expression: '!({{ $root.Values.admission.breakGlassGroup | toJson }} in request.userInfo.groups)'
{{- if has "operator" . }}
- name: not-the-operator
  expression: '!({{ include "moorage.isOperator" $root }})'
{{- end }}
{{- if has "cluster" . }}
- name: not-the-cluster
  expression: '!{{ include "moorage.isCluster" $root | replace "\n" "" }}'
{{- end }}
{{- end }}

{{/* The namespaces that are ours; nobody but the operator sets or removes this label. */}}
{{- define "moorage.coreNamespaces" -}}
matchExpressions: [{key: moorage.dev/tenant, operator: Exists}]
{{- end }}
