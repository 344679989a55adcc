---@meta ctz.image
-- Generated from the doc comments; do not edit.

---images without an engine.
---@class ctz.image
local image = {}

---@class ctz.image.analyze.opts
---@field platform? string  default: this machine's
---@field registries? table<string, table>  as of ctz.image.open

---What an image is made of: {name, digest, platform, created (seconds since 1970), size_bytes, size_mb (of 1,000,000 bytes), layers}, each layer {digest, diff_id, size_bytes, share (0 to 1), created_by, created}. created_by is what the history says of it; an image without a history has none.
---@async
---@param ref string  as of ctz.image.open
---@param opts? ctz.image.analyze.opts
---@return table
function image.analyze(ref, opts) end

---@class ctz.image.assemble.opts
---@field layers table[]  the lowest first
---@field to string  "oci:DIR" or "oci:DIR:TAG"; the default tag is "latest"
---@field config? table  how a container of it runs, see above
---@field compression? "gzip"|"zstd"  default "gzip"; zstd is several times faster, and unknown to docker archives
---@field fast? boolean  gzip ten times faster, with a digest that depends on the CPU
---@field created? integer  seconds since 1970; default SOURCE_DATE_EPOCH, or 0
---@field platform? string  "linux/arm64"; default: this machine's
---@field annotations? table<string, string>  of the manifest
---@field on_progress? fun(progress: ctz.image.Progress)  called about ten times a second with {phase=, done_bytes=, total_bytes=, done=, total=}; done and total count layers
---@field timeout? ctz.seconds  default: what is left of the task's deadline

---Makes an image of files, without an engine, and writes it as an OCI layout folder. The same content gives the same digest on every machine. A name that the folder has already is moved to the new image; other names stay. All that is wrong with the description is told in one error, before anything is written.
---
---A layer is a table, or a list of them: `{from="site", to="/www"}` puts a folder's content (or one file) at a place in the image; `{files={...}}` names each file: `["/etc/motd"]={text="hello\n"}`, `["/bin/busybox"]={from="/bin/busybox", mode="755"}`, `["/bin/sh"]={link="busybox"}`, `["/tmp"]={dir=true, mode="1777"}`. Everything belongs to 0:0 unless `owner="uid:gid"` says otherwise. Files are 0644, or 0755 when their owner may execute them; folders are 0755; `mode` (and `dir_mode`) say otherwise, in octal. `include` and `exclude` are lists of patterns for a folder's paths: `*` and `?` within a name, `**` for any folders; a pattern without a slash is compared with names alone. Times are SOURCE_DATE_EPOCH, or 0. Links are kept as links. `comment` goes into the image's history.
---
---`config` may hold: command (or cmd) and entrypoint, lists of words; env, a map or a list of "A=b"; ports, a list of 8080 or "53/udp"; labels, a map; workdir; user; volumes, a list of paths; stop_signal; healthcheck = {command=, interval=, timeout=, start_period=, retries=} in seconds.
---@async
---@param opts ctz.image.assemble.opts
---@return ctz.image.Assembled # {name=, digest=, config_digest=, layers=, size_bytes=, seconds=}; each of layers is {digest=, diff_id=, size_bytes=, uncompressed_bytes=, media_type=, entries=}
function image.assemble(opts) end

---@class ctz.image.open.opts
---@field registries? table<string, table>  how registries are reached: {["host:5000"]={auth=, tls=, http=, mirrors=, rps=, connections=}}, as for ctz.registry.connect, or a client of it

---An image, wherever it is, as one object: in a layout (oci:DIR:TAG), an archive (docker-archive:FILE:NAME, oci-archive:FILE:TAG), an engine (docker:NAME) or a registry (HOST/NAME:TAG, NAME@DIGEST). Its manifest, config and layers are read when they are asked for, and compared with their digests. An archive that is packed with gzip or zstd as a whole is unpacked into a temporary file until it is closed. rootfs:DIR is a folder as an image of one layer, for this machine's platform, as ctz.image.assemble makes it: owners are 0:0, modes 0644 and 0755, times SOURCE_DATE_EPOCH or 0, so the same files have the same digest.
---@async
---@param ref string
---@param opts? ctz.image.open.opts
---@return ctz.image
function image.open(ref, opts) end

---@class ctz.image
local image = {}

---Ends what is open for it. Without it that ends with the image.
function image:close() end

---@class ctz.image.config.opts
---@field platform? string  default: this machine's

---The image's config as it is written: {architecture=, os=, config={Env=, Cmd=, ...}, rootfs=, history=}. Second and third result: its digest, and its bytes.
---@async
---@param opts? ctz.image.config.opts
---@return table, string, string
function image:config(opts) end

---@class ctz.image.digest.opts
---@field platform? string

---The digest of what the name means: of the index, when it is for several platforms. With a platform that of its manifest.
---@async
---@param opts? ctz.image.digest.opts
---@return string
function image:digest(opts) end

---@class ctz.image.extract.opts
---@field platform? string  default: this machine's
---@field keep_owner? boolean  owners, setuid and setgid as in the image; needs root

---Writes the files as a container would see them below a folder, which is made when it is missing. Nothing outside of it is written to, whatever the layers say. The files belong to who runs this, without setuid and setgid, unless keep_owner says otherwise. Devices are not made: skipped lists them. The result is {files=, bytes=, skipped={"/dev/null", ...}}.
---@async
---@param folder string
---@param opts? ctz.image.extract.opts
---@return {files: integer, bytes: ctz.bytes, skipped: string[]}
function image:extract(folder, opts) end

---@class ctz.image.files.opts
---@field platform? string  default: this machine's

---The files of one platform as a container would see them: an iterator over the tree that the layers make, sorted by path. All layers are read for it, side by side, and compared with their digests. Each file is {path="/etc/passwd", type="file", layer=1, size_bytes=, mode=, uid=, gid=, mtime=}. type is "file", "dir", "link", "device" or "fifo"; layer counts from the lowest and is the one it comes from; link is where a link points, hardlink the path that has the same content, xattrs a map of extended attributes.
---@async
---@param opts? ctz.image.files.opts
---@return fun(): ctz.image.File|nil
function image:files(opts) end

---@class ctz.image.layers.opts
---@field platform? string  default: this machine's

---The layers of one platform, the lowest first: {digest=, size_bytes=, media_type=, annotations=, urls=}.
---@async
---@param opts? ctz.image.layers.opts
---@return {digest: string, size_bytes: integer, media_type: string}[]
function image:layers(opts) end

---@class ctz.image.manifest.opts
---@field platform? string  "linux/arm64"; default: this machine's

---The manifest of one platform as it is written, with the list `layers` and the table `config`. Second and third result: its digest, and its bytes.
---@async
---@param opts? ctz.image.manifest.opts
---@return table, string, string
function image:manifest(opts) end

---@class ctz.image.mutate.opts
---@field to string  "oci:DIR:TAG", the image's own layout too; or as the target of ctz.registry.copy
---@field env? table<string, string|false>
---@field labels? table<string, string|false>
---@field annotations? table<string, string|false>  of the manifest
---@field cmd? string[]|false
---@field entrypoint? string[]|false  without cmd the image has none afterwards: it was for the old one
---@field user? string|false
---@field workdir? string|false
---@field ports? table|false  {8080, "53/udp"}, added to those that are there
---@field created? integer  seconds since 1970
---@field rebase? {from: string, to: string}
---@field strip? string[]
---@field append? table[]
---@field flatten? boolean
---@field recompress? "gzip"|"zstd"
---@field platform? string  default: this machine's

---Makes another image of this one and writes it to any place. What is not named stays as it is: layers that are not touched keep their bytes and digests. In maps, and for cmd, entrypoint, user, workdir and ports, false removes. The same image and options give the same digest; times are `created`, SOURCE_DATE_EPOCH, or those that the image has. In this order: rebase, strip, append, flatten, recompress.
---
---rebase = {from=, to=} puts the layers above the base `from` onto the base `to`. strip is a list of paths; what is at them or below goes from every layer, and content that hard links elsewhere still need stays. append is a list of layers as ctz.image.assemble takes them. flatten makes one layer of all. recompress packs what is not packed that way.
---@async
---@param opts ctz.image.mutate.opts
---@return {name: string, digest: string, config_digest: string, layers: table[], size_bytes: ctz.bytes}
function image:mutate(opts) end

---The platforms it has: {platform="linux/arm64", digest=}, in the order of its index, and of those within it. What is no image, such as attestations, is left out.
---@async
---@return {platform: string, digest: string}[]
function image:platforms() end

---@class ctz.image.read.opts
---@field platform? string  default: this machine's

---The content of one file, with links followed: absolute ones too lead to places in the image.
---@async
---@param path string
---@param opts? ctz.image.read.opts
---@return string
function image:read(path, opts) end

---@class ctz.image.size.opts
---@field platform? string  default: this machine's

---The bytes of one platform as they are stored and moved: manifest, config and layers, each once.
---@async
---@param opts? ctz.image.size.opts
---@return ctz.bytes
function image:size(opts) end

return image
