---@meta ctz.registry
-- Generated from the doc comments; do not edit.

---registries: what is in them, and what of them needs no connection.
---@class ctz.registry
local registry = {}

---@class ctz.registry.copy.opts
---@field platforms? string[]  only these of an image for several; the index is made anew, so its digest changes
---@field referrers? boolean  false: without signatures, SBOMs and what else names it as its subject
---@field digest_tags? boolean  true: with the tags sha256-<hex>..., by which cosign attaches signatures
---@field jobs? integer  blobs at once; default 4
---@field resume? boolean  false: nothing of an earlier copy is used, nothing is left for a later one
---@field verify? boolean  true: what is read is compared too, so a damaged blob here is named as such
---@field on_progress? fun(p: table)  {phase, done_bytes, total_bytes, done, total, copied, skipped, mounted}, ten times a second; default: a line of progress
---@field timeout? ctz.seconds  default: what is left of the task's deadline

---Copies an image with all its platforms and what refers to it, between any two places: layouts, archives, engines, registries (see ctz.image.open). Blobs that are there already are skipped; what a copy that was killed left is gone on with. All is compared with digest and size before it can be seen, children before parents, the tag at last. In a dry run it prints what it would write.
---@async
---@param src string
---@param dst string  an archive is written anew; without a tag a layout gets "latest"
---@param opts? ctz.registry.copy.opts
---@return {digest: string, bytes: ctz.bytes, copied: integer, skipped: integer, mounted: integer, resumed: integer, manifests: integer, seconds: ctz.seconds} # bytes: those that were moved; the others count blobs and manifests
function registry.copy(src, dst, opts) end

registry.credentials = {}

---Who the user is at a registry: from config.json of docker (auths, credHelpers, credsStore), then from auth.json of podman and skopeo, as docker login and podman login wrote them. Nil when nobody is logged in there.
---@async
---@param host string  "ghcr.io", "localhost:5000", "docker.io"; "ghcr.io/owner/name" finds also what auth.json keeps for a part of a registry
---@return {username: string?, password: ctz.secret?, identity_token: ctz.secret?}?
function registry.credentials.get(host) end

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

return registry
