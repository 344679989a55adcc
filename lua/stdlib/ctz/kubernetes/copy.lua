-- kubernetes/copy.lua: files into a container of a pod and out of it, with its tar or, one by one, without.
-- SPDX-License-Identifier: MIT
--
-- The API server has no files: a program in the container takes or gives them. That is tar, as for
-- kubectl cp; a single file goes through sh and cat where there is no tar.
local check = require("ctz.options").check
local context = require "ctz.core.context"
local copy_path = require "ctz.copy_path"
local failure = require "ctz.kubernetes.failure"
local fs = require "ctz.fs"

local error, io, next, pcall, type = error, io, next, pcall, type
local concat, random = table.concat, math.random

local PIECE_BYTES <const> = 1 << 17
local OPTIONS <const> = { namespace = "string", container = "string", method = "string", timeout = "seconds" }

local function options_of(op, opts)
  opts = check(op, opts, OPTIONS)
  if opts.method and opts.method ~= "tar" and opts.method ~= "cat" then
    failure.usage(op, "bad argument 'opts.method' to '%s': expected \"tar\" or \"cat\", got %q", op, opts.method)
  end
  return opts
end

-- --- programs there ----------------------------------------------------------------------------

local function run(self, command, more)
  local opts = { namespace = self.opts.namespace, container = self.opts.container, timeout = self.opts.timeout }
  for name, value in next, more or {} do
    opts[name] = value
  end
  return require("ctz.kubernetes.exec").exec(self.client, self.target, command, opts)
end

-- Runs it and says whether it ended well; "none" when the container has no such program.
local function try(self, command, more)
  local ok, result = pcall(run, self, command, more)
  if ok then
    return result.exit_code, result
  elseif type(result) == "table" and result.kind == "not_found" and (result.hint or ""):find "no such program" then
    return "none", result
  end
  return error(result, 0)
end

-- "directory", "file", or nil; "none" when there is nothing to look with.
local function kind_there(self, path)
  local code = try(self, { "test", "-d", path }, { check = false })
  if code == 0 then
    return "directory"
  elseif code == "none" or code == 126 or code == 127 then
    return "none"
  end
  return try(self, { "test", "-e", path }, { check = false }) == 0 and "file" or nil
end

local function has_tar(self)
  if self.opts.method then
    return self.opts.method == "tar"
  end
  local code = try(self, { "tar", "--help" }, { check = false })
  return code ~= "none" and code ~= 126 and code ~= 127
end

local function needs_tar(self, what)
  failure.fail("unsupported", self.op, ("%s: a %s is copied with tar, which the container does not have"):format(
    self.shown, what), { hint = "copy its files one by one, or use an image with tar", target = self.shown })
end

local function raise(self, result, words)
  local said = (result.stderr or ""):match "([^\n]*%S[^\n]*)%s*$" or "it gives no reason"
  local kind = said:find("No such file", 1, true) and "not_found" or said:find("ermission denied", 1, true) and "denied"
    or said:find("No space left", 1, true) and "io" or "io"
  failure.fail(kind, self.op, ("%s: %s: %s"):format(self.shown, words, said), {
    target = self.shown, exit_code = result.exit_code, stderr = result.stderr,
  })
end

-- --- in ----------------------------------------------------------------------------------------

local function pieces_of(path, op)
  local file, words = io.open(path, "rb")
  if not file then
    failure.fail("io", op, ("cannot read %s: %s"):format(path, words), { target = path })
  end
  return file, function()
    return file:read(PIECE_BYTES)
  end
end

-- What goes where: the folder there that takes it, and its name in it (nil: its content goes there).
local function place_there(self, source, path, from)
  local own, _, only_content = copy_path.trim(source)
  local wanted, says_folder = copy_path.trim(path)
  local there = kind_there(self, wanted)
  if there == "directory" or there == "none" and says_folder then
    return wanted, not only_content and copy_path.last_name(own) or nil
  elseif there == "file" and from.type == "directory" then
    failure.fail("conflict", self.op, ("%s: %s is a file"):format(self.shown, wanted), { target = self.shown })
  elseif says_folder and from.type ~= "directory" then
    failure.fail("not_found", self.op, ("%s: there is no folder %s"):format(self.shown, wanted), {
      target = self.shown,
    })
  end
  return copy_path.folder_of(wanted), copy_path.last_name(wanted)
end

local function unpack_there(self, folder, pieces)
  local code, result = try(self, { "tar", "-xf", "-", "-C", folder }, { check = false, stdin = pieces })
  if code ~= 0 then
    raise(self, result, "tar cannot unpack in " .. folder)
  end
end

-- The mode is kept as far as it makes a difference: can it be executed?
local function cat_there(self, source, path, from)
  local file <close>, pieces = pieces_of(source, self.op) -- luacheck: ignore 211
  local script = "cat > \"$1\" && chmod \"$2\" \"$1\""
  local mode = from.mode and ("%o"):format(from.mode & 511) or "644"
  local code, result = try(self, { "sh", "-c", script, "sh", path, mode }, { check = false, stdin = pieces })
  if code == "none" then
    failure.fail("unsupported", self.op, self.shown .. ": the container has neither tar nor sh to take a file", {
      target = self.shown,
    })
  elseif code ~= 0 then
    raise(self, result, "cannot write " .. path)
  end
end

local copy = {}

--- client:copy_in(target, source, path, opts?) -> {method: string}
--- Copies a file or a folder of this machine into a container, as `kubectl cp` does, with names as
--- ctz.docker.containers.copy_in takes them: into `path` when that is a folder, else as `path`; "DIR/."
--- means what is in DIR. A function as source gives the pieces of a tar stream that is unpacked in the
--- folder `path`. The container's tar unpacks; without one a single file goes through its sh and cat:
--- `method` says which it was. Needs a server that speaks v5.channel.k8s.io (Kubernetes 1.30).
--- @async
--- @param target string|table  as of client:exec
--- @param source string|fun(): string?  a path here, or pieces of a tar stream until nil
--- @param path string  in the container, from its root
--- @param opts.namespace? string
--- @param opts.container? string
--- @param opts.method? "tar"|"cat"  default: tar where the container has it
--- @param opts.timeout? ctz.seconds  until each program there has started
--- @return {method: string}
--- @error not_found no such pod, source, or folder there
--- @error unsupported a folder, and the container has no tar
--- @error denied the container's user may not write there
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function copy.copy_in(client, target, source, path, opts)
  local op <const> = "kubernetes.copy_in"
  opts = options_of(op, opts)
  copy_path.check_inside(op, path)
  local pods_of = require "ctz.kubernetes.pods"
  local shown = pods_of.shown(pods_of.read(op, target, opts, client))
  local self = { client = client, target = target, opts = opts, op = op, shown = shown }
  if type(source) ~= "function" and type(source) ~= "string" then
    failure.usage(op, "bad argument 'source' to '%s': expected a path or a function, got %s", op, type(source))
  elseif client:plans("copy %s to %s:%s", type(source) == "string" and source or "a tar stream", shown, path) then
    return { method = "tar", planned = true }
  elseif type(source) == "function" then
    unpack_there(self, (copy_path.trim(path)), source)
    return { method = "tar" }
  end
  local own = copy_path.trim(source)
  local from = fs.stat(own)
  if not from then
    failure.fail("not_found", op, own .. ": no such file or folder", { target = own })
  end
  local folder, name = place_there(self, source, path, from)
  if has_tar(self) then
    local reader <close> = context.open { root = own, name = name, keep_owner = false }
    unpack_there(self, folder, function()
      return reader:read()
    end)
    return { method = "tar" }
  elseif from.type == "directory" then
    needs_tar(self, "folder")
  end
  cat_there(self, own, (folder == "/" and "" or folder) .. "/" .. name, from)
  return { method = "cat" }
end

-- --- out ---------------------------------------------------------------------------------------

-- The standard output of a program there, piece by piece to take(bytes); its exit code and stderr.
local function stream_out(self, command, take)
  local program <close> = run(self, command, { stream = true })
  local words, size = {}, 0
  for stream, bytes in program:parts() do
    if stream == "stdout" then
      take(bytes)
    elseif size < 65536 then
      words[#words + 1], size = bytes, size + #bytes
    end
  end
  return program:wait(), { stderr = concat(words) }
end

local function tar_out(self, source, here, is_file)
  local writer <close> = context.extract(here, { file = is_file, strip = not is_file and 1 or nil, keep_owner = false })
  local command = { "tar", "-cf", "-", "-C", copy_path.folder_of(source), "--", copy_path.last_name(source) }
  local broken
  local code, result = stream_out(self, command, function(bytes)
    if not broken then
      local ok, err = pcall(writer.write, writer, bytes)
      broken = not ok and { err } or nil
    end
  end)
  if code ~= 0 then -- its words say more than what is missing of the stream
    result.exit_code = code
    raise(self, result, "tar cannot read " .. source)
  elseif broken then
    error(broken[1], 0)
  end
  writer:finish()
end

-- Appears when it is whole.
local function cat_out(self, source, here)
  local partial = ("%s.%08x"):format(here, random(0, 0xffffffff))
  local file, words = io.open(partial, "wb")
  if not file then
    failure.fail("io", self.op, ("cannot write %s: %s"):format(here, words), { target = here })
  end
  local ok, code, result = pcall(stream_out, self, { "cat", "--", source }, function(bytes)
    local written, why = file:write(bytes)
    if not written then
      failure.fail("io", self.op, ("cannot write %s: %s"):format(here, why), { target = here })
    end
  end)
  local closed = file:close()
  if ok and code == 0 and closed then
    fs.move(partial, here)
    return
  end
  pcall(fs.remove, partial)
  if not ok then
    error(code, 0)
  elseif code == 0 then
    failure.fail("io", self.op, "cannot write " .. here, { target = here })
  end
  result.exit_code = code
  raise(self, result, "cannot read " .. source)
end

--- client:copy_out(target, path, to, opts?) -> {path: string, method: string}
--- Copies a file or a folder out of a container, as `kubectl cp` does, with names as
--- ctz.docker.containers.copy_out takes them: into `to` when that is a folder, else as `to`. Nothing is
--- written outside of it, whatever the container sends. The container's tar packs; without one a single
--- file comes through its cat: `method` says which it was.
--- @async
--- @param target string|table  as of client:exec
--- @param path string  in the container, from its root
--- @param to string  a path here
--- @param opts.namespace? string
--- @param opts.container? string
--- @param opts.method? "tar"|"cat"  default: tar where the container has it
--- @param opts.timeout? ctz.seconds  until each program there has started
--- @return {path: string, method: string}
--- @error not_found no such pod, no such path in it
--- @error unsupported a folder, and the container has no tar
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function copy.copy_out(client, target, path, to, opts)
  local op <const> = "kubernetes.copy_out"
  opts = options_of(op, opts)
  copy_path.check_inside(op, path)
  if type(to) ~= "string" or to == "" then
    failure.usage(op, "bad argument 'to' to '%s': expected a path, got %s", op, type(to))
  end
  local pods_of = require "ctz.kubernetes.pods"
  local shown = pods_of.shown(pods_of.read(op, target, opts, client))
  local self = { client = client, target = target, opts = opts, op = op, shown = shown }
  local source, _, only_content = copy_path.trim(path)
  if client:plans("copy %s:%s to %s", shown, path, to) then
    return { path = to, method = "tar", planned = true }
  end
  local there = kind_there(self, source)
  if not there then
    failure.fail("not_found", op, ("%s: there is no %s"):format(shown, source), { target = shown })
  end
  local with_tar = has_tar(self)
  local is_file = there ~= "directory"
  local wanted, says_folder = copy_path.trim(to)
  local here = fs.stat(wanted)
  local is_here = here and here.type == "directory"
  if not is_file and not with_tar then
    needs_tar(self, "folder")
  elseif is_file and says_folder and not is_here or not is_file and here and not is_here then
    failure.fail("conflict", op, wanted .. " is no folder", { target = wanted })
  end
  local place = is_here and not only_content and wanted .. "/" .. copy_path.last_name(source) or wanted
  if with_tar then
    tar_out(self, source, place, is_file)
  else
    cat_out(self, source, place)
  end
  return { path = place, method = with_tar and "tar" or "cat" }
end

return copy
