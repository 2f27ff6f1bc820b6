{{/* The services, in the order of infra/services.py. */}}
{{- define "gansu.services" -}}identity commerce tourism health{{- end -}}

{{/* One service as it is: what it says over what all have. Give (dict "root" $ "name" "commerce"). */}}
{{- define "gansu.service" -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values.services .name)) | toYaml -}}
{{- end -}}

{{- define "gansu.labels" -}}
app.kubernetes.io/part-of: smart-gansu
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "gansu.metadata" -}}
name: {{ .root.Release.Name }}-{{ .object | default .name }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "gansu.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "gansu.image" -}}
{{ .root.Values.image.registry }}{{ .image }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end -}}

{{/* Restricted, in the words of the Pod Security Standards; all of it on the container, which is
     the one place where Knative takes it. */}}
{{- define "gansu.contained" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* Settings that every program reads, from the one ConfigMap. */}}
{{- define "gansu.shared" -}}
- configMapRef: {name: {{ .root.Release.Name }}-settings}
{{- end -}}

{{/* Rolls the pods when the ConfigMap changes. */}}
{{- define "gansu.rolled" -}}
gansu/settings: {{ include "gansu.sharedSettings" .root | sha256sum | trunc 16 }}
{{- end -}}

{{- define "gansu.sharedSettings" -}}
{{- $told := dict
  "GANSU_ENV" "production"
  "GANSU_STORE_ENDPOINT" .Values.store.endpoint
  "GANSU_STORE_REGION" .Values.store.region
  "GANSU_STORE_PROFILE" .Values.store.profile
  "GANSU_STORE_BUCKET" (required "store.bucket: the bucket of the journals, as provisioned" .Values.store.bucket)
  "GANSU_KEYS_BUCKET" .Values.store.keysBucket
  "GANSU_MEDIA_BUCKET" .Values.store.mediaBucket
  "GANSU_AUDIT_BUCKET" .Values.store.auditBucket
  "GANSU_STORE_PREFIX" .Values.store.prefix
  "GANSU_METRICS_BIND" "0.0.0.0:9464"
  "GANSU_TRACES_ENDPOINT" .Values.monitoring.traces.endpoint
-}}
{{- if .Values.store.caConfigMap -}}{{- $_ := set $told "GANSU_STORE_CA_FILE" "/etc/gansu/store/ca.crt" -}}{{- end -}}
{{- range $name, $value := mergeOverwrite $told (deepCopy .Values.settings) }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Plain settings of one program. */}}
{{- define "gansu.plain" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* Secrets by reference: each variable is a key of the program's Secret. */}}
{{- define "gansu.secret" -}}
{{- $store := ternary (list "GANSU_STORE_ACCESS_KEY" "GANSU_STORE_SECRET_KEY") list (eq .root.Values.store.credentials "secret") }}
{{- $secret := .secret }}
{{- range concat $store (.keys | default list) }}
- name: {{ . }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ . }}}}
{{- end }}
{{- end -}}

{{/* The pod's name says in the journal who wrote. Knative hands no field on: there each process goes
     by the name that it makes up. */}}
{{- define "gansu.container" -}}
{{- if not .withoutFields }}
- name: GANSU_CONTAINER
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
{{- end -}}

{{- define "gansu.host" -}}
{{ required "host: where clients find the platform, a name such as gansu.example" .Values.host }}
{{- end -}}

{{- define "gansu.jwks" -}}
{{- $own := printf "http://%s-identity.%s.svc:8000/identity/.well-known/jwks.json" .Release.Name .Release.Namespace -}}
{{- if eq .Values.mode "knative" -}}
{{- $own = printf "http://%s-identity.%s.svc.cluster.local/identity/.well-known/jwks.json" .Release.Name .Release.Namespace -}}
{{- end -}}
{{ .Values.identity.jwks | default $own }}
{{- end -}}

{{/* The environment of a service's web process. */}}
{{- define "gansu.webEnvironment" -}}
{{- $of := include "gansu.service" . | fromYaml -}}
{{- $keys := list "GANSU_SUBJECT_KEY" "GANSU_REQUEST_KEY" -}}
{{- $plain := dict
  "SERVICE" .name
  "PROCESS" "web"
  "GANSU_ISSUER" (.root.Values.identity.issuer | default (printf "https://%s/identity" (include "gansu.host" .root)))
  "GANSU_JWKS" (include "gansu.jwks" .root)
-}}
{{- if eq .name "identity" -}}
{{- $keys = concat $keys (list "GANSU_TOKEN_KEY" "GANSU_SEALING_KEY" "GANSU_MASTER_KEYS" "GANSU_VERIFIER_KEY") -}}
{{- $_ := set $plain "GANSU_VERIFIER_URL" (required "identity.verifierUrl: the authority that verifies names" .root.Values.identity.verifierUrl) -}}
{{- end -}}
{{- include "gansu.plain" (mergeOverwrite $plain $of.settings) }}
{{- include "gansu.container" . }}
{{- include "gansu.secret" (dict "root" .root "secret" $of.secret "keys" $keys) }}
{{- end -}}

{{/* The environment of a service's notifier. */}}
{{- define "gansu.noticesEnvironment" -}}
{{- $of := include "gansu.service" . | fromYaml -}}
{{- $keys := list "GANSU_NOTICES_KEY" -}}
{{- if eq .name "identity" -}}{{- $keys = append $keys "GANSU_SEALING_KEY" -}}{{- end -}}
{{- $plain := dict
  "SERVICE" .name
  "PROCESS" "notify"
  "GANSU_NOTICES" "http"
  "GANSU_NOTICES_URL" (required "notices.url: where the SMS gateway takes messages" .root.Values.notices.url)
-}}
{{- include "gansu.plain" (mergeOverwrite $plain $of.notifier.settings) }}
{{- include "gansu.container" . }}
{{- include "gansu.secret" (dict "root" .root "secret" $of.notifier.secret "keys" $keys) }}
{{- end -}}

{{/* Where a program of the service image writes: replicas and /tmp, both lost with the pod. */}}
{{- define "gansu.mounts" -}}
- {name: replicas, mountPath: /var/lib/gansu/replicas}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.store.caConfigMap }}
- {name: store-ca, mountPath: /etc/gansu/store, readOnly: true}
{{- end }}
{{- end -}}
{{- define "gansu.disk" -}}
{{- if .medium }}{medium: {{ .medium }}, sizeLimit: {{ .sizeLimit }}}{{ else }}{sizeLimit: {{ .sizeLimit }}}{{ end }}
{{- end -}}
{{- define "gansu.volumes" -}}
- name: replicas
  emptyDir: {{ include "gansu.disk" .disk }}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .root.Values.store.caConfigMap }}
- name: store-ca
  configMap: {name: {{ . }}}
{{- end }}
{{- end -}}

{{/* What every pod of a Deployment or Job has beside its containers. */}}
{{- define "gansu.pod" -}}
serviceAccountName: {{ .root.Release.Name }}-{{ .account }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Not all on one machine, nor in one zone, where there are several. */}}
{{- define "gansu.spread" -}}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "gansu.labels" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "gansu.labels" . | nindent 14 }}
{{- end -}}

{{- define "gansu.range" -}}
{{- if gt (int .auto.min) (int .auto.max) -}}
{{- fail (printf "%s.autoscaling: min %v is above max %v" .of .auto.min .auto.max) -}}
{{- end -}}
{{- end -}}
