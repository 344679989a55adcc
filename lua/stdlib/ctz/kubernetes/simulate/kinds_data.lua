-- kubernetes/simulate/kinds_data.lua: group/version|plural|kind|singular|short|n: in namespaces|verbs|...
-- SPDX-License-Identifier: MIT
-- luacheck: no max line length
-- Written by script/kubernetes-kinds.lua from api/ of Kubernetes 1.37.
return [=[
/v1|bindings|Binding|binding||n|create||
/v1|configmaps|ConfigMap|configmap|cm|n|||
/v1|endpoints|Endpoints|endpoints|ep|n|||
/v1|events|Event|event|ev|n|||
/v1|limitranges|LimitRange|limitrange|limits|n|||
/v1|namespaces|Namespace|namespace|ns||create delete get list patch update watch|finalize status|
/v1|nodes|Node|node|no|||proxy status|
/v1|persistentvolumeclaims|PersistentVolumeClaim|persistentvolumeclaim|pvc|n||status|
/v1|persistentvolumes|PersistentVolume|persistentvolume|pv|||status|
/v1|pods|Pod|pod|po|n||attach binding ephemeralcontainers eviction exec log portforward proxy resize status|all
/v1|podtemplates|PodTemplate|podtemplate||n|||
/v1|replicationcontrollers|ReplicationController|replicationcontroller|rc|n||scale status|all
/v1|resourcequotas|ResourceQuota|resourcequota|quota|n||status|
/v1|secrets|Secret|secret||n|||
/v1|serviceaccounts|ServiceAccount|serviceaccount|sa|n||token|
/v1|services|Service|service|svc|n||proxy status|all
apps/v1|controllerrevisions|ControllerRevision|controllerrevision||n|||
apps/v1|daemonsets|DaemonSet|daemonset|ds|n||status|all
apps/v1|deployments|Deployment|deployment|deploy|n||scale status|all
apps/v1|replicasets|ReplicaSet|replicaset|rs|n||scale status|all
apps/v1|statefulsets|StatefulSet|statefulset|sts|n||scale status|all
authorization.k8s.io/v1|localsubjectaccessreviews|LocalSubjectAccessReview|localsubjectaccessreview||n|create||
authorization.k8s.io/v1|selfsubjectaccessreviews|SelfSubjectAccessReview|selfsubjectaccessreview|||create||
authorization.k8s.io/v1|selfsubjectrulesreviews|SelfSubjectRulesReview|selfsubjectrulesreview|||create||
authorization.k8s.io/v1|subjectaccessreviews|SubjectAccessReview|subjectaccessreview|||create||
autoscaling/v2|horizontalpodautoscalers|HorizontalPodAutoscaler|horizontalpodautoscaler|hpa|n||status|all
batch/v1|cronjobs|CronJob|cronjob|cj|n||status|all
batch/v1|jobs|Job|job||n||status|all
networking.k8s.io/v1|ingressclasses|IngressClass|ingressclass|||||
networking.k8s.io/v1|ingresses|Ingress|ingress|ing|n||status|
networking.k8s.io/v1|networkpolicies|NetworkPolicy|networkpolicy|netpol|n|||
policy/v1|poddisruptionbudgets|PodDisruptionBudget|poddisruptionbudget|pdb|n||status|
rbac.authorization.k8s.io/v1|clusterrolebindings|ClusterRoleBinding|clusterrolebinding|||||
rbac.authorization.k8s.io/v1|clusterroles|ClusterRole|clusterrole|||||
rbac.authorization.k8s.io/v1|rolebindings|RoleBinding|rolebinding||n|||
rbac.authorization.k8s.io/v1|roles|Role|role||n|||
storage.k8s.io/v1|storageclasses|StorageClass|storageclass|sc||||
admissionregistration.k8s.io/v1|mutatingwebhookconfigurations|MutatingWebhookConfiguration|mutatingwebhookconfiguration|||||api-extensions
admissionregistration.k8s.io/v1|validatingadmissionpolicies|ValidatingAdmissionPolicy|validatingadmissionpolicy||||status|api-extensions
admissionregistration.k8s.io/v1|validatingadmissionpolicybindings|ValidatingAdmissionPolicyBinding|validatingadmissionpolicybinding|||||api-extensions
admissionregistration.k8s.io/v1|validatingwebhookconfigurations|ValidatingWebhookConfiguration|validatingwebhookconfiguration|||||api-extensions
apiextensions.k8s.io/v1|customresourcedefinitions|CustomResourceDefinition|customresourcedefinition|crd crds|||status|api-extensions
scheduling.k8s.io/v1|priorityclasses|PriorityClass|priorityclass|pc||||
coordination.k8s.io/v1|leases|Lease|lease||n|||
node.k8s.io/v1|runtimeclasses|RuntimeClass|runtimeclass|||||
discovery.k8s.io/v1|endpointslices|EndpointSlice|endpointslice||n|||
]=]
