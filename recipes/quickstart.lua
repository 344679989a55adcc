-- quickstart.lua: packs a small web site and a web server into an image that runs.
--
-- Takes the site in quickstart/ beside this file and this machine's own busybox, makes an OCI image of
-- the two (a layer each, a config with command, environment, port, user and labels) and writes it as an
-- OCI layout folder. No engine and no network are needed; the same files give the same digest. When a
-- Docker Engine answers, it builds the image as well, from the same layers.
--
-- Usage:       ctz run recipes/quickstart.lua [out=DIR] [tag=TAG] [busybox=PATH] [compression=gzip|zstd]
--                                             [docker=auto|yes|no] [to=REF]
-- Parameters:  out          folder for the image, default "out"
--              tag          default "1.0"
--              busybox      the static busybox, default "/bin/busybox"
--              compression  of the layers, default "gzip"
--              docker       build with the engine too; default "auto": when one answers
--              to           where the image is copied to as well: HOST/NAME:TAG, docker:NAME, docker-archive:FILE ...
-- Needs:       a busybox without shared libraries: package busybox-static
-- Then:        docker run --rm -p 8080:8080 quickstart:1.0
--              without the engine's build, first: skopeo copy oci:out/quickstart:1.0 docker-daemon:quickstart:1.0
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "out", "path", default = "out", help = "folder for the image" },
  { "tag", "string", default = "1.0", help = "name of the image in its folder" },
  { "busybox", "path", default = "/bin/busybox", help = "a busybox without shared libraries" },
  { "compression", "enum", choices = { "gzip", "zstd" }, default = "gzip", help = "of the layers" },
  { "docker", "enum", choices = { "auto", "yes", "no" }, default = "auto", help = "build with the engine too" },
  { "to", "string", default = "", help = "copy the image there too: HOST/NAME:TAG, docker:NAME, docker-archive:FILE" },
}

local HERE <const> = arg[0]:match("^(.*)/") or "."

-- Does the program need a loader, and with it shared libraries? Such an ELF file has a segment
-- PT_INTERP (3). Little-endian 64-bit and 32-bit files are told apart by their fifth byte.
local function needs_libraries(file)
  local head = file:read(64) or ""
  if #head < 64 or head:sub(1, 4) ~= "\127ELF" then
    return false
  end
  local order = head:byte(6) == 2 and ">" or "<"
  local wide = head:byte(5) == 2
  local offset = (order .. (wide and "I8" or "I4")):unpack(head, wide and 33 or 29)
  local size, count = (order .. "I2I2"):unpack(head, wide and 55 or 43)
  for i = 0, count - 1 do
    file:seek("set", offset + i * size)
    if (order .. "I4"):unpack(file:read(4)) == 3 then
      return true
    end
  end
  return false
end

-- Programs are not run in these modes.
local can_ask <const> = not (ctz.mode().dry_run or ctz.mode().simulate)

-- The names under which this busybox works.
local function applets(busybox)
  local names = {}
  if can_ask then
    for name in ctz.process.run({ busybox, "--list" }).stdout:gmatch("[^\n]+") do
      names[#names + 1] = name
    end
  end
  return names
end

local function refuse(kind, path, why)
  error(ctz.error {
    kind = kind, target = path, message = path .. " " .. why,
    hint = "apt-get install busybox-static, or name another with busybox=PATH",
  })
end

local function check_busybox(path)
  local file <close> = io.open(path, "rb")
  if not file then
    refuse("not_found", path, "is not there")
  elseif needs_libraries(file) then
    refuse("unsupported", path, "needs shared libraries")
  end
end

-- --- the image ---------------------------------------------------------------------------------

local function server_files(busybox)
  local files = {
    ["/bin/busybox"] = { from = busybox, mode = "755" },
    ["/etc/passwd"] = { text = "root:x:0:0:root:/:/bin/sh\nweb:x:1000:1000:web:/www:/bin/sh\n" },
    ["/etc/group"] = { text = "root:x:0:\nweb:x:1000:\n" },
    ["/tmp"] = { dir = true, mode = "1777" },
  }
  for _, name in ipairs(applets(busybox)) do
    if name ~= "busybox" then
      files["/bin/" .. name] = { link = "busybox" }
    end
  end
  return files
end

-- The image, with its progress shown while the layers are written.
local function assemble(description)
  local bar <close> = ctz.ui.progress { title = "layers", unit = "bytes" }
  description.on_progress = function(at)
    bar:set(at.done_bytes, at.total_bytes)
  end
  return ctz.image.assemble(description)
end

local LABELS <const> = {
  ["org.opencontainers.image.title"] = "quickstart",
  ["org.opencontainers.image.description"] = "A web site of five files, served by busybox",
}

check_busybox(p.busybox)
local image = assemble {
  layers = {
    { files = server_files(p.busybox), comment = "busybox and its names" },
    { from = HERE .. "/quickstart", to = "/www", comment = "the web site" },
  },
  config = {
    command = { "/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www" },
    env = { PATH = "/bin", HOME = "/www" },
    ports = { 8080 },
    user = "1000:1000",
    workdir = "/www",
    labels = LABELS,
  },
  compression = p.compression,
  to = ("oci:%s/quickstart:%s"):format(p.out, p.tag),
}

-- --- the same with an engine ---------------------------------------------------------------------

-- ADD unpacks the layers that lie in the OCI layout.
local function dockerfile()
  local lines = { "FROM scratch" }
  for _, layer in ipairs(image.layers) do
    lines[#lines + 1] = ("ADD %s /"):format(layer.digest:gsub("^sha256:", ""))
  end
  for _, line in ipairs {
    "ENV PATH=/bin HOME=/www",
    "EXPOSE 8080",
    "WORKDIR /www",
    "USER 1000:1000",
    'CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]',
  } do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n") .. "\n"
end

-- nil when there is no engine, or when it is not wanted.
local function build_with_docker()
  if p.docker == "no" or not can_ask then
    return nil
  end
  local version, err = ctz.try(ctz.docker.system.version, { timeout = 5 })
  if not version then
    return p.docker == "yes" and error(err) or nil
  end
  return ctz.docker.build {
    context = p.out .. "/quickstart/blobs/sha256",
    dockerfile = dockerfile(),
    labels = LABELS,
    tags = { "quickstart:" .. p.tag },
  }
end

local built = build_with_docker()

-- To any place that holds images. In a dry run there is nothing yet that could be copied.
local copied = p.to ~= "" and not ctz.mode().dry_run and ctz.registry.copy(image.name, p.to)

-- --- the summary -------------------------------------------------------------------------------

local function summary()
  local rows = { { "image", image.name }, { "digest", image.digest } }
  for i, layer in ipairs(image.layers) do
    rows[#rows + 1] = { i == 1 and "layers" or "", ("%s  %d entries, %s, unpacked %s"):format(
      layer.digest:sub(1, 19), layer.entries, ctz.ui.bytes(layer.size_bytes), ctz.ui.bytes(layer.uncompressed_bytes)) }
  end
  rows[#rows + 1] = { "size", ctz.ui.bytes(image.size_bytes) }
  rows[#rows + 1] = { "time", ctz.ui.duration(image.seconds) }
  if built then
    rows[#rows + 1] = { "with Docker", built.image_name }
    rows[#rows + 1] = { "id", built.image_id }
    rows[#rows + 1] = { "layers", #built.layers }
    rows[#rows + 1] = { "size", ctz.ui.bytes(built.size_bytes) }
    rows[#rows + 1] = { "time", ctz.ui.duration(built.build_time) }
  end
  if p.to ~= "" then
    rows[#rows + 1] = { copied and "copied to" or "would go to", p.to }
    rows[#rows + 1] = copied and { "digest", copied.digest } or nil
  end
  if not can_ask then
    rows[#rows + 1] = { "note", "busybox was not asked for its names in this mode: no links, another digest" }
  end
  return ctz.ui.table(rows)
end

if not ctz.mode().json then
  print((summary():gsub("\n$", "")))
end

image.docker = built and { name = built.image_name, id = built.image_id, size_bytes = built.size_bytes }
image.copied = copied and { name = p.to, digest = copied.digest, bytes = copied.bytes } or nil
return image
