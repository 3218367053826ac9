{{/* What of an object's metadata is reserved, and that nobody has touched it. */}}
{{- define "moorage.reservedMetadata" -}}
variables:
  - name: reserved
    expression: '["moorage.dev/", "kopf.zalando.org/", "kopf.dev/"]'
  - name: labels
    expression: 'has(object.metadata.labels) ? object.metadata.labels : {}'
  - name: labelsBefore
    expression: 'oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}'
  - name: annotations
    expression: 'has(object.metadata.annotations) ? object.metadata.annotations : {}'
  - name: annotationsBefore
    expression: 'oldObject != null && has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {}'
  - name: finalizers
    expression: 'has(object.metadata.finalizers) ? object.metadata.finalizers : []'
  - name: finalizersBefore
    expression: 'oldObject != null && has(oldObject.metadata.finalizers) ? oldObject.metadata.finalizers : []'
validations:
  - expression: >-
      variables.labels.all(key, !variables.reserved.exists(prefix, key.startsWith(prefix)) ||
        key in variables.labelsBefore && variables.labelsBefore[key] == variables.labels[key]) &&
      variables.labelsBefore.all(key, !variables.reserved.exists(prefix, key.startsWith(prefix)) ||
        key in variables.labels)
    reason: Forbidden
    message: Labels of moorage.dev are set by the platform alone.
  - expression: >-
      variables.annotations.all(key, !variables.reserved.exists(prefix, key.startsWith(prefix)) ||
        key == "moorage.dev/snapshot-requested" ||
        key in variables.annotationsBefore && variables.annotationsBefore[key] == variables.annotations[key]) &&
      variables.annotationsBefore.all(key, !variables.reserved.exists(prefix, key.startsWith(prefix)) ||
        key == "moorage.dev/snapshot-requested" || key in variables.annotations)
    reason: Forbidden
    message: Annotations of moorage.dev are set by the platform alone, but for moorage.dev/snapshot-requested.
  # The one finalizer that an object of ours may be born with is what moorage-hold-agents gives it.
  - expression: >-
      variables.finalizers.all(name, !variables.reserved.exists(prefix, name.startsWith(prefix)) ||
        name in variables.finalizersBefore ||
        request.operation == "CREATE" && request.resource.group == "moorage.dev" && name == "moorage.dev/cleanup") &&
      variables.finalizersBefore.all(name, !variables.reserved.exists(prefix, name.startsWith(prefix)) ||
        name in variables.finalizers)
    reason: Forbidden
    message: Finalizers of moorage.dev are set and removed by the platform alone.
{{- end }}
