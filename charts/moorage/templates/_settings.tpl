{{/* The environment of operator and API: what the sections of values say, then `settings`, which wins. */}}
{{- define "moorage.settings" -}}
{{- $api := dict "namespace" .Release.Namespace "labels" (include "moorage.selector" (list . "api") | fromYaml) "port" 8443 -}}
{{- $ours := dict
  "store_endpoint" .Values.store.endpoint
  "store_region" .Values.store.region
  "store_bucket" .Values.store.bucket
  "store_access_key" .Values.store.accessKey
  "store_secret_key_file" "/etc/moorage/store/secret-key"
  "root_key_provider" .Values.rootKey.provider
  "kms_keys" (toJson .Values.rootKey.kms.keys)
  "kms_endpoint" .Values.rootKey.kms.endpoint
  "scratch_folder" "/scratch"
  "sizes" (toJson .Values.offer.sizes)
  "runtimes" (toJson .Values.offer.runtimes)
  "allowed_images" (toJson .Values.offer.allowedImages)
  "mover_image" (include "moorage.image" .)
  "mover_api_url" (printf "https://%s:8443" (include "moorage.apiHost" .))
  "mover_api_ca_file" "/etc/moorage/api-ca/ca.crt"
  "mover_egress" (toJson (prepend .Values.store.egress $api))
  "platform_namespace" .Release.Namespace
  "egress_denied" (toJson .Values.network.egressDenied)
  "ingress_from" (toJson .Values.network.ingressFrom)
  "network_gate" .Values.network.gate
  "sandbox_runtime_class" .Values.sandbox.runtimeClass
  "user_namespaces" .Values.sandbox.userNamespaces
  "storage_class" .Values.agents.storageClass
  "volume_annotations" (toJson .Values.agents.volumeAnnotations)
  "agent_node_selector" (toJson .Values.agents.nodeSelector)
  "agent_tolerations" (toJson .Values.agents.tolerations)
  "api_tls_cert_file" "/etc/moorage/api-tls/tls.crt"
  "api_tls_key_file" "/etc/moorage/api-tls/tls.key"
-}}
{{- with .Values.domains }}
{{- if .zone }}
{{- $_ := merge $ours (dict
  "domain_zone" .zone
  "domain_target" (required "domains.target must be set when domains.zone is" .target)
  "domain_proxied" .proxied
  "platform_hosts" (toJson (ternary (list $.Values.ingress.host) list $.Values.ingress.enabled))
  "domain_issuer" .issuer
  "domain_route" .route
  "ingress_class" .ingressClassName
  "gateway" .gateway
  "route_annotations" (toJson .annotations)
  "acme_directory" .acme.directory
  "acme_email" .acme.email
  "cert_manager_issuer" .acme.certManagerIssuer
) }}
{{- if .cloudflare.existingSecret }}
{{- $_ := set $ours "cloudflare_token_file" "/etc/moorage/cloudflare/token" }}
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.rootKey.existingSecret }}
{{- $_ := set $ours "root_key_file" "/etc/moorage/root-key/root-key" }}
{{- end }}
{{- range $name, $value := mergeOverwrite $ours .Values.settings }}
MOORAGE_{{ upper $name }}: {{ (kindIs "string" $value | ternary $value (kindIs "float64" $value | ternary (int64 $value) (toJson $value))) | toString | quote }}
{{- end }}
{{- end }}
