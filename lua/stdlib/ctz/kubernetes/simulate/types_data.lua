-- kubernetes/simulate/types_data.lua: the fields of kinds; how to read them: types.lua.
-- SPDX-License-Identifier: MIT
-- luacheck: no max line length
-- Written by script/kubernetes-kinds.lua from api/ of Kubernetes 1.37.
return [=[
AWSElasticBlockStoreVolumeSource= fsType partition:i readOnly:b volumeID
Affinity= nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
AggregationRule= clusterRoleSelectors:[]!LabelSelector
AppArmorProfile= localhostProfile type
AttachedVolume= devicePath name
AzureDiskVolumeSource= cachingMode diskName diskURI fsType kind readOnly:b
AzureFilePersistentVolumeSource= readOnly:b secretName secretNamespace shareName
AzureFileVolumeSource= readOnly:b secretName shareName
Binding= metadata:ObjectMeta target:!ObjectReference
CSIPersistentVolumeSource= controllerExpandSecretRef:!SecretReference controllerPublishSecretRef:!SecretReference
  driver fsType nodeExpandSecretRef:!SecretReference nodePublishSecretRef:!SecretReference
  nodeStageSecretRef:!SecretReference readOnly:b volumeAttributes:{} volumeHandle
CSIVolumeSource= driver fsType nodePublishSecretRef:!LocalObjectReference readOnly:b volumeAttributes:{}
Capabilities= add:[] drop:[]
CephFSPersistentVolumeSource= monitors:[] path readOnly:b secretFile secretRef:!SecretReference user
CephFSVolumeSource= monitors:[] path readOnly:b secretFile secretRef:!LocalObjectReference user
CinderPersistentVolumeSource= fsType readOnly:b secretRef:!SecretReference volumeID
CinderVolumeSource= fsType readOnly:b secretRef:!LocalObjectReference volumeID
ClientIPConfig= timeoutSeconds:i
ClusterRole= aggregationRule:AggregationRule metadata:ObjectMeta rules:[]PolicyRule
ClusterRoleBinding= metadata:ObjectMeta roleRef:!RoleRef subjects:[]!Subject
ClusterTrustBundleProjection= labelSelector:!LabelSelector name optional:b path signerName user:i
Condition= lastTransitionTime message observedGeneration:i reason status type
ConfigMap= binaryData:{} data:{} immutable:b metadata:ObjectMeta
ConfigMapEnvSource= name optional:b
ConfigMapKeySelector= key name optional:b
ConfigMapNodeConfigSource= kubeletConfigKey name namespace resourceVersion uid
ConfigMapProjection= items:[]KeyToPath name optional:b
ConfigMapVolumeSource= defaultMode:i defaultUser:i items:[]KeyToPath name optional:b
Container= args:[] command:[] env:[name]EnvVar envFrom:[]EnvFromSource image imagePullPolicy lifecycle:Lifecycle
  livenessProbe:Probe name ports:[containerPort,protocol~containerPort]ContainerPort readinessProbe:Probe
  resizePolicy:[]ContainerResizePolicy resources:ResourceRequirements restartPolicy
  restartPolicyRules:[]ContainerRestartRule securityContext:SecurityContext startupProbe:Probe stdin:b stdinOnce:b
  terminationMessagePath terminationMessagePolicy tty:b volumeDevices:[devicePath]VolumeDevice
  volumeMounts:[mountPath]VolumeMount workingDir
ContainerExtendedResourceRequest= containerName requestName resourceName
ContainerImage= names:[] sizeBytes:i
ContainerPort= containerPort:i hostIP hostPort:i name protocol
ContainerResizePolicy= resourceName restartPolicy
ContainerResourceMetricSource= container name target:MetricTarget
ContainerResourceMetricStatus= container current:MetricValueStatus name
ContainerRestartRule= action exitCodes:ContainerRestartRuleOnExitCodes
ContainerRestartRuleOnExitCodes= operator values:[set]i
ContainerState= running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerStateRunning= startedAt
ContainerStateTerminated= containerID exitCode:i finishedAt message reason signal:i startedAt
ContainerStateWaiting= message reason
ContainerStatus= allocatedResources:{}a allocatedResourcesStatus:[name]ResourceStatus containerID image imageID
  lastState:ContainerState name ready:b resources:ResourceRequirements restartCount:i started:b state:ContainerState
  stopSignal user:ContainerUser volumeMounts:[mountPath]VolumeMountStatus
ContainerUser= linux:LinuxContainerUser
ControllerRevision= data:a metadata:ObjectMeta revision:i
Corev1EndpointPort= appProtocol name port:i protocol
CronJob= metadata:ObjectMeta spec:CronJobSpec status:CronJobStatus
CronJobSpec= concurrencyPolicy failedJobsHistoryLimit:i jobTemplate:JobTemplateSpec schedule startingDeadlineSeconds:i
  successfulJobsHistoryLimit:i suspend:b timeZone
CronJobStatus= active:[]!ObjectReference lastScheduleTime lastSuccessfulTime
CrossVersionObjectReference= apiVersion kind name
CustomResourceColumnDefinition= description format jsonPath name priority:i type
CustomResourceConversion= strategy webhook:WebhookConversion
CustomResourceDefinition= metadata:ObjectMeta spec:CustomResourceDefinitionSpec status:CustomResourceDefinitionStatus
CustomResourceDefinitionCondition= lastTransitionTime message observedGeneration:i reason status type
CustomResourceDefinitionNames= categories:[] kind listKind plural shortNames:[] singular
CustomResourceDefinitionSpec= conversion:CustomResourceConversion group names:CustomResourceDefinitionNames
  preserveUnknownFields:b scope versions:[]CustomResourceDefinitionVersion
CustomResourceDefinitionStatus= acceptedNames:CustomResourceDefinitionNames
  conditions:[type]CustomResourceDefinitionCondition observedGeneration:i storedVersions:[]
CustomResourceDefinitionVersion= additionalPrinterColumns:[]CustomResourceColumnDefinition deprecated:b
  deprecationWarning name schema:CustomResourceValidation selectableFields:[]SelectableField served:b storage:b
  subresources:CustomResourceSubresources
CustomResourceSubresourceScale= labelSelectorPath specReplicasPath statusReplicasPath
CustomResourceSubresources= scale:CustomResourceSubresourceScale status:a
CustomResourceValidation= openAPIV3Schema:a
DaemonEndpoint= Port:i
DaemonSet= metadata:ObjectMeta spec:DaemonSetSpec status:DaemonSetStatus
DaemonSetCondition= lastTransitionTime message reason status type
DaemonSetSpec= minReadySeconds:i revisionHistoryLimit:i selector:!LabelSelector template:PodTemplateSpec
  updateStrategy:DaemonSetUpdateStrategy
DaemonSetStatus= collisionCount:i conditions:[type]DaemonSetCondition currentNumberScheduled:i
  desiredNumberScheduled:i numberAvailable:i numberMisscheduled:i numberReady:i numberUnavailable:i
  observedGeneration:i updatedNumberScheduled:i
DaemonSetUpdateStrategy= rollingUpdate:RollingUpdateDaemonSet type
Deployment= metadata:ObjectMeta spec:DeploymentSpec status:DeploymentStatus
DeploymentCondition= lastTransitionTime lastUpdateTime message reason status type
DeploymentSpec= minReadySeconds:i paused:b progressDeadlineSeconds:i replicas:i revisionHistoryLimit:i
  selector:!LabelSelector strategy:DeploymentStrategy template:PodTemplateSpec
DeploymentStatus= availableReplicas:i collisionCount:i conditions:[type]DeploymentCondition observedGeneration:i
  readyReplicas:i replicas:i terminatingReplicas:i unavailableReplicas:i updatedReplicas:i
DeploymentStrategy= rollingUpdate:RollingUpdateDeployment type
DownwardAPIProjection= items:[]DownwardAPIVolumeFile
DownwardAPIVolumeFile= fieldRef:!ObjectFieldSelector mode:i path resourceFieldRef:!ResourceFieldSelector user:i
DownwardAPIVolumeSource= defaultMode:i defaultUser:i items:[]DownwardAPIVolumeFile
EmptyDirVolumeSource= medium mode:i sizeLimit:a
Endpoint= addresses:[set] conditions:EndpointConditions deprecatedTopology:{} hints:EndpointHints hostname nodeName
  targetRef:!ObjectReference zone
EndpointAddress= hostname ip nodeName targetRef:!ObjectReference
EndpointConditions= ready:b serving:b terminating:b
EndpointHints= forNodes:[]ForNode forZones:[]ForZone
EndpointPort= appProtocol name port:i protocol
EndpointSlice= addressType endpoints:[]Endpoint metadata:ObjectMeta ports:[]!EndpointPort
EndpointSubset= addresses:[]!EndpointAddress notReadyAddresses:[]!EndpointAddress ports:[]!Corev1EndpointPort
Endpoints= metadata:ObjectMeta subsets:[]EndpointSubset
EnvFromSource= configMapRef:ConfigMapEnvSource prefix secretRef:SecretEnvSource
EnvVar= name value valueFrom:EnvVarSource
EnvVarSource= configMapKeyRef:!ConfigMapKeySelector fieldRef:!ObjectFieldSelector fileKeyRef:!FileKeySelector
  resourceFieldRef:!ResourceFieldSelector secretKeyRef:!SecretKeySelector
EphemeralContainer= args:[] command:[] env:[name]EnvVar envFrom:[]EnvFromSource image imagePullPolicy
  lifecycle:Lifecycle livenessProbe:Probe name ports:[containerPort,protocol~containerPort]ContainerPort
  readinessProbe:Probe resizePolicy:[]ContainerResizePolicy resources:ResourceRequirements restartPolicy
  restartPolicyRules:[]ContainerRestartRule securityContext:SecurityContext startupProbe:Probe stdin:b stdinOnce:b
  targetContainerName terminationMessagePath terminationMessagePolicy tty:b volumeDevices:[devicePath]VolumeDevice
  volumeMounts:[mountPath]VolumeMount workingDir
EphemeralVolumeSource= volumeClaimTemplate:PersistentVolumeClaimTemplate
Event= action count:i eventTime firstTimestamp involvedObject:!ObjectReference lastTimestamp message
  metadata:ObjectMeta reason related:!ObjectReference reportingComponent reportingInstance series:EventSeries
  source:EventSource type
EventSeries= count:i lastObservedTime
EventSource= component host
EvictionResponder= name priority:i
ExecAction= command:[]
ExternalMetricSource= metric:MetricIdentifier target:MetricTarget
ExternalMetricStatus= current:MetricValueStatus metric:MetricIdentifier
FCVolumeSource= fsType lun:i readOnly:b targetWWNs:[] wwids:[]
FileKeySelector= key optional:b path volumeName
FlexPersistentVolumeSource= driver fsType options:{} readOnly:b secretRef:!SecretReference
FlexVolumeSource= driver fsType options:{} readOnly:b secretRef:!LocalObjectReference
FlockerVolumeSource= datasetName datasetUUID
ForNode= name
ForZone= name
GCEPersistentDiskVolumeSource= fsType partition:i pdName readOnly:b
GRPCAction= mode port:i service
GitRepoVolumeSource= directory repository revision
GlusterfsPersistentVolumeSource= endpoints endpointsNamespace path readOnly:b
GlusterfsVolumeSource= endpoints path readOnly:b
HPAScalingPolicy= periodSeconds:i type value:i
HPAScalingRules= policies:[]HPAScalingPolicy selectPolicy stabilizationWindowSeconds:i tolerance:a
HTTPGetAction= host httpHeaders:[]HTTPHeader path port:a protocol scheme
HTTPHeader= name value
HTTPIngressPath= backend:IngressBackend path pathType
HTTPIngressRuleValue= paths:[]HTTPIngressPath
HorizontalPodAutoscaler= metadata:ObjectMeta spec:HorizontalPodAutoscalerSpec status:HorizontalPodAutoscalerStatus
HorizontalPodAutoscalerBehavior= scaleDown:HPAScalingRules scaleUp:HPAScalingRules
HorizontalPodAutoscalerCondition= lastTransitionTime message observedGeneration:i reason status type
HorizontalPodAutoscalerSpec= behavior:HorizontalPodAutoscalerBehavior maxReplicas:i metrics:[]MetricSpec minReplicas:i
  scaleTargetRef:CrossVersionObjectReference
HorizontalPodAutoscalerStatus= conditions:[type]HorizontalPodAutoscalerCondition currentMetrics:[]MetricStatus
  currentReplicas:i desiredReplicas:i lastScaleTime observedGeneration:i
HostAlias= hostnames:[] ip
HostIP= ip
HostPathVolumeSource= path type
IPBlock= cidr except:[]
ISCSIPersistentVolumeSource= chapAuthDiscovery:b chapAuthSession:b fsType initiatorName iqn iscsiInterface lun:i
  portals:[] readOnly:b secretRef:!SecretReference targetPortal
ISCSIVolumeSource= chapAuthDiscovery:b chapAuthSession:b fsType initiatorName iqn iscsiInterface lun:i portals:[]
  readOnly:b secretRef:!LocalObjectReference targetPortal
ImageVolumeSource= pullPolicy reference
ImageVolumeStatus= imageRef
Ingress= metadata:ObjectMeta spec:IngressSpec status:IngressStatus
IngressBackend= resource:!TypedLocalObjectReference service:IngressServiceBackend
IngressClass= metadata:ObjectMeta spec:IngressClassSpec
IngressClassParametersReference= apiGroup kind name namespace scope
IngressClassSpec= controller parameters:IngressClassParametersReference
IngressLoadBalancerIngress= hostname ip ports:[]IngressPortStatus
IngressLoadBalancerStatus= ingress:[]IngressLoadBalancerIngress
IngressPortStatus= error port:i protocol
IngressRule= host http:HTTPIngressRuleValue
IngressServiceBackend= name port:!ServiceBackendPort
IngressSpec= defaultBackend:IngressBackend ingressClassName rules:[]IngressRule tls:[]IngressTLS
IngressStatus= loadBalancer:IngressLoadBalancerStatus
IngressTLS= hosts:[] secretName
Job= metadata:ObjectMeta spec:JobSpec status:JobStatus
JobCondition= lastProbeTime lastTransitionTime message reason status type
JobSchedulingConfiguration= disruptionMode:WorkloadPodGroupDisruptionMode
  resourceClaims:[name]WorkloadPodGroupResourceClaim schedulingConstraints:WorkloadPodGroupSchedulingConstraints
  schedulingPolicy:WorkloadPodGroupSchedulingPolicy
JobSpec= activeDeadlineSeconds:i backoffLimit:i backoffLimitPerIndex:i completionMode completions:i managedBy
  manualSelector:b maxFailedIndexes:i parallelism:i podFailurePolicy:PodFailurePolicy podReplacementPolicy
  scheduling:JobSchedulingConfiguration selector:!LabelSelector successPolicy:SuccessPolicy suspend:b
  template:PodTemplateSpec ttlSecondsAfterFinished:i
JobStatus= active:i completedIndexes completionTime conditions:[~type]JobCondition failed:i failedIndexes ready:i
  startTime succeeded:i terminating:i uncountedTerminatedPods:UncountedTerminatedPods
JobTemplateSpec= metadata:ObjectMeta spec:JobSpec
KeyToPath= key mode:i path user:i
LabelSelector= matchExpressions:[]LabelSelectorRequirement matchLabels:{}
LabelSelectorRequirement= key operator values:[]
Lease= metadata:ObjectMeta spec:LeaseSpec
LeaseSpec= acquireTime holderIdentity leaseDurationSeconds:i leaseTransitions:i preferredHolder renewTime strategy
Lifecycle= postStart:LifecycleHandler preStop:LifecycleHandler stopSignal
LifecycleHandler= exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
LimitRange= metadata:ObjectMeta spec:LimitRangeSpec
LimitRangeItem= default:{}a defaultRequest:{}a max:{}a maxLimitRequestRatio:{}a min:{}a type
LimitRangeSpec= limits:[]LimitRangeItem
LinuxContainerUser= gid:i supplementalGroups:[]i uid:i
LoadBalancerIngress= hostname ip ipMode ports:[]PortStatus
LoadBalancerStatus= ingress:[]LoadBalancerIngress
LocalObjectReference= name
LocalVolumeSource= fsType path
ManagedFieldsEntry= apiVersion fieldsType fieldsV1:a manager operation subresource time
MetricIdentifier= name selector:!LabelSelector
MetricSpec= containerResource:ContainerResourceMetricSource external:ExternalMetricSource object:ObjectMetricSource
  pods:PodsMetricSource resource:ResourceMetricSource type
MetricStatus= containerResource:ContainerResourceMetricStatus external:ExternalMetricStatus object:ObjectMetricStatus
  pods:PodsMetricStatus resource:ResourceMetricStatus type
MetricTarget= averageUtilization:i averageValue:a type value:a
MetricValueStatus= averageUtilization:i averageValue:a value:a
ModifyVolumeStatus= status targetVolumeAttributesClassName
NFSVolumeSource= path readOnly:b server
Namespace= metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
NamespaceCondition= lastTransitionTime message reason status type
NamespaceSpec= finalizers:[]
NamespaceStatus= conditions:[type]NamespaceCondition phase
NetworkPolicy= metadata:ObjectMeta spec:NetworkPolicySpec
NetworkPolicyEgressRule= ports:[]NetworkPolicyPort to:[]NetworkPolicyPeer
NetworkPolicyIngressRule= from:[]NetworkPolicyPeer ports:[]NetworkPolicyPort
NetworkPolicyPeer= ipBlock:IPBlock namespaceSelector:!LabelSelector podSelector:!LabelSelector
NetworkPolicyPort= endPort:i port:a protocol
NetworkPolicySpec= egress:[]NetworkPolicyEgressRule ingress:[]NetworkPolicyIngressRule podSelector:!LabelSelector
  policyTypes:[]
Node= metadata:ObjectMeta spec:NodeSpec status:NodeStatus
NodeAddress= address type
NodeAffinity= preferredDuringSchedulingIgnoredDuringExecution:[]PreferredSchedulingTerm
  requiredDuringSchedulingIgnoredDuringExecution:!NodeSelector
NodeAllocatableMappedResources= name quantity:a
NodeAllocatableOverheadResources= name perContainer:a perPod:a
NodeAllocatableResourceClaimStatus= containers:[set] mapping:[name]NodeAllocatableMappedResources
  overhead:[name]NodeAllocatableOverheadResources resourceClaimName
NodeCondition= lastHeartbeatTime lastTransitionTime message reason status type
NodeConfigSource= configMap:ConfigMapNodeConfigSource
NodeConfigStatus= active:NodeConfigSource assigned:NodeConfigSource error lastKnownGood:NodeConfigSource
NodeDaemonEndpoints= kubeletEndpoint:DaemonEndpoint
NodeFeatures= supplementalGroupsPolicy:b
NodePodPreemptionPolicy= disableResizePreemption:[set]
NodeRuntimeHandler= features:NodeRuntimeHandlerFeatures name
NodeRuntimeHandlerFeatures= recursiveReadOnlyMounts:b userNamespaces:b
NodeSelector= nodeSelectorTerms:[]!NodeSelectorTerm
NodeSelectorRequirement= key operator values:[]
NodeSelectorTerm= matchExpressions:[]NodeSelectorRequirement matchFields:[]NodeSelectorRequirement
NodeSpec= configSource:NodeConfigSource externalID podCIDR podCIDRs:[set] podPreemptionPolicy:NodePodPreemptionPolicy
  providerID taints:[]Taint unschedulable:b
NodeStatus= addresses:[type]NodeAddress allocatable:{}a capacity:{}a conditions:[type]NodeCondition
  config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints declaredFeatures:[] features:NodeFeatures
  images:[]ContainerImage nodeInfo:NodeSystemInfo phase runtimeHandlers:[]NodeRuntimeHandler
  volumesAttached:[]AttachedVolume volumesInUse:[]
NodeSwapStatus= capacity:i
NodeSystemInfo= architecture bootID containerRuntimeVersion kernelVersion kubeProxyVersion kubeletVersion machineID
  operatingSystem osImage runningInUserNamespace:b swap:NodeSwapStatus systemUUID
ObjectFieldSelector= apiVersion fieldPath
ObjectMeta= annotations:{} creationTimestamp deletionGracePeriodSeconds:i deletionTimestamp finalizers:[set]
  generateName generation:i labels:{} managedFields:[]ManagedFieldsEntry name namespace
  ownerReferences:[uid]!OwnerReference resourceVersion selfLink uid
ObjectMetricSource= describedObject:CrossVersionObjectReference metric:MetricIdentifier target:MetricTarget
ObjectMetricStatus= current:MetricValueStatus describedObject:CrossVersionObjectReference metric:MetricIdentifier
ObjectReference= apiVersion fieldPath kind name namespace resourceVersion uid
Overhead= podFixed:{}a
OwnerReference= apiVersion blockOwnerDeletion:b controller:b kind name uid
PersistentVolume= metadata:ObjectMeta spec:PersistentVolumeSpec status:PersistentVolumeStatus
PersistentVolumeClaim= metadata:ObjectMeta spec:PersistentVolumeClaimSpec status:PersistentVolumeClaimStatus
PersistentVolumeClaimCondition= lastProbeTime lastTransitionTime message reason status type
PersistentVolumeClaimSpec= accessModes:[] dataSource:!TypedLocalObjectReference dataSourceRef:TypedObjectReference
  resources:VolumeResourceRequirements selector:!LabelSelector storageClassName volumeAttributesClassName volumeMode
  volumeName
PersistentVolumeClaimStatus= accessModes:[] allocatedResourceStatuses:{} allocatedResources:{}a capacity:{}a
  conditions:[type]PersistentVolumeClaimCondition currentVolumeAttributesClassName healthStatus:VolumeHealthStatus
  modifyVolumeStatus:ModifyVolumeStatus phase
PersistentVolumeClaimTemplate= metadata:ObjectMeta spec:PersistentVolumeClaimSpec
PersistentVolumeClaimVolumeSource= claimName readOnly:b
PersistentVolumeSpec= accessModes:[] awsElasticBlockStore:AWSElasticBlockStoreVolumeSource
  azureDisk:AzureDiskVolumeSource azureFile:AzureFilePersistentVolumeSource capacity:{}a
  cephfs:CephFSPersistentVolumeSource cinder:CinderPersistentVolumeSource claimRef:!ObjectReference
  csi:CSIPersistentVolumeSource fc:FCVolumeSource flexVolume:FlexPersistentVolumeSource flocker:FlockerVolumeSource
  gcePersistentDisk:GCEPersistentDiskVolumeSource glusterfs:GlusterfsPersistentVolumeSource
  hostPath:HostPathVolumeSource iscsi:ISCSIPersistentVolumeSource local:LocalVolumeSource mountOptions:[]
  nfs:NFSVolumeSource nodeAffinity:VolumeNodeAffinity persistentVolumeReclaimPolicy
  photonPersistentDisk:PhotonPersistentDiskVolumeSource portworxVolume:PortworxVolumeSource
  quobyte:QuobyteVolumeSource rbd:RBDPersistentVolumeSource scaleIO:ScaleIOPersistentVolumeSource storageClassName
  storageos:StorageOSPersistentVolumeSource volumeAttributesClassName volumeMode
  vsphereVolume:VsphereVirtualDiskVolumeSource
PersistentVolumeStatus= lastPhaseTransitionTime message phase reason
PhotonPersistentDiskVolumeSource= fsType pdID
Pod= metadata:ObjectMeta spec:PodSpec status:PodStatus
PodAffinity= preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm
PodAffinityTerm= labelSelector:!LabelSelector matchLabelKeys:[] mismatchLabelKeys:[] namespaceSelector:!LabelSelector
  namespaces:[] topologyKey
PodAntiAffinity= preferredDuringSchedulingIgnoredDuringExecution:[]WeightedPodAffinityTerm
  requiredDuringSchedulingIgnoredDuringExecution:[]PodAffinityTerm
PodCertificateProjection= certificateChainPath credentialBundlePath keyPath keyType maxExpirationSeconds:i signerName
  user:i userAnnotations:{}
PodCondition= lastProbeTime lastTransitionTime message observedGeneration:i reason status type
PodDNSConfig= nameservers:[] options:[]PodDNSConfigOption searches:[]
PodDNSConfigOption= name value
PodDisruptionBudget= metadata:ObjectMeta spec:PodDisruptionBudgetSpec status:PodDisruptionBudgetStatus
PodDisruptionBudgetSpec= maxUnavailable:a minAvailable:a selector:!LabelSelector unhealthyPodEvictionPolicy
PodDisruptionBudgetStatus= conditions:[type]Condition currentHealthy:i desiredHealthy:i disruptedPods:{}
  disruptionsAllowed:i expectedPods:i observedGeneration:i
PodExtendedResourceClaimStatus= requestMappings:[]ContainerExtendedResourceRequest resourceClaimName
PodFailurePolicy= rules:[]PodFailurePolicyRule
PodFailurePolicyOnExitCodesRequirement= containerName operator values:[set]i
PodFailurePolicyOnPodConditionsPattern= status type
PodFailurePolicyRule= action onExitCodes:PodFailurePolicyOnExitCodesRequirement
  onPodConditions:[]PodFailurePolicyOnPodConditionsPattern
PodIP= ip
PodOS= name
PodReadinessGate= conditionType
PodResourceClaim= name resourceClaimName resourceClaimTemplateName
PodResourceClaimStatus= name resourceClaimName
PodSchedulingGate= name
PodSchedulingGroup= podGroupName
PodSecurityContext= appArmorProfile:AppArmorProfile fsGroup:i fsGroupChangePolicy runAsGroup:i runAsNonRoot:b
  runAsUser:i seLinuxChangePolicy seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile supplementalGroups:[]i
  supplementalGroupsPolicy sysctls:[]Sysctl windowsOptions:WindowsSecurityContextOptions
PodSpec= activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b containers:[name]Container
  dnsConfig:PodDNSConfig dnsPolicy enableServiceLinks:b ephemeralContainers:[name]EphemeralContainer
  evictionResponders:[name]!EvictionResponder hostAliases:[ip]HostAlias hostIPC:b hostNetwork:b hostPID:b hostUsers:b
  hostname hostnameOverride imagePullSecrets:[name]!LocalObjectReference initContainers:[name]Container nodeName
  nodeSelector:{!} os:PodOS overhead:{}a preemptionPolicy priority:i priorityClassName
  readinessGates:[]PodReadinessGate resourceClaims:[name]PodResourceClaim resources:ResourceRequirements restartPolicy
  runtimeClassName schedulerName schedulingGates:[name]PodSchedulingGate schedulingGroup:PodSchedulingGroup
  securityContext:PodSecurityContext serviceAccount serviceAccountName setHostnameAsFQDN:b shareProcessNamespace:b
  subdomain terminationGracePeriodSeconds:i tolerations:[]Toleration
  topologySpreadConstraints:[topologyKey,whenUnsatisfiable~topologyKey]TopologySpreadConstraint volumes:[name]Volume
PodStatus= allocatedResources:{}a conditions:[type]PodCondition containerStatuses:[]ContainerStatus
  ephemeralContainerStatuses:[]ContainerStatus extendedResourceClaimStatus:PodExtendedResourceClaimStatus hostIP
  hostIPs:[~ip]HostIP initContainerStatuses:[]ContainerStatus message
  nodeAllocatableResourceClaimStatuses:[resourceClaimName]NodeAllocatableResourceClaimStatus nominatedNodeName
  observedGeneration:i phase podIP podIPs:[ip]PodIP qosClass reason resize
  resourceClaimStatuses:[name]PodResourceClaimStatus resources:ResourceRequirements startTime
  volumeHealth:[name]PodVolumeHealth
PodTemplate= metadata:ObjectMeta template:PodTemplateSpec
PodTemplateSpec= metadata:ObjectMeta spec:PodSpec
PodVolumeHealth= healthConditions:[status,reason~status]VolumeHealthCondition lastTransitionTime name
PodsMetricSource= metric:MetricIdentifier target:MetricTarget
PodsMetricStatus= current:MetricValueStatus metric:MetricIdentifier
PolicyRule= apiGroups:[] nonResourceURLs:[] resourceNames:[] resources:[] verbs:[]
PortStatus= error port:i protocol
PortworxVolumeSource= fsType readOnly:b volumeID
PreferredSchedulingTerm= preference:!NodeSelectorTerm weight:i
PriorityClass= description globalDefault:b metadata:ObjectMeta preemptionPolicy value:i
Probe= exec:ExecAction failureThreshold:i grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds:i periodSeconds:i
  successThreshold:i tcpSocket:TCPSocketAction terminationGracePeriodSeconds:i timeoutSeconds:i
ProjectedVolumeSource= defaultMode:i defaultUser:i sources:[]VolumeProjection
QuobyteVolumeSource= group readOnly:b registry tenant user volume
RBDPersistentVolumeSource= fsType image keyring monitors:[] pool readOnly:b secretRef:!SecretReference user
RBDVolumeSource= fsType image keyring monitors:[] pool readOnly:b secretRef:!LocalObjectReference user
ReplicaSet= metadata:ObjectMeta spec:ReplicaSetSpec status:ReplicaSetStatus
ReplicaSetCondition= lastTransitionTime message reason status type
ReplicaSetSpec= minReadySeconds:i replicas:i selector:!LabelSelector template:PodTemplateSpec
ReplicaSetStatus= availableReplicas:i conditions:[type]ReplicaSetCondition fullyLabeledReplicas:i observedGeneration:i
  readyReplicas:i replicas:i terminatingReplicas:i
ReplicationController= metadata:ObjectMeta spec:ReplicationControllerSpec status:ReplicationControllerStatus
ReplicationControllerCondition= lastTransitionTime message reason status type
ReplicationControllerSpec= minReadySeconds:i replicas:i selector:{!} template:PodTemplateSpec
ReplicationControllerStatus= availableReplicas:i conditions:[type]ReplicationControllerCondition
  fullyLabeledReplicas:i observedGeneration:i readyReplicas:i replicas:i
ResourceClaim= name request
ResourceFieldSelector= containerName divisor:a resource
ResourceHealth= health message resourceID
ResourceMetricSource= name target:MetricTarget
ResourceMetricStatus= current:MetricValueStatus name
ResourceQuota= metadata:ObjectMeta spec:ResourceQuotaSpec status:ResourceQuotaStatus
ResourceQuotaSpec= hard:{}a scopeSelector:!ScopeSelector scopes:[]
ResourceQuotaStatus= hard:{}a used:{}a
ResourceRequirements= claims:[name]ResourceClaim limits:{}a requests:{}a
ResourceStatus= name resources:[resourceID]ResourceHealth
Role= metadata:ObjectMeta rules:[]PolicyRule
RoleBinding= metadata:ObjectMeta roleRef:!RoleRef subjects:[]!Subject
RoleRef= apiGroup kind name
RollingUpdateDaemonSet= maxSurge:a maxUnavailable:a
RollingUpdateDeployment= maxSurge:a maxUnavailable:a
RollingUpdateStatefulSetStrategy= maxUnavailable:a partition:i
RuntimeClass= handler metadata:ObjectMeta overhead:Overhead scheduling:Scheduling
SELinuxOptions= level role type user
ScaleIOPersistentVolumeSource= fsType gateway protectionDomain readOnly:b secretRef:!SecretReference sslEnabled:b
  storageMode storagePool system volumeName
ScaleIOVolumeSource= fsType gateway protectionDomain readOnly:b secretRef:!LocalObjectReference sslEnabled:b
  storageMode storagePool system volumeName
Scheduling= nodeSelector:{!} tolerations:[]Toleration
ScopeSelector= matchExpressions:[]ScopedResourceSelectorRequirement
ScopedResourceSelectorRequirement= operator scopeName values:[]
SeccompProfile= localhostProfile type
Secret= data:{} immutable:b metadata:ObjectMeta stringData:{} type
SecretEnvSource= name optional:b
SecretKeySelector= key name optional:b
SecretProjection= items:[]KeyToPath name optional:b
SecretReference= name namespace
SecretVolumeSource= defaultMode:i defaultUser:i items:[]KeyToPath optional:b secretName
SecurityContext= allowPrivilegeEscalation:b appArmorProfile:AppArmorProfile capabilities:Capabilities privileged:b
  procMount readOnlyRootFilesystem:b runAsGroup:i runAsNonRoot:b runAsUser:i seLinuxOptions:SELinuxOptions
  seccompProfile:SeccompProfile windowsOptions:WindowsSecurityContextOptions
SelectableField= jsonPath
Service= metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
ServiceAccount= automountServiceAccountToken:b imagePullSecrets:[]!LocalObjectReference metadata:ObjectMeta
  secrets:[name]!ObjectReference
ServiceAccountTokenProjection= audience expirationSeconds:i path user:i
ServiceBackendPort= name number:i
ServicePort= appProtocol name nodePort:i port:i protocol targetPort:a
ServiceReference= name namespace path port:i
ServiceSpec= allocateLoadBalancerNodePorts:b clusterIP clusterIPs:[] externalIPs:[] externalName externalTrafficPolicy
  healthCheckNodePort:i internalTrafficPolicy ipFamilies:[] ipFamilyPolicy loadBalancerClass loadBalancerIP
  loadBalancerSourceRanges:[] ports:[port,protocol~port]ServicePort publishNotReadyAddresses:b selector:{!}
  sessionAffinity sessionAffinityConfig:SessionAffinityConfig trafficDistribution type
ServiceStatus= conditions:[type]Condition loadBalancer:LoadBalancerStatus
SessionAffinityConfig= clientIP:ClientIPConfig
SleepAction= seconds:i
StatefulSet= metadata:ObjectMeta spec:StatefulSetSpec status:StatefulSetStatus
StatefulSetCondition= lastTransitionTime message reason status type
StatefulSetOrdinals= start:i
StatefulSetPersistentVolumeClaimRetentionPolicy= whenDeleted whenScaled
StatefulSetSpec= minReadySeconds:i ordinals:StatefulSetOrdinals
  persistentVolumeClaimRetentionPolicy:StatefulSetPersistentVolumeClaimRetentionPolicy podManagementPolicy replicas:i
  revisionHistoryLimit:i selector:!LabelSelector serviceName template:PodTemplateSpec
  updateStrategy:StatefulSetUpdateStrategy volumeClaimTemplates:[]PersistentVolumeClaim
StatefulSetStatus= availableReplicas:i collisionCount:i conditions:[type]StatefulSetCondition currentReplicas:i
  currentRevision observedGeneration:i readyReplicas:i replicas:i updateRevision updatedReplicas:i
StatefulSetUpdateStrategy= rollingUpdate:RollingUpdateStatefulSetStrategy type
StorageClass= allowVolumeExpansion:b allowedTopologies:[]!TopologySelectorTerm metadata:ObjectMeta mountOptions:[]
  parameters:{} provisioner reclaimPolicy volumeBindingMode
StorageOSPersistentVolumeSource= fsType readOnly:b secretRef:!ObjectReference volumeName volumeNamespace
StorageOSVolumeSource= fsType readOnly:b secretRef:!LocalObjectReference volumeName volumeNamespace
Subject= apiGroup kind name namespace
SuccessPolicy= rules:[]SuccessPolicyRule
SuccessPolicyRule= succeededCount:i succeededIndexes
Sysctl= name value
TCPSocketAction= host port:a
Taint= effect key timeAdded value
Toleration= effect key operator tolerationSeconds:i value
TopologyConstraint= key
TopologySelectorLabelRequirement= key values:[]
TopologySelectorTerm= matchLabelExpressions:[]TopologySelectorLabelRequirement
TopologySpreadConstraint= labelSelector:!LabelSelector matchLabelKeys:[] maxSkew:i minDomains:i nodeAffinityPolicy
  nodeTaintsPolicy topologyKey whenUnsatisfiable
TypedLocalObjectReference= apiGroup kind name
TypedObjectReference= apiGroup kind name namespace
UncountedTerminatedPods= failed:[set] succeeded:[set]
Volume= awsElasticBlockStore:AWSElasticBlockStoreVolumeSource azureDisk:AzureDiskVolumeSource
  azureFile:AzureFileVolumeSource cephfs:CephFSVolumeSource cinder:CinderVolumeSource configMap:ConfigMapVolumeSource
  csi:CSIVolumeSource downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource
  ephemeral:EphemeralVolumeSource fc:FCVolumeSource flexVolume:FlexVolumeSource flocker:FlockerVolumeSource
  gcePersistentDisk:GCEPersistentDiskVolumeSource gitRepo:GitRepoVolumeSource glusterfs:GlusterfsVolumeSource
  hostPath:HostPathVolumeSource image:ImageVolumeSource iscsi:ISCSIVolumeSource name nfs:NFSVolumeSource
  persistentVolumeClaim:PersistentVolumeClaimVolumeSource photonPersistentDisk:PhotonPersistentDiskVolumeSource
  portworxVolume:PortworxVolumeSource projected:ProjectedVolumeSource quobyte:QuobyteVolumeSource rbd:RBDVolumeSource
  scaleIO:ScaleIOVolumeSource secret:SecretVolumeSource storageos:StorageOSVolumeSource
  vsphereVolume:VsphereVirtualDiskVolumeSource
VolumeDevice= devicePath name
VolumeHealthCondition= message reason status
VolumeHealthStatus= healthConditions:[status,reason~status]VolumeHealthCondition lastTransitionTime
VolumeMount= bindMountOptions:[set] mountPath mountPropagation name readOnly:b recursiveReadOnly subPath subPathExpr
VolumeMountStatus= mountPath name readOnly:b recursiveReadOnly volumeStatus:VolumeStatus
VolumeNodeAffinity= required:!NodeSelector
VolumeProjection= clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection
  downwardAPI:DownwardAPIProjection podCertificate:PodCertificateProjection secret:SecretProjection
  serviceAccountToken:ServiceAccountTokenProjection
VolumeResourceRequirements= limits:{}a requests:{}a
VolumeStatus= image:ImageVolumeStatus
VsphereVirtualDiskVolumeSource= fsType storagePolicyID storagePolicyName volumePath
WebhookClientConfig= caBundle service:ServiceReference url
WebhookConversion= clientConfig:WebhookClientConfig conversionReviewVersions:[]
WeightedPodAffinityTerm= podAffinityTerm:PodAffinityTerm weight:i
WindowsSecurityContextOptions= gmsaCredentialSpec gmsaCredentialSpecName hostProcess:b runAsUserName
WorkloadPodGroupDisruptionMode= all:a single:a
WorkloadPodGroupGangSchedulingPolicy= minCount:i
WorkloadPodGroupResourceClaim= name resourceClaimName resourceClaimTemplateName
WorkloadPodGroupSchedulingConstraints= topology:[]TopologyConstraint
WorkloadPodGroupSchedulingPolicy= basic:a gang:WorkloadPodGroupGangSchedulingPolicy
]=]
