---@meta ctz.registry
-- Generated from the doc comments; do not edit.

---registries: what is in them, and what of them needs no connection.
---@class ctz.registry
local registry = {}

---@class ctz.registry.connect.opts
---@field auth? table|false  {username=, password=}, {token=} as it is, {identity_token=}; realm=URL trusts a token server on another host; false: nobody
---@field tls? table  {ca=, cert=, key=} files or PEM texts, insecure=true: no check, with a warning
---@field http? boolean  true: plain HTTP
---@field mirrors? (string|table)[]  are asked first for what is read; {host=, and options of this function}
---@field rps? number  requests a second at most
---@field connections? integer  requests at once at most
---@field type? string  dockerhub ecr acr gcr harbor ghcr quay gitlab generic; else the name tells
---@field retention_policy? table  for ctz.registry.retain
---@field security_scan_enabled? boolean  true is not supported yet

---A registry to work with; nothing is sent yet. It is spoken to by https; one on this machine by http when it speaks no TLS. Who you are there is what docker login, podman login or a credential helper knows, unless opts.auth says it; certificates come from certs.d, as for docker and podman. The client has the fields url, type, credentials (masked), repositories (an iterator), retention_policy and security_scan_enabled.
---@param host string  "ghcr.io", "localhost:5000", "docker.io"
---@param opts? ctz.registry.connect.opts
---@return ctz.registry.Client
function registry.connect(host, opts) end

---@class ctz.registry.copy.opts
---@field platforms? string[]  only these of an image for several; the index is made anew, so its digest changes
---@field referrers? boolean  false: without signatures, SBOMs and what else names it as its subject
---@field digest_tags? boolean  true: with the tags sha256-<hex>..., by which cosign attaches signatures
---@field jobs? integer  blobs at once; default 4
---@field resume? boolean  false: nothing of an earlier copy is used, nothing is left for a later one
---@field verify? boolean  true: what is read is compared too, so a damaged blob here is named as such
---@field registries? table<string, table>  how registries are reached: {["host:5000"]={auth=, tls=, http=, mirrors=, rps=, connections=}}, as for ctz.registry.connect, or a client of it
---@field on_progress? fun(p: table)  {phase, done_bytes, total_bytes, done, total, copied, skipped, mounted}, ten times a second; default: a line of progress
---@field timeout? ctz.seconds  default: what is left of the task's deadline

---Copies an image with all its platforms and what refers to it, between any two places: layouts, archives, engines, registries (see ctz.image.open). Blobs that are there already are skipped; what a copy that was killed left is gone on with. All is compared with digest and size before it can be seen, children before parents, the tag at last. In a dry run it prints what it would write. Layers packed with zstd are packed with gzip for docker-archive: and for engines before API 1.42, which read no zstd: the manifest's digest is another one then, the config's is not.
---@async
---@param src string
---@param dst string  an archive is written anew; without a tag a layout gets "latest"
---@param opts? ctz.registry.copy.opts
---@return {digest: string, source_digest: string?, size_bytes: ctz.bytes, bytes: ctz.bytes, copied: integer, skipped: integer, mounted: integer, resumed: integer, recompressed: integer, manifests: integer, seconds: ctz.seconds} # size_bytes: all of the image; bytes: those that were moved; the others count blobs, layers packed anew, and manifests; source_digest: what the manifest had, when layers were packed anew
function registry.copy(src, dst, opts) end

registry.credentials = {}

---Who the user is at a registry: from config.json of docker (auths, credHelpers, credsStore), then from auth.json of podman and skopeo, as docker login and podman login wrote them. Nil when nobody is logged in there.
---@async
---@param host string  "ghcr.io", "localhost:5000", "docker.io"; "ghcr.io/owner/name" finds also what auth.json keeps for a part of a registry
---@return {username: string?, password: ctz.secret?, identity_token: ctz.secret?}?
function registry.credentials.get(host) end

---@class ctz.registry.manage.opts
---@field operation string  push pull tag list delete
---@field image string  "team/app:1.0"; with its host unless opts.registry names it
---@field registry? string  "ghcr.io", "localhost:5000"
---@field from? string  of push: any form of ctz.image.open
---@field to? string  of pull: any form of ctz.image.open
---@field tags? string[]  of tag: what the image is called too
---@field platforms? string[]  of push and pull: as for ctz.registry.copy
---@field registries? table<string, table>  how registries are reached, as for ctz.registry.copy
---@field check? boolean  false: a failure is a record with success=false

---One operation on an image in a registry, as a record: {operation, image_name, registry_url, success, image_digest, tags, size_mb (of 1,000,000 bytes; of push and pull), error_message}. A failure raises like every other, with the record as err.result; with check=false the record is returned.
---@async
---@param opts ctz.registry.manage.opts
---@return table
function registry.manage(opts) end

registry.reference = {}

---@class ctz.registry.reference.format.opts
---@field familiar? boolean  true: the short form, without docker.io/ and library/

---The text of a reference from its parts; parse reads it back.
---@param parts {domain: string?, path: string, tag: string?, digest: string?}  without a domain: docker.io
---@param opts? ctz.registry.reference.format.opts
---@return string
function registry.reference.format(parts, opts) end

---@class ctz.registry.reference.parse.opts
---@field default_tag? boolean  true: with neither tag nor digest the tag is "latest"

---The parts of an image's name in a registry, as Docker reads it: without a host it is on docker.io, and a single word is in library/ there. The result prints as the full name.
---@param text string  "alpine", "ghcr.io/owner/name:1.2", "localhost:5000/a/b@sha256:..."
---@param opts? ctz.registry.reference.parse.opts
---@return {domain: string, path: string, tag: string?, digest: string?}
function registry.reference.parse(text, opts) end

---@class ctz.registry.retain.opts
---@field match? string  a Lua pattern; only tags that it fits can go
---@field newest? integer  so many tags stay
---@field younger? ctz.seconds|string  tags younger than that stay: "30d"
---@field by? string  what newest means: "created" (default), "semver" or "tag" (numbers in it count)
---@field protect? string[]  these always stay: tags, with * and ? for any characters, or digests
---@field keep_untagged? boolean  true: tags go, manifests stay under their digests
---@field label? string  a label of the config that tells when the image was made, instead of "created"
---@field registries? table<string, table>  how registries are reached, as for ctz.registry.copy

---Which tags of a repository stay and which go, as a plan: plan:show() prints it, plan:apply() does it. What newest keeps stays, and what younger keeps; so do tags that do not match, that are protected, or of which nothing tells the age or the version. With the last tag of a manifest the manifest goes, with its images and what refers to it, unless a tag that stays leads there too. Tags such as sha256-<hex>.sig go and stay with their image. plan.stays and plan.goes are lists of {tag, digest, why, created}, plan.manifests those that go, plan.bytes what they have for themselves: the registry frees it when it collects garbage.
---@async
---@param repo string  "HOST/NAME"
---@param opts ctz.registry.retain.opts
---@return ctz.registry.Plan
function registry.retain(repo, opts) end

---@class ctz.registry.sync.opts
---@field from string  "HOST/NAME", "oci:DIR" or "docker:NAME"
---@field to string  the same; into an engine each tag is loaded again, for this machine's platform
---@field match? string  a Lua pattern of tags
---@field versions? string  a range: ">=1.2 <3", "^1.2", "~1.2.3", "1.x", parts joined by ||; it holds pre-releases only where it names one
---@field newest? integer  only so many of them
---@field by? string  what newest means: "semver" (default; other tags are left out) or "tag"
---@field platforms? string[]  as for ctz.registry.copy, like the next three
---@field referrers? boolean
---@field digest_tags? boolean
---@field jobs? integer
---@field registries? table<string, table>  how registries are reached, as for ctz.registry.copy
---@field recheck? boolean  true: also what has the same digest is gone through, for new signatures
---@field prune? boolean  true: with a plan for what the target has too much; the target is a registry
---@field check? boolean  false: failures are in the record and not raised
---@field on_tag? fun(tag: string)  before each tag that is copied; it may wait

---Copies the tags of a repository that match into another one, or into a layout, with all that belongs to them; what is the same on both sides is left alone. One that fails does not stop the others, and raises at the end, with the record as err.result. Nothing is removed: with prune the record has a plan of the tags that are too many in the target, for plan:show() and plan:apply().
---@async
---@param opts ctz.registry.sync.opts
---@return {copied: string[], unchanged: string[], failed: table[], bytes: ctz.bytes, plan: ctz.registry.Plan?}
function registry.sync(opts) end

---@class ctz.registry.Blob
local blob = {}

---Ends the reading; <close> does it by itself.
---@return true
function blob:close() end

---The next bytes; nil at the end, when all were verified. Trust nothing before. A connection that breaks is taken up again where it broke.
---@async
---@return string?
function blob:read() end

---@class ctz.registry.Client
local client = {}

---@class ctz.registry.Client.attach.opts
---@field type string  what it is: a media type such as "application/spdx+json"
---@field files? table[]  {content= | path=, media_type=, title=, annotations=} each
---@field annotations? table<string, string>
---@field subject? table  the descriptor of the image, when it is known

---Puts an artifact into a repository that belongs to an image: an SBOM, a signature, a report. Returns its descriptor; client:referrers finds it.
---@async
---@param repo string
---@param reference string  a tag, or a digest; the image need not be there yet when it is a digest with opts.subject
---@param opts ctz.registry.Client.attach.opts
---@return {mediaType: string, digest: string, size: ctz.bytes}
function client:attach(repo, reference, opts) end

---@class ctz.registry.Client.blob.opts
---@field size? ctz.bytes  as the descriptor has it
---@field offset? ctz.bytes  the first byte to read, default 0
---@field piece? ctz.bytes  read at once, for ctz.registry.copy, which checks the digest itself

---A reader of a blob's bytes as they are stored; nothing is asked before the first read(). Size and digest are checked on the way; a reader that begins later checks its size only.
---@param repo string
---@param digest string
---@param opts? ctz.registry.Client.blob.opts
---@return ctz.registry.Blob
function client:blob(repo, digest, opts) end

---@class ctz.registry.Client.catalog.opts
---@field page? integer  names of one page; default 1000, or the most that the registry gives
---@field last? string  only names behind this one
---@field match? string  a Lua pattern; only names that it fits

---for repo in client:catalog() do ... end: every repository that we may see. Many registries do not tell. for repo in client.repositories do ... end is the same.
---@async
---@param opts? ctz.registry.Client.catalog.opts
---@return fun(): any
function client:catalog(opts) end

---@class ctz.registry.Client.create_index.opts
---@field annotations? table<string, string>
---@field artifact_type? string
---@field media_type? string  default the index of OCI
---@field tags? string[]  more tags for it

---Puts an index of several images into a repository and returns its descriptor. The platform of an entry is read from its config unless it is given.
---@async
---@param repo string
---@param reference string  a tag
---@param entries (string|table)[]  tags, digests or descriptors {digest=, platform={os=, architecture=}}
---@param opts? ctz.registry.Client.create_index.opts
---@return {mediaType: string, digest: string, size: ctz.bytes}
function client:create_index(repo, reference, entries, opts) end

---@class ctz.registry.Client.delete.opts
---@field timeout? ctz.seconds  of each request

---Removes a tag and nothing else, or by its digest a manifest with all its tags. Where a registry cannot remove a tag by its name, the tag is moved to a manifest of its own, and that is removed.
---@async
---@param repo string
---@param reference string  a tag, or a digest
---@param opts? ctz.registry.Client.delete.opts
---@return true
function client:delete(repo, reference, opts) end

---Takes a blob out of a repository; manifests that name it are broken then.
---@async
---@param repo string
---@param digest string
---@return true
function client:delete_blob(repo, digest) end

---@class ctz.registry.Client.digests.opts
---@field jobs? integer  questions at once, default 8

---What tags point to, {tag = digest}, asked for several at once; tags that are gone are left out.
---@async
---@param repo string
---@param tags? string[]  default all
---@param opts? ctz.registry.Client.digests.opts
---@return table<string, string>
function client:digests(repo, tags, opts) end

---@class ctz.registry.Client.edit_index.opts
---@field add? (string|table)[]  as for create_index; one that is there is replaced
---@field remove? string[]  digests, or tags of what they point to
---@field annotations? table<string, string|false>
---@field to? string  the tag for the result; default the reference when it is a tag

---Changes an index: takes entries out, puts others in, sets annotations (false removes one), and puts it back under its tag or another one. The old index stays where its digest names it.
---@async
---@param repo string
---@param reference string  a tag, or a digest
---@param opts ctz.registry.Client.edit_index.opts
---@return {mediaType: string, digest: string, size: ctz.bytes}
function client:edit_index(repo, reference, opts) end

---Is the blob in the repository? Its size (0 when the registry tells none), nil when it is not there.
---@async
---@param repo string
---@param digest string
---@return ctz.bytes?
function client:has_blob(repo, digest) end

---@class ctz.registry.Client.manifest.opts
---@field timeout? ctz.seconds

---A manifest or an index, as the registry keeps it: bytes is what was received and verified, value what it says.
---@async
---@param repo string  "library/alpine", "team/app"
---@param reference string  a tag, or a digest
---@param opts? ctz.registry.Client.manifest.opts
---@return {digest: string, size: ctz.bytes, mediaType: string, is_index: boolean, bytes: string, value: table}
function client:manifest(repo, reference, opts) end

---Has the registry take a blob over from another of its repositories; false when it does not.
---@async
---@param repo string
---@param digest string
---@param from? string  the repository that has it; without it the registry looks for one that we may read, if it can
---@return boolean
function client:mount_blob(repo, digest, from) end

---@class ctz.registry.Client.ping.opts
---@field timeout? ctz.seconds

---Asks the registry whether it is one and whether we may come in: {seconds, version}.
---@async
---@param opts? ctz.registry.Client.ping.opts
---@return {seconds: number, version: string?}
function client:ping(opts) end

---@class ctz.registry.Client.put_blob.opts
---@field digest? string  of a reader that is sent in one piece; checked for a text
---@field size? ctz.bytes  the same
---@field mount? string  a repository of this registry that may have it
---@field chunked? boolean  true: in chunks at once
---@field verify? boolean  true: size and digest are checked here before the registry sees the end; else by it
---@field check? boolean  false: does not ask whether it is there already
---@field resume? boolean  true: goes on with an upload of a process that died, and leaves what another needs for that; for content that can be sent again

---Puts a blob into a repository and returns its descriptor {digest, size} and how: "exists", "mounted" or "pushed". It is sent in one piece, and in chunks when the registry does not take it so.
---@async
---@param repo string
---@param content string|table|function  its bytes; {path=FILE}; a reader (read() -> string|nil), which is sent once; or function(offset) -> reader, which can be sent again from there
---@param opts? ctz.registry.Client.put_blob.opts
---@return {digest: string, size: ctz.bytes}, "exists"|"mounted"|"pushed"|"resumed", integer?
function client:put_blob(repo, content, opts) end

---@class ctz.registry.Client.put_manifest.opts
---@field media_type? string  of bytes that do not tell it
---@field tags? string[]  more tags for it
---@field timeout? ctz.seconds  of each request

---Puts a manifest or an index into a repository and returns its descriptor {mediaType, digest, size}. What it names has to be there before. One with a subject is entered into the list of referrers where the registry does not do that itself.
---@async
---@param repo string
---@param reference string  a tag, or the digest of the bytes
---@param manifest string|table  its bytes as they are, a table, or what client:manifest returned
---@param opts? ctz.registry.Client.put_manifest.opts
---@return {mediaType: string, digest: string, size: ctz.bytes}
function client:put_manifest(repo, reference, manifest, opts) end

---How many pulls the registry still allows, as Docker Hub tells it: {limit, remaining, window_s, source}. Nil where none is told. Asking costs no pull.
---@async
---@param repo? string  at other registries than Docker Hub: an image that is there
---@param tag? string  default latest
---@return {limit: integer, remaining: integer, window_s: integer?, source: string?}?
function client:quota(repo, tag) end

---@class ctz.registry.Client.referrers.opts
---@field type? string  only artifacts of this type

---The descriptors of what belongs to an image: {mediaType, digest, size, artifactType, annotations}. They come from the registry, or from the tag that clients keep where it has no list.
---@async
---@param repo string
---@param reference string  a tag, or a digest
---@param opts? ctz.registry.Client.referrers.opts
---@return table[]
function client:referrers(repo, reference, opts) end

---@class ctz.registry.Client.resolve.opts
---@field timeout? ctz.seconds

---The descriptor of an image, {mediaType, digest, size}, without fetching it; nil when there is none. At Docker Hub this is no pull.
---@async
---@param repo string
---@param reference string  a tag, or a digest
---@param opts? ctz.registry.Client.resolve.opts
---@return {mediaType: string, digest: string, size: ctz.bytes}?
function client:resolve(repo, reference, opts) end

---As ctz.registry.retain, for a repository of this registry; without opts by the client's retention_policy.
---@async
---@param repo string
---@param opts? table
---@return ctz.registry.Plan
function client:retain(repo, opts) end

---@class ctz.registry.Client.tags.opts
---@field page? integer  tags of one page; default 1000, or the most that the registry gives
---@field last? string  only tags behind this one
---@field match? string  a Lua pattern; only tags that it fits

---for tag in client:tags(repo) do ... end: every tag, page by page as it is read, in the order of the registry.
---@async
---@param repo string
---@param opts? ctz.registry.Client.tags.opts
---@return fun(): any
function client:tags(repo, opts) end

---@class ctz.registry.Plan
local plan = {}

---@class ctz.registry.Plan.apply.opts
---@field jobs? integer  removals at once, default 4
---@field check? boolean  false: a failure is in the record and not raised
---@field on_event? fun(event: {tag: string?, digest: string, state: string, why: string?})  state: removed, stays or failed

---Removes what goes: tags first, then manifests that no tag needs, an index before its images. What was tagged anew since the plan was made stays. Each removal is logged, or told to opts.on_event; one that fails does not stop the others, and raises at the end, with the record as err.result. In a dry run it prints what it would remove.
---@async
---@param opts? ctz.registry.Plan.apply.opts
---@return {removed: table[], stayed: table[], failed: table[], bytes: ctz.bytes, dry_run: boolean?}
function plan:apply(opts) end

---The plan as plain data, as ctz.json.encode takes it.
---@return {repository: string, stays: table[], goes: table[], manifests: table[], bytes: ctz.bytes}
function plan:data() end

---Prints what goes, what stays, and why; as JSON with --json. Returns the plan.
---@return ctz.registry.Plan
function plan:show() end

return registry
