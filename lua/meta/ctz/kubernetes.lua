---@meta ctz.kubernetes
-- Generated from the doc comments; do not edit.

---clusters from a recipe, as kubectl reaches them.
---@class ctz.kubernetes
local kubernetes = {}

---@class ctz.kubernetes.configmap.description
---@field name string
---@field data? table<string, string>  numbers and booleans become texts
---@field binary? table<string, string>  bytes
---@field namespace? string  also labels, annotations, immutable

---The manifest of a ConfigMap.
---@param description ctz.kubernetes.configmap.description
---@return table # the manifest
function kubernetes.configmap(description) end

---@class ctz.kubernetes.connect.opts
---@field kubeconfig? string|string[]  file, or files in the order of KUBECONFIG
---@field context? string  default: current-context
---@field namespace? string  default: that of the context, else "default"
---@field allow_contexts? string[]  refuse every other context: "staging", "dev-*"
---@field in_cluster? boolean  true: the service account of this pod, whatever files there are
---@field as? string  user to impersonate
---@field as_groups? string[]  groups to impersonate
---@field as_uid? string  uid to impersonate
---@field requests? integer  most at once, default 8
---@field rps? number  most a second after a burst of 300, default 100; 0: as many as come
---@field timeout? ctz.seconds  of each answer that is no stream; default 60

---A cluster to work with, the one that kubectl would use: the files of KUBECONFIG, else ~/.kube/config, else the pod that this runs in. Of several files the first that says something counts. Nothing is sent yet, no credential plugin is run. Under --simulate it is a cluster in memory, one for each context, and no kubeconfig is read. `ctz.k8s` is the same module.
---@async
---@param opts? ctz.kubernetes.connect.opts
---@return ctz.kubernetes.Client
function kubernetes.connect(opts) end

---@class ctz.kubernetes.cronjob.description
---@field schedule string  "*/5 * * * *" or "@daily"
---@field time_zone? string  "Europe/Berlin"
---@field concurrency? "Allow"|"Forbid"|"Replace"
---@field suspend? boolean
---@field keep_succeeded? integer  also keep_failed; start_deadline in seconds

---The manifest of a CronJob: the fields of ctz.kubernetes.job and a schedule.
---@param description ctz.kubernetes.cronjob.description
---@return table # the manifest
function kubernetes.cronjob(description) end

---@class ctz.kubernetes.deployment.description
---@field name string
---@field image string
---@field namespace? string
---@field replicas? integer
---@field ports? table  {80, "53/udp", {port=80, name="http", protocol=, host_port=}}
---@field environment? table  {NAME = text|number|boolean|secret, or {secret="name", key="key"}, {config_map=, key=}, {field="metadata.name"}}
---@field resources? table  {requests={cpu="100m", memory="64Mi"}, limits={...}}
---@field volumes? table  {name = {path="/data", claim=|empty=true|host_path=|config_map=|secret=, read_only=, sub_path=, size=}}
---@field config_maps? table  {"name"}: as environment; {name="/path"}: as files; also secrets
---@field secrets? table
---@field probes? table  {liveness=, readiness=, startup=} each {http="/path", port=}, {tcp=} or {command=}, with initial_delay, period, timeout (seconds), success_threshold, failure_threshold
---@field strategy? string|table  "Recreate" or {type=, max_surge=, max_unavailable=}
---@field command? string[]  also args
---@field labels? table  also annotations, match_labels, pod_labels, node_selector
---@field service_account? string  also image_pull_secrets, image_pull_policy, workdir, termination_grace_period

---The manifest of a Deployment with one container, as the API has it; tostring gives YAML for kubectl (a ctz.secret in it is "***"). Its pods have the label app = name unless match_labels says other. All problems of the description are told at once.
---@param description ctz.kubernetes.deployment.description
---@return table # the manifest
function kubernetes.deployment(description) end

---@class ctz.kubernetes.ingress.description
---@field name string
---@field rules table  {{host="a.example", path="/", path_type="Prefix", service="web", port=80}}
---@field class? string
---@field tls? table  {{hosts={"a.example"}, secret="name"}}
---@field namespace? string  also labels, annotations

---The manifest of an Ingress.
---@param description ctz.kubernetes.ingress.description
---@return table # the manifest
function kubernetes.ingress(description) end

---@class ctz.kubernetes.job.description
---@field name string
---@field image string
---@field restart? "Never"|"OnFailure"  default "Never"
---@field backoff_limit? integer  also completions, parallelism
---@field deadline? integer  seconds that it may run
---@field keep_for? integer  seconds after its end

---The manifest of a Job with one container. The fields of the container are those of ctz.kubernetes.deployment.
---@param description ctz.kubernetes.job.description
---@return table # the manifest
function kubernetes.job(description) end

---@class ctz.kubernetes.orchestrate.opts
---@field deployment_name? string  of the Deployment, StatefulSet, DaemonSet or Job; of a manifest with one workload it may be left out
---@field manifest_path? any  a file, folder, URL, text or object, as of client:apply
---@field namespace? string
---@field replicas? integer  instead of those of the manifest
---@field image? string  and the other fields of ctz.kubernetes.deployment, instead of a manifest
---@field wait? boolean  false: return when it is applied
---@field timeout? ctz.seconds  until it is ready, default 600
---@field on_progress? fun(step: table)  {text=, object=}
---@field client? ctz.kubernetes.Client  default: a new one, of kubeconfig and context
---@field field_manager? string  also force and mark, of client:apply

---Applies a manifest (or makes a Deployment of the fields of ctz.kubernetes.deployment), waits until its workload is there, and returns the record of it: {name, namespace, kind, replicas, ready_replicas, image, images, ports, environment, resources, status, reason, pods, services, created_at, last_updated}. status is "pending", "running", "failed" or, of a Job, "succeeded"; reason says why it is not ready. pods are {name, status, ready, restarts, node, ip, exit_code, created_at}, services those that lead to the pods. Times are seconds since 1970. record:refresh() reads all of it again. Without a manifest and an image the workload is one that is there. What does not get ready raises; the error has the record as err.result, with the status "failed".
---@async
---@param opts ctz.kubernetes.orchestrate.opts
---@return table
function kubernetes.orchestrate(opts) end

---An amount as the API writes it ("500m", "1.5Gi", "1e3"), exact. Amounts are compared by value (`==`, `<`), added and subtracted (the result has the suffixes of the left one), and tostring gives the canonical form of the API server. What is finer than a nano unit is rounded up; what has a binary suffix and passes 2^63-1 is capped there, as Kubernetes does it. Texts without a digit (which Kubernetes takes for 0) and exponents beyond 128 (which it wraps) are refused.
---@param text string|number|ctz.kubernetes.Quantity
---@return ctz.kubernetes.Quantity
function kubernetes.quantity(text) end

---@class ctz.kubernetes.secret.description
---@field name string
---@field data? table<string, string|ctz.secret>  as they are: they are encoded here
---@field type? string  default "Opaque"
---@field namespace? string  also labels, annotations, immutable

---The manifest of a Secret. The values, texts or ctz.secret, are secrets in it from then on: nothing prints them, tostring has "***" in their place.
---@param description ctz.kubernetes.secret.description
---@return table # the manifest
function kubernetes.secret(description) end

---A label selector as kubectl's -l takes it: `app=web`, `a==b`, `tier!=db`, `env in (a,b)`, `env notin (c)`, `gpu` (has the label), `!spot` (has it not), `cores>4`; a comma is "and", an empty text takes everything. tostring gives its canonical text.
---@param text string
---@return ctz.kubernetes.Selector
function kubernetes.selector(text) end

---@class ctz.kubernetes.service.description
---@field name string
---@field ports table  {80, "53/udp", {port=80, target=8080|"http", name=, protocol=, node_port=}}
---@field namespace? string
---@field selector? table<string, string>
---@field type? "ClusterIP"|"NodePort"|"LoadBalancer"|"ExternalName"
---@field headless? boolean
---@field cluster_ip? string  also external_name, labels, annotations

---The manifest of a Service. It leads to the pods with the label app = name unless selector says other.
---@param description ctz.kubernetes.service.description
---@return table # the manifest
function kubernetes.service(description) end

---@class ctz.kubernetes.Client
local client = {}

---@class ctz.kubernetes.Client.api_resources.opts
---@field group? string  of this API group only: "apps", "" for the core
---@field namespaced? boolean  only those in namespaces, or only the others

---The kinds that the cluster has now, custom resources included: {name (plural), kind, group, version, api_version, singular, short, categories, namespaced, verbs, subresources}. The list's field `broken` names APIs that do not answer.
---@async
---@param opts? ctz.kubernetes.Client.api_resources.opts
---@return ctz.kubernetes.Resource[]
function client:api_resources(opts) end

---@class ctz.kubernetes.Client.apply.opts
---@field field_manager? string  who owns the fields, default "ctz"
---@field force? boolean  take fields that others own
---@field dry_run? boolean  the server checks it and keeps nothing; the field `unchecked` has the places of what lies in a namespace, or is of a kind, that only this apply would make
---@field mark? boolean  the objects get the labels of this run: ctz.run, ctz.recipe, ctz.host ...
---@field namespace? string  of objects that name none; default: the client's
---@field prune? string|table  the name of the inventory, a Secret ("web", "configmap/web"), or {name=, kind=, namespace=, adopt=, allow_empty=}; adopt: that of another tool is taken over, allow_empty: all may go
---@field recursive? boolean  the folders in a folder, too
---@field timeout? ctz.seconds  of each answer
---@field wait? boolean|ctz.seconds|table  true: up to 300 s; or {timeout=, jobs=, on_progress=}; jobs=false: Jobs are not waited for; on_progress is called with {object=, text=}

---Server-side apply: makes what is missing and changes what differs, and returns the objects as the server has them; the list's field `created` says how many are new. Objects are applied in Helm's order of kinds, those of one kind eight at once; definitions of custom resources are waited for. What `kubectl apply` owned before is taken over. What is refused does not hold up the others of its kind; then it ends.
---
---With wait it returns when all are ready: Deployments, StatefulSets and DaemonSets when their rollout is done, Jobs when they are complete, Pods when they are ready, claims when they are bound, load balancers when they have an address, custom kinds when their condition Ready says so, all others at once. It ends early, with the reason, when one of them will not be ready. Paused and suspended ones are not waited for.
---
---With prune the objects belong to an inventory, and those that an earlier apply with the same inventory made and this one does not have are deleted, when all is applied (and ready): the fields `pruned` and `kept` of the result list them, each deletion is a line of the log. An object with the annotation helm.sh/resource-policy: keep stays. The inventory is an ApplySet, as of kubectl apply --prune --applyset.
---@async
---@param manifests any  an object, YAML or JSON text, a file, a folder, an http(s) URL, or a list of these
---@param opts? ctz.kubernetes.Client.apply.opts
---@return table[]
function client:apply(manifests, opts) end

---Applies a manifest: its path, its text or the object. It is client:apply under the name that deployment scripts know.
---@async
---@param manifest any  of client:apply
---@param opts? table  of client:apply
---@return table[]
function client:apply_manifest(manifest, opts) end

---@class ctz.kubernetes.Client.attach.opts
---@field namespace? string
---@field container? string  default: as annotated, else the first
---@field stdin? boolean  connect the standard input too; default false
---@field tty? boolean
---@field timeout? ctz.seconds  until it is connected

---Connects to the streams of the process that a container runs: lines(), parts(), write(bytes), close_stdin(), resize(rows, columns), wait() -> exit code, close(). Only what comes from now on: client:logs has what was written before. Standard input and a terminal only where the pod's container has stdin and tty.
---@async
---@param target string|table  "pod-name", "deployment/web", an object
---@param opts? ctz.kubernetes.Client.attach.opts
---@return remote
function client:attach(target, opts) end

---@class ctz.kubernetes.Client.can_i.opts
---@field name? string  of this object only
---@field namespace? string  default: that of the client
---@field all_namespaces? boolean
---@field subresource? string  "exec", "log", "scale"

---May this user do that? The second result is the server's reason, when it gives one.
---@async
---@param verb string  get list watch create update patch delete deletecollection, or "*"
---@param kind string  "pods", "deployments.apps"
---@param opts? ctz.kubernetes.Client.can_i.opts
---@return boolean
---@return string|nil
function client:can_i(verb, kind, opts) end

---@class ctz.kubernetes.Client.copy_in.opts
---@field namespace? string
---@field container? string
---@field method? "tar"|"cat"  default: tar where the container has it
---@field timeout? ctz.seconds  until each program there has started

---Copies a file or a folder of this machine into a container, as `kubectl cp` does, with names as ctz.docker.containers.copy_in takes them: into `path` when that is a folder, else as `path`; "DIR/." means what is in DIR. A function as source gives the pieces of a tar stream that is unpacked in the folder `path`. The container's tar unpacks; without one a single file goes through its sh and cat: `method` says which it was. Needs a server that speaks v5.channel.k8s.io (Kubernetes 1.30).
---@async
---@param target string|table  as of client:exec
---@param source string|fun(): string?  a path here, or pieces of a tar stream until nil
---@param path string  in the container, from its root
---@param opts? ctz.kubernetes.Client.copy_in.opts
---@return {method: string}
function client:copy_in(target, source, path, opts) end

---@class ctz.kubernetes.Client.copy_out.opts
---@field namespace? string
---@field container? string
---@field method? "tar"|"cat"  default: tar where the container has it
---@field timeout? ctz.seconds  until each program there has started

---Copies a file or a folder out of a container, as `kubectl cp` does, with names as ctz.docker.containers.copy_out takes them: into `to` when that is a folder, else as `to`. Nothing is written outside of it, whatever the container sends. The container's tar packs; without one a single file comes through its cat: `method` says which it was.
---@async
---@param target string|table  as of client:exec
---@param path string  in the container, from its root
---@param to string  a path here
---@param opts? ctz.kubernetes.Client.copy_out.opts
---@return {path: string, method: string}
function client:copy_out(target, path, to, opts) end

---@class ctz.kubernetes.Client.cordon.opts
---@field selector? string|table  labels of nodes, where no node is named
---@field dry_run? boolean

---No new pods are put on the node; those that run go on. With nil and a selector: on all these nodes; then a list is returned.
---@async
---@param node string|table|nil  "node-1", "node/node-1", a node object
---@param opts? ctz.kubernetes.Client.cordon.opts
---@return table # the node
function client:cordon(node, opts) end

---@class ctz.kubernetes.Client.create.opts
---@field namespace? string  where the object names none; default: the client's
---@field dry_run? boolean  the server checks it, and makes nothing
---@field mark? boolean  it gets the labels of this run: ctz.run, ctz.recipe, ctz.host ...
---@field field_manager? string  default "ctz"
---@field validate? boolean  false: unknown fields are dropped
---@field subresource? string  "eviction", "token": of the object that metadata names
---@field timeout? ctz.seconds

---Makes an object, and returns it as the server has it. Fields that the kind does not have are refused.
---@async
---@param object table  with apiVersion, kind, metadata
---@param opts? ctz.kubernetes.Client.create.opts
---@return table
function client:create(object, opts) end

---Makes a Deployment of what ctz.kubernetes.deployment takes, or of a manifest, and returns it as the server has it. client:rollout waits for it; client:apply changes one that is there.
---@async
---@param description table
---@param opts? table  of client:create
---@return table
function client:create_deployment(description, opts) end

---Makes a Service of what ctz.kubernetes.service takes, or of a manifest.
---@async
---@param description table
---@param opts? table  of client:create
---@return table
function client:create_service(description, opts) end

---@class ctz.kubernetes.Client.delete.opts
---@field namespace? string
---@field propagation? "background"|"foreground"|"orphan"  what becomes of what it made
---@field grace? ctz.seconds  for pods to end; 0: at once
---@field wait? boolean  until it is gone
---@field timeout? ctz.seconds  with wait: until it is gone
---@field absent_ok? boolean  no error when there is none
---@field uid? string  only this very object
---@field resource_version? string  only in this state
---@field dry_run? boolean

---Deletes an object. True when it was there; false when there was none and absent_ok is set. It returns when the server has taken the request: with wait, when the object is gone.
---@async
---@param kind string|table  or "kind/name", or the object
---@param name string
---@param opts? ctz.kubernetes.Client.delete.opts
---@return boolean
function client:delete(kind, name, opts) end

---@class ctz.kubernetes.Client.delete_all.opts
---@field labels? string|table
---@field fields? string|table
---@field all? boolean  true: without a selector all of them
---@field namespace? string
---@field propagation? "background"|"foreground"|"orphan"
---@field grace? ctz.seconds
---@field dry_run? boolean
---@field timeout? ctz.seconds

---Deletes the objects of a kind in one namespace that the selectors choose, in one request; returns how many they were.
---@async
---@param kind string
---@param opts ctz.kubernetes.Client.delete_all.opts
---@return integer
function client:delete_all(kind, opts) end

---@class ctz.kubernetes.Client.diff.opts
---@field field_manager? string  default "ctz"
---@field force? boolean  false: fields that others own are a conflict
---@field namespace? string  of objects that name none
---@field print? boolean  prints it, too: in colours on a terminal, unless NO_COLOR is set
---@field prune? string|table  the inventory, as of client:apply: shows what would be removed
---@field recursive? boolean  the folders in a folder, too
---@field timeout? ctz.seconds  of each answer

---What client:apply would change, as a unified diff of YAML, and kubectl's exit code for it: "" and 0 when nothing differs, else 1; os.exit(code) ends a recipe with it. The server works it out (a dry run). managedFields, resourceVersion and generation are left out, values of Secrets are masked. The third result has every object: {kind=, name=, namespace=, text=, change=}, change is "created", "changed", "removed" (with prune) or "none".
---@async
---@param manifests any  as of client:apply
---@param opts? ctz.kubernetes.Client.diff.opts
---@return string
---@return integer
---@return table[]
function client:diff(manifests, opts) end

---@class ctz.kubernetes.Client.drain.opts
---@field selector? string|table  labels of nodes, where no node is named: one after the other
---@field ignore_daemonsets? boolean  their pods stay
---@field delete_emptydir_data? boolean  also pods whose emptyDir is lost
---@field force? boolean  also pods that no controller makes anew
---@field pod_selector? string|table  only pods with these labels
---@field grace_period? ctz.seconds  for the pods to end, default: each pod's own
---@field disable_eviction? boolean  delete them, whatever the budgets say
---@field retry? ctz.seconds  between two tries of what a budget refuses, default 5
---@field timeout? ctz.seconds  for each node; default: without an end
---@field dry_run? boolean  the server checks it, and evicts nothing
---@field on_progress? fun(step: table)  {event="cordoned"|"skipped"|"evicting"|"blocked"|"evicted", text, node, namespace, pod}; of "blocked" {budgets={{name, allowed, current, desired, expected}}}

---Cordons a node and evicts its pods, as kubectl does; it returns when they are gone. Budgets (PodDisruptionBudget) are respected: what one refuses is asked for again until it is granted, and which budget it is, is told. Pods of DaemonSets, with local storage and those that nothing makes anew are refused, all in one error, before anything is evicted, unless the options say otherwise; static pods stay.
---@async
---@param node string|table|nil  "node-1", "node/node-1", a node object
---@param opts? ctz.kubernetes.Client.drain.opts
---@return table # {nodes={name}, evicted={{namespace, name, uid, node}}, skipped={{namespace, name, node, reason}}}
function client:drain(node, opts) end

---for object in client:each("pods", {all_namespaces=true}) do ... end: one object at a time, of which no more than a page is held. A list that takes so long that the server forgets it is gone on with where it was, in the state of that moment; no object is given twice.
---@async
---@param kind string
---@param opts? table  of client:list
---@return fun(): table
function client:each(kind, opts) end

---@class ctz.kubernetes.Client.elect.opts
---@field name string  of the Lease
---@field namespace? string  default: that of the client
---@field identity? string  who this is; default: the host's name and a random number
---@field lease_duration? ctz.seconds  how long others wait for a leader that is silent; default 15
---@field renew_deadline? ctz.seconds  how long this leader tries to renew it; default 10, or two thirds
---@field retry_period? ctz.seconds  between two tries; default 2, or a fifth of renew_deadline
---@field release? boolean  false: others have to wait until the lease ends
---@field timeout? ctz.seconds  until it leads; default: without an end
---@field on_leader? fun(identity: string)  called when there is another leader, this one too

---Waits until this program leads, calls fn(leader), and returns what it returned. Of all that contend for the Lease `name`, in ctz or in client-go, one leads at a time. fn runs in a scope of its own: when the leadership is lost, all in it is cancelled and kind conflict is raised. When fn ends, fails or is cancelled, the leadership is given back at once. leader is {identity, name, namespace, transitions}.
---@async
---@param opts ctz.kubernetes.Client.elect.opts
---@param fn fun(leader: table): any...
---@return any ... # what fn returned
function client:elect(opts, fn) end

---@class ctz.kubernetes.Client.events.opts
---@field namespace? string
---@field all_namespaces? boolean
---@field type? "Normal"|"Warning"
---@field timeout? ctz.seconds

---Events of an object, or of a namespace, the newest last: {time, type ("Normal", "Warning"), reason, message, count, object ("pod/web"), namespace, source, raw}. A cluster keeps them for an hour.
---@async
---@param target? string|table  "pod/web", an object; nil: all of the namespace
---@param opts? ctz.kubernetes.Client.events.opts
---@return table[]
function client:events(target, opts) end

---@class ctz.kubernetes.Client.exec.opts
---@field namespace? string  default: the client's
---@field container? string  default: as annotated, else the first
---@field stdin? string|function|true  what it reads; a function gives pieces; true: with stream
---@field tty? boolean  with a terminal: both streams are one
---@field stdout? fun(line: string)  is called with each line instead
---@field stderr? fun(line: string)
---@field stream? boolean
---@field check? boolean  false: any exit code is a result
---@field timeout? ctz.seconds  until it has started

---Runs a program in a container of a running pod and returns {exit_code, stdout, stderr}. A code other than 0 raises. With stream=true it returns at once an object to talk to: lines(), parts(), write(bytes), close_stdin(), resize(rows, columns), wait() -> exit code, close(). Of a workload the pod that runs best is taken. The user needs `create` and `get` on pods/exec.
---@async
---@param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
---@param command string[]  program and arguments; no shell
---@param opts? ctz.kubernetes.Client.exec.opts
---@return {exit_code: integer, stdout: string, stderr: string}
function client:exec(target, command, opts) end

---@class ctz.kubernetes.Client.explain.opts
---@field recursive? boolean  fields of fields, too
---@field max_depth? integer  with recursive: how deep
---@field api_version? string  "autoscaling/v1": another version than the server prefers
---@field timeout? ctz.seconds

---What a kind or one of its fields is, as the server describes it: {kind, group, version, field, type, description, enum, fields, text}. fields is a list of {name, type, description, required, enum, default}, with recursive=true of fields in turn. text, and tostring of the result, is what `kubectl explain` prints. Descriptions are kept on the disk as long as the server's are the same.
---@async
---@param path string  "deployment.spec.strategy", "widgets.example.com.spec"
---@param opts? ctz.kubernetes.Client.explain.opts
---@return table
function client:explain(path, opts) end

---@class ctz.kubernetes.Client.get.opts
---@field namespace? string  default: the client's
---@field subresource? string  "status", "scale"
---@field timeout? ctz.seconds

---An object as the server has it. The kind may be a short name, a plural, or one with its group ("widgets.example.com"); "deployment/web" is kind and name in one, an object with kind and metadata is read again.
---@async
---@param kind string|table
---@param name string
---@param opts? ctz.kubernetes.Client.get.opts
---@return table
function client:get(kind, name, opts) end

---@class ctz.kubernetes.Client.informer.opts
---@field namespace? string  default: that of the client
---@field all_namespaces? boolean
---@field name? string  this object only
---@field labels? string|table  selector: "app=web,tier!=cache", {app = "web"}
---@field fields? string|table  selector: "status.phase=Running", {["status.phase"] = "Running"}
---@field indexes? table<string, fun(object: table): string|string[]|nil>  for informer:by
---@field transform? fun(object: table): table  what of an object is kept; metadata has to stay
---@field on_change? fun(event: table)  called with each event of changes

---Keeps a copy of the objects of a kind as the server has them: get, list, each and by look at it without a request, changes tells what happens. One watch fills it, which outlives broken connections and restarts of the server; also what was deleted meanwhile is told. It ends with the scope it was made in, or by close.
---@async
---@param kind string  "pods", "deployments.apps", "deploy"
---@param opts? ctz.kubernetes.Client.informer.opts
---@return ctz.kubernetes.Informer
function client:informer(kind, opts) end

---@class ctz.kubernetes.Client.list.opts
---@field namespace? string  default: the client's
---@field all_namespaces? boolean
---@field labels? string|table  "app=web,tier!=db" or {app = "web"}
---@field fields? string|table  "status.phase=Running" or {["metadata.name"] = "web"}
---@field limit? integer  no more than these; metadata.continue tells whether there are more
---@field page? integer  objects in one answer, default 500
---@field resource_version? string  "0": what the server has at hand
---@field timeout? ctz.seconds  of each answer

---All objects of a kind: {items, resource_version, kind, apiVersion, metadata}. It is asked for in pages; each item has its apiVersion and kind.
---@async
---@param kind string
---@param opts? ctz.kubernetes.Client.list.opts
---@return table
function client:list(kind, opts) end

---@class ctz.kubernetes.Client.logs.opts
---@field follow? boolean
---@field container? string  default: as annotated, else the first
---@field all_containers? boolean
---@field previous? boolean  of the container before its last restart; of a workload those that had one
---@field since? string|number  a time, or how long ago ("10m")
---@field tail? integer  only so many last lines of each container
---@field timestamps? boolean  the time stands before the text
---@field prefix? boolean  "[pod/NAME/CONTAINER] " stands before the text
---@field namespace? string
---@field timeout? ctz.seconds  until each log begins

---for line in client:logs("deployment/web", {follow=true}) do print(line.text) end: each line as {pod=, container=, text=, time=}, time in seconds since 1970. What is there already comes in the order of its times over all pods and containers; with follow=true lines come as they arrive. Following a workload or a selector goes on with pods that are made later and containers that start again, until break; following one pod ends with its container. A followed log goes on behind its last line when the server restarts. The server waits while nobody takes lines.
---@async
---@param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
---@param opts? ctz.kubernetes.Client.logs.opts
---@return fun(): any
function client:logs(target, opts) end

---@class ctz.kubernetes.Client.metrics.opts
---@field namespace? string
---@field timeout? ctz.seconds

---What each container of the pods of a target uses now: ContainerMetrics with the fields of ctz.docker.containers.metrics {container_name, timestamp, cpu_usage_percent (100 is one CPU), memory_usage_mb, memory_limit_mb, uptime_seconds, restart_count, health_status, raw}, and pod and namespace. Beside each _mb (1,000,000 bytes) stands _bytes. The cluster's metrics server does not know networks and disks: those fields are nil. It knows a container 15 to 75 seconds after its start; until then, and when it has ended, the container is not in the list.
---@async
---@param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
---@param opts? ctz.kubernetes.Client.metrics.opts
---@return table[]
function client:metrics(target, opts) end

---@class ctz.kubernetes.Client.patch.opts
---@field type? "json"|"merge"|"strategic"|"apply"
---@field subresource? string  "status", "scale"
---@field force? boolean  apply: take fields from other managers
---@field namespace? string
---@field dry_run? boolean
---@field field_manager? string  default "ctz"
---@field validate? boolean  false: unknown fields are dropped
---@field timeout? ctz.seconds

---Changes parts of an object. A list is a JSON patch; a table is a strategic merge patch, as kubectl sends it, of custom resources type="merge" is needed. json.null takes a field out.
---@async
---@param kind string|table  or "kind/name"
---@param name string
---@param patch table
---@param opts? ctz.kubernetes.Client.patch.opts
---@return table
function client:patch(kind, name, patch, opts) end

---@class ctz.kubernetes.Client.port_forward.opts
---@field port integer|string  in the pod, or its name; of a service: the service's
---@field local_port? integer  default: one that is free
---@field address? string  default 127.0.0.1
---@field serve? boolean  false: nothing is carried, take forward:connections()
---@field namespace? string
---@field timeout? ctz.seconds  until a connection stands

---Makes a port of a pod reachable on this machine: forward.local_port on 127.0.0.1, served until forward:close() or the end of the scope. forward:connect() connects without the local port. Of a workload the pod that runs best is taken, once; of a service its port is translated. When a local program ends, the pod is told so after 5 s in which it sends nothing: the protocol cannot end one direction alone.
---@async
---@param target string|table  "pod-name", "deployment/web", "service/web", an object
---@param opts ctz.kubernetes.Client.port_forward.opts
---@return {local_port: integer, address: string, port: integer, pod: string}
function client:port_forward(target, opts) end

---Writes a whole object. With the resourceVersion it was read with, it is refused when somebody changed it meanwhile; without one it is written whatever is there.
---@async
---@param object table
---@param opts? table  of client:create; subresource = "status" writes only the status
---@return table
function client:replace(object, opts) end

---@class ctz.kubernetes.Client.rollout.opts
---@field namespace? string

---The rollout of a Deployment, StatefulSet or DaemonSet: status() waits for it, history(), undo(), restart(), pause(), resume().
---@async
---@param target string|table  "deployment/web", or an object
---@param opts? ctz.kubernetes.Client.rollout.opts
---@return ctz.kubernetes.rollout
function client:rollout(target, opts) end

---@class ctz.kubernetes.Client.scale.opts
---@field namespace? string
---@field dry_run? boolean
---@field timeout? ctz.seconds

---Sets how many there are, of any kind that can be scaled; returns its Scale. It does not wait for them.
---@async
---@param kind string|table  or "kind/name"
---@param name string
---@param replicas integer
---@param opts? ctz.kubernetes.Client.scale.opts
---@return table
function client:scale(kind, name, replicas, opts) end

---@class ctz.kubernetes.Client.scale_deployment.opts
---@field namespace? string
---@field wait? boolean
---@field timeout? ctz.seconds  with wait: until they are there, default 600
---@field dry_run? boolean

---Sets how many replicas a Deployment has, and returns it; with wait=true when they are available, or gone.
---@async
---@param name string
---@param replicas integer
---@param opts? ctz.kubernetes.Client.scale_deployment.opts
---@return table
function client:scale_deployment(name, replicas, opts) end

---@class ctz.kubernetes.Client.status.opts
---@field namespace? string

---How a Deployment, StatefulSet, DaemonSet or Job is now: the record of ctz.kubernetes.orchestrate.
---@async
---@param target string|table  "deployment/web", or an object
---@param opts? ctz.kubernetes.Client.status.opts
---@return table
function client:status(target, opts) end

---@class ctz.kubernetes.Client.top.opts
---@field namespace? string
---@field all_namespaces? boolean
---@field labels? string|table  "app=web,tier!=db" or {app = "web"}
---@field sort? "cpu"|"memory"|"name"  the most first; default "cpu"
---@field timeout? ctz.seconds

---Who uses most, as `kubectl top`: of "pods" (default) or "nodes" {name, namespace, cpu_cores, memory_bytes, timestamp, raw}, the most CPU first. Nodes have cpu_percent and memory_percent too, of what the node has for pods.
---@async
---@param what? "pods"|"nodes"
---@param opts? ctz.kubernetes.Client.top.opts
---@return table[]
function client:top(what, opts) end

---@class ctz.kubernetes.Client.uncordon.opts
---@field selector? string|table  labels of nodes, where no node is named
---@field dry_run? boolean

---The node takes pods again.
---@async
---@param node string|table|nil
---@param opts? ctz.kubernetes.Client.uncordon.opts
---@return table # the node
function client:uncordon(node, opts) end

---What the API server says of itself: {major, minor, gitVersion, platform, ...}.
---@async
---@return table
function client:version() end

---@class ctz.kubernetes.Client.wait.opts
---@field condition? string  "ready" (default), "available", "complete", "deleted", "exists", the name of a condition ("Established", "Ready=False"), "jsonpath={.status.phase}=Running", "jsonpath={.status.loadBalancer}"
---@field any? string[]  several of these: the first that is met is the second result
---@field namespace? string
---@field timeout? ctz.seconds  default 300

---Waits until the object meets a condition, and returns it (nil when it is deleted) and the condition. An object that does not exist is waited for, too. "ready" is what each kind means by it: of a Deployment that all replicas of its newest form are available, of a Job that it is complete, of a claim that it is bound. A wait for "ready", "available" or "complete" ends at once when the object says that it failed.
---@async
---@param target string|table  "deployment/web", or an object
---@param opts? ctz.kubernetes.Client.wait.opts
---@return table|nil
---@return string # which condition
function client:wait(target, opts) end

---@class ctz.kubernetes.Client.watch.opts
---@field namespace? string  default: that of the client
---@field all_namespaces? boolean
---@field name? string  this object only
---@field labels? string|table  selector: "app=web,tier!=cache", {app = "web"}
---@field fields? string|table  selector: "status.phase=Running", {["status.phase"] = "Running"}
---@field resource_version? string  to go on from, instead of a list; then no "sync" comes

---for event in k:watch("pods") do ... end: every change of the objects of a kind, for ever. First each object that there is, as type "added", then one event of type "sync", then changes as they come: {type="added"|"modified"|"deleted", object=}. It outlives ended and broken connections and restarts of the server; when the server has forgotten what happened meanwhile it lists again and tells the difference. A deletion found in this way has final=false: its object has name, namespace and uid only. break ends it.
---@async
---@param kind string  "pods", "deployments.apps", "deploy"
---@param opts? ctz.kubernetes.Client.watch.opts
---@return fun(): any
function client:watch(kind, opts) end

---@class ctz.kubernetes.Informer
local informer = {}

---The objects of which the index says this value.
---@param index string  a name of opts.indexes
---@param value string
---@return table[]
function informer:by(index, value) end

---for event in informer:changes() do ... end: first each object that there is, as type "added", then one event of type "sync", then what changes: {type="added"|"modified"|"deleted", object=, old=}. Any number of tasks may take changes. Who is slow is told the newest state, not each step to it; an object made anew under the same name is deleted and added. It ends with the informer.
---@async
---@return fun(): table
function informer:changes() end

---Ends the watch and gives the objects back. A scope that ends closes its informers.
function informer:close() end

---for object in informer:each() do ... end: the objects of the store, by namespace and name.
---@return fun(): table
function informer:each() end

---An object of the store. It is the store's own: a change of it is seen by all.
---@param name string
---@param namespace? string  default: the informer's, else the client's
---@return table|nil
function informer:get(name, namespace) end

---@class ctz.kubernetes.Informer.list.opts
---@field labels? string|table  selector: "app=web,tier!=cache", {app = "web"}
---@field namespace? string

---The objects of the store, by namespace and name.
---@param opts? ctz.kubernetes.Informer.list.opts
---@return table[]
function informer:list(opts) end

---Has it all objects that there were when it began?
---@return boolean
function informer:synced() end

---@class ctz.kubernetes.Informer.wait_for_sync.opts
---@field timeout? ctz.seconds

---Waits until it has all objects that there were when it began.
---@async
---@param opts? ctz.kubernetes.Informer.wait_for_sync.opts
---@return true
function informer:wait_for_sync(opts) end

---@class ctz.kubernetes.Quantity
local quantity = {}

---The amount in thousandths, rounded up (away from zero).
---@return integer
function quantity:milli() end

---The amount in whole units, rounded up (away from zero).
---@return integer
function quantity:value() end

---@class ctz.kubernetes.Selector
local selector = {}

---Does it take an object with these labels? As in the API, `!=` and `notin` take objects without the label too.
---@param labels table<string, string>  nil: none
---@return boolean
function selector:matches(labels) end

---@class ctz.kubernetes.rollout
local rollout = {}

---The forms that can be gone back to, oldest first: {revision=, cause=, created=, template=}; the last one is what runs.
---@async
---@return table
function rollout:history() end

---Changes of a Deployment wait until resume.
---@async
---@return table
function rollout:pause() end

---Makes all pods anew, as the strategy of the workload has it.
---@async
---@return table
function rollout:restart() end

---
---@async
---@return table
function rollout:resume() end

---@class ctz.kubernetes.rollout.status.opts
---@field timeout? ctz.seconds  default 600
---@field on_progress? fun(step: table)  {text=, object=} when it changes

---Waits until all replicas of the newest form are there and returns the workload. It ends early when what it waits for will not come: an image that cannot be pulled, a container that crashes again and again, a pod that fits on no node, a quota, the deadline of the rollout. The error has the reasons, the last warnings and the last lines of the log: err.reasons, err.events.
---@async
---@param opts? ctz.kubernetes.rollout.status.opts
---@return table
function rollout:status(opts) end

---@class ctz.kubernetes.rollout.undo.opts
---@field to? integer  revision

---Goes back to the form before, or to a revision of the history, and returns the workload.
---@async
---@param opts? ctz.kubernetes.rollout.undo.opts
---@return table
function rollout:undo(opts) end

---@class ctz.record
local record = {}

---Reads the workload, its pods and its services again, and returns the record.
---@async
---@return table
function record:refresh() end

return kubernetes
