-- docker/config/mounts.lua: volumes, mounts and tmpfs.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, opts/mount.go; moby, volume/mounts/linux_parser.go.
--
-- volumes are what -v takes: the engine makes what is missing on the host. mounts are what --mount
-- takes: it does not. Both read into one form, that of Compose: {type=, source=, target=, read_only=,
-- bind={}, volume={}, tmpfs={}, image={}}.
local json = require "ctz.json"
local path = require "ctz.path"
local read = require "ctz.docker.config.read"
local sorted_keys = require("ctz.problems").sorted_keys

local concat = table.concat
local ipairs, math_type, pairs, tonumber, tostring, type = ipairs, math.type, pairs, tonumber, tostring, type

local PROPAGATIONS <const> = { "private", "rprivate", "shared", "rshared", "slave", "rslave" }
local CONSISTENCIES <const> = { "default", "consistent", "cached", "delegated" }
local VOLUME_EXPECTED <const> = 'a volume such as "name:/path:ro", "./folder:/path" or {source=, target=}'
local MOUNT_EXPECTED <const> = 'a mount such as "type=bind,source=/a,target=/b" or {type=, source=, target=}'

local function set_of(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name] = true
  end
  return set
end

local is_propagation <const>, is_consistency <const> = set_of(PROPAGATIONS), set_of(CONSISTENCIES)

-- --- the long form -----------------------------------------------------------------------------

local function mode(value, where, problems)
  if type(value) == "string" and value:find "^[0-7]+$" and #value <= 5 then
    return tonumber(value, 8)
  elseif math_type(value) == "integer" and value >= 0 and value <= 4095 then
    return value
  end
  return read.refuse(problems, where, 'an octal mode such as "1777"', value)
end

local read_record <const> = read.record({
  { "type", read.choice("bind", "volume", "tmpfs", "image") },
  { "source", read.filled },
  { "target", read.absolute },
  { "read_only", read.boolean },
  { "consistency", read.choice(table.unpack(CONSISTENCIES)) },
  { "selinux", read.choice("z", "Z") },
  { "bind", read.record({
    { "propagation", read.choice(table.unpack(PROPAGATIONS)) },
    { "create_host_path", read.boolean },
    { "recursive", read.choice("enabled", "disabled", "writable", "readonly") },
  }, "a table") },
  { "volume", read.record({
    { "nocopy", read.boolean },
    { "subpath", read.filled },
    { "labels", read.map() },
    { "driver", read.filled },
    { "driver_opts", read.map() },
  }, "a table") },
  { "tmpfs", read.record({ { "size", read.bytes }, { "mode", mode } }, "a table") },
  { "image", read.record({ { "subpath", read.filled } }, "a table") },
}, "a table", "target")

-- What belongs to one type is not given for another.
local function check_type(mount, where, problems)
  for _, kind in ipairs { "bind", "volume", "tmpfs", "image" } do
    if mount[kind] and kind ~= mount.type then
      problems:usage(where .. "." .. kind, "it is about type \"%s\", this is \"%s\"", kind, mount.type)
    end
  end
  if mount.type == "bind" or mount.type == "image" then
    if not mount.source then
      problems:usage(where, "type \"%s\" needs a source", mount.type)
    end
  elseif mount.type == "tmpfs" and mount.source then
    problems:usage(where, "type \"tmpfs\" has no source")
  end
end

-- A relative folder is one of this machine's current folder.
local function resolve(mount, where, problems)
  local source = mount.source
  if not source then
    return
  elseif mount.type == "bind" and source:sub(1, 1) == "." then
    mount.source = path.absolute(source)
  elseif mount.type == "bind" and source:sub(1, 1) ~= "/" then
    problems:usage(where, '"%s" is relative; write "./%s"', source, source)
  elseif mount.type == "volume" and not source:find "^[%w][%w_.-]*$" then
    problems:add("usage", where, ('no volume is called "%s"'):format(source),
      { hint = source:find "^~" and "~ is not read; use ctz.env.HOME"
        or source:find "/" and ('a folder begins with "/" or "./"; did you mean "./%s"?'):format(source) or nil })
  end
end

local function default_type(source)
  return source and source:find "^[/.]" and "bind" or "volume"
end

local function read_long(value, where, problems, kind)
  local mount = read_record(value, where, problems)
  if not mount or not mount.target then
    return nil
  end
  mount.type = mount.type or kind or default_type(mount.source)
  if mount.read_only == false then
    mount.read_only = nil
  end
  check_type(mount, where, problems)
  resolve(mount, where, problems)
  return mount
end

-- --- volumes -----------------------------------------------------------------------------------

-- The text of -v; nil when that cannot say it.
local function to_bind(mount)
  local bind, volume = mount.bind or {}, mount.volume or {}
  if mount.type == "tmpfs" or mount.type == "image" or not mount.source
    or bind.create_host_path == false or bind.recursive or volume.subpath or volume.labels or volume.driver
    or volume.driver_opts or (mount.source .. mount.target):find(":", 1, true) then
    return nil
  end
  local modes = { mount.read_only and "ro" or nil }
  modes[#modes + 1] = bind.propagation
  modes[#modes + 1] = mount.selinux
  modes[#modes + 1] = volume.nocopy and "nocopy" or nil
  modes[#modes + 1] = mount.consistency
  return ("%s:%s%s"):format(mount.source, mount.target, modes[1] and ":" .. concat(modes, ",") or "")
end

-- The third part of "a:b:ro,rslave,Z".
local function read_modes(mount, modes, where, problems)
  local bind, volume = {}, {}
  for word in (modes .. ","):gmatch "([^,]*)," do
    if word == "ro" then
      mount.read_only = true
    elseif is_propagation[word] then
      bind.propagation = word
    elseif word == "z" or word == "Z" then
      mount.selinux = word
    elseif is_consistency[word] then
      mount.consistency = word
    elseif word == "nocopy" then
      volume.nocopy = true
    elseif word ~= "rw" then
      return problems:usage(where, 'no mode of a volume is called "%s"; there are ro, rw, z, Z, nocopy, %s', word,
        concat(PROPAGATIONS, ", "))
    end
  end
  mount.bind = not read.is_empty(bind) and bind or nil
  mount.volume = not read.is_empty(volume) and volume or nil
end

local function read_short(value, where, problems)
  local source, target, modes = value:match "^([^:]+):([^:]+):?([^:]*)$"
  if not source then
    target = value:match "^/[^:]*$"
  end
  if not target or value:find ":$" then
    return read.refuse(problems, where, VOLUME_EXPECTED, value)
  end
  local mount = { source = source, target = target }
  mount.type = default_type(source)
  if modes and modes ~= "" then
    read_modes(mount, modes, where, problems)
  end
  if target:sub(1, 1) ~= "/" then
    return problems:usage(where, 'the path in the container, "%s", is not absolute', target)
  end
  check_type(mount, where, problems)
  resolve(mount, where, problems)
  return mount
end

local function read_volume(value, where, problems)
  if type(value) == "string" then
    if read.has_nul(value) then
      return problems:usage(where, "it holds a NUL byte")
    end
    return read_short(value, where, problems)
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, VOLUME_EXPECTED, value)
  end
  local mount = read_long(value, where, problems)
  if mount and mount.selinux and not to_bind(mount) then
    problems:usage(where .. ".selinux", "the engine takes it for plain folders and volumes only")
  end
  return mount
end

-- A list, or {["./folder"] = "/path:ro"}.
local function read_volumes(value, where, problems)
  if type(value) == "table" and value[1] == nil and not read.is_empty(value) then
    local volumes = {}
    for _, key in ipairs(sorted_keys(value)) do
      local at = ("%s[%s]"):format(where, tostring(key))
      if type(key) ~= "string" or type(value[key]) ~= "string" then
        problems:usage(at, "expected a list of volumes, or {source = \"/path:ro\"}")
      else
        volumes[#volumes + 1] = read_volume(key .. ":" .. value[key], at, problems)
      end
    end
    return volumes
  end
  return read.list(read_volume)(value, where, problems)
end

local function is_anonymous(mount)
  return mount.type == "volume" and not mount.source and not mount.volume and not mount.read_only
    and not mount.target:find(":", 1, true)
end

-- --- mounts ------------------------------------------------------------------------------------

-- Fields of --mount: name -> how it becomes part of the long form.
local function field(group, name)
  return function(mount, value)
    local target = mount
    if group then
      mount[group] = mount[group] or {}
      target = mount[group]
    end
    target[name] = value
  end
end

local function pair_field(group, name)
  return function(mount, value)
    mount[group] = mount[group] or {}
    mount[group][name] = mount[group][name] or {}
    local key, text = value:match "^([^=]*)=?(.*)$"
    mount[group][name][key] = text
  end
end

local FLAGS <const> = { ["true"] = true, ["1"] = true, [""] = true, ["false"] = false, ["0"] = false }

local function flag_field(group, name)
  local set = field(group, name)
  return function(mount, value)
    set(mount, FLAGS[value] == nil and value or FLAGS[value])
  end
end

local mount_fields <const> = {
  type = field(nil, "type"),
  source = field(nil, "source"),
  target = field(nil, "target"),
  readonly = flag_field(nil, "read_only"),
  consistency = field(nil, "consistency"),
  ["bind-propagation"] = field("bind", "propagation"),
  ["bind-recursive"] = field("bind", "recursive"),
  ["bind-create-src"] = flag_field("bind", "create_host_path"),
  ["bind-nonrecursive"] = function(mount, value)
    field("bind", "recursive")(mount, FLAGS[value] and "disabled" or nil)
  end,
  ["volume-nocopy"] = flag_field("volume", "nocopy"),
  ["volume-subpath"] = field("volume", "subpath"),
  ["volume-label"] = pair_field("volume", "labels"),
  ["volume-driver"] = field("volume", "driver"),
  ["volume-opt"] = pair_field("volume", "driver_opts"),
  ["tmpfs-size"] = field("tmpfs", "size"),
  ["tmpfs-mode"] = field("tmpfs", "mode"),
  ["image-subpath"] = field("image", "subpath"),
}
mount_fields.src, mount_fields.dst, mount_fields.destination, mount_fields.ro =
  mount_fields.source, mount_fields.target, mount_fields.target, mount_fields.readonly

local function read_mount_table(value, where, problems)
  local mount = read_long(value, where, problems, "volume")
  if mount and mount.selinux then
    problems:usage(where .. ".selinux", "the engine takes it for volumes=, not for mounts=")
  end
  return mount
end

local function read_mount(value, where, problems)
  if type(value) == "table" then
    return read_mount_table(value, where, problems)
  elseif type(value) ~= "string" then
    return read.refuse(problems, where, MOUNT_EXPECTED, value)
  end
  local fields = read.split_csv(value)
  if not fields then
    return read.refuse(problems, where, MOUNT_EXPECTED, value)
  end
  local long = {}
  for _, item in ipairs(fields) do
    local name, text = item:match "^([^=]*)=?(.*)$"
    if not mount_fields[name] then
      local names = sorted_keys(mount_fields)
      return problems:usage(where, "unknown field '%s'; %s", name, require("ctz.problems").suggestion(name, names))
    end
    mount_fields[name](long, text)
  end
  return read_mount_table(long, where, problems)
end

local function mount_to_api(mount, body, where)
  local bind, volume, tmpfs, image = mount.bind, mount.volume, mount.tmpfs, mount.image
  local result = {
    Type = mount.type, Source = mount.source, Target = mount.target, ReadOnly = mount.read_only,
    Consistency = mount.consistency,
  }
  if bind then
    local recursive = bind.recursive
    body.since("1.42", where, "bind.create_host_path", bind.create_host_path)
    body.since("1.44", where, "bind.recursive", recursive == "writable" or recursive == "readonly" or nil)
    result.BindOptions = {
      Propagation = bind.propagation,
      NonRecursive = recursive == "disabled" or nil,
      CreateMountpoint = bind.create_host_path or nil,
      ReadOnlyNonRecursive = recursive == "writable" or nil,
      ReadOnlyForceRecursive = recursive == "readonly" or nil,
    }
  elseif volume then
    body.since("1.45", where, "volume.subpath", volume.subpath)
    result.VolumeOptions = {
      NoCopy = volume.nocopy, Subpath = volume.subpath, Labels = read.copy(volume.labels or {}),
      DriverConfig = (volume.driver or volume.driver_opts)
        and { Name = volume.driver, Options = read.copy(volume.driver_opts) } or nil,
    }
  elseif tmpfs then
    result.TmpfsOptions = { SizeBytes = tmpfs.size, Mode = tmpfs.mode }
  elseif image then
    body.since("1.48", where, "image.subpath", image.subpath)
    result.ImageOptions = { Subpath = image.subpath }
  end
  body.since("1.47", where, "type image", mount.type == "image" or nil)
  body.HostConfig.Mounts = body.HostConfig.Mounts or json.array {}
  body.HostConfig.Mounts[#body.HostConfig.Mounts + 1] = result
end

-- The text of --mount.
local function mount_to_text(mount)
  local fields = {}
  local function add(name, value)
    if value ~= nil then
      fields[#fields + 1] = read.csv(value == true and name or name .. "=" .. tostring(value))
    end
  end
  local function add_pairs(name, values)
    for key, value in read.sorted_pairs(values or {}) do
      add(name, key .. "=" .. value)
    end
  end
  local bind, volume, tmpfs = mount.bind or {}, mount.volume or {}, mount.tmpfs or {}
  add("type", mount.type)
  add("source", mount.source)
  add("target", mount.target)
  add("readonly", mount.read_only)
  add("consistency", mount.consistency)
  add("bind-propagation", bind.propagation)
  if bind.recursive == "disabled" then
    add("bind-nonrecursive", true)
  else
    add("bind-recursive", bind.recursive)
  end
  add("volume-nocopy", volume.nocopy or nil)
  add("volume-subpath", volume.subpath)
  add_pairs("volume-label", volume.labels)
  add("volume-driver", volume.driver)
  add_pairs("volume-opt", volume.driver_opts)
  add("tmpfs-size", tmpfs.size)
  add("tmpfs-mode", tmpfs.mode and ("%o"):format(tmpfs.mode))
  add("image-subpath", mount.image and mount.image.subpath)
  return concat(fields, ",")
end

local function mounts_to_api(mounts, body)
  for i, mount in ipairs(mounts) do
    mount_to_api(mount, body, ("mounts[%d]"):format(i))
  end
end

local function mounts_to_args(mounts, put)
  for i, mount in ipairs(mounts) do
    local makes_source = mount.bind and mount.bind.create_host_path
    local bind = makes_source and to_bind(mount)
    put(bind and "--volume" or "--mount", bind or mount_to_text(mount))
    if makes_source and not bind then
      put.note(("mounts[%d].bind.create_host_path: --mount of docker run does not make the folder"):format(i))
    end
  end
end

local function volumes_to_api(volumes, body)
  for i, volume in ipairs(volumes) do
    local bind = to_bind(volume)
    if bind then
      body.HostConfig.Binds = body.HostConfig.Binds or json.array {}
      body.HostConfig.Binds[#body.HostConfig.Binds + 1] = bind
    elseif is_anonymous(volume) then
      body.Config.Volumes = body.Config.Volumes or json.object {}
      body.Config.Volumes[volume.target] = json.object {}
    else
      mount_to_api(volume, body, ("volumes[%d]"):format(i))
    end
  end
end

local function volumes_to_args(volumes, put)
  for _, volume in ipairs(volumes) do
    local bind = to_bind(volume) or is_anonymous(volume) and volume.target
    put(bind and "--volume" or "--mount", bind or mount_to_text(volume))
  end
end

-- --- tmpfs -------------------------------------------------------------------------------------

-- {size = "64m", mode = "1777", noexec = true} -> "mode=1777,noexec,size=64m"
local function options_text(options, where, problems)
  if options == true then
    return ""
  elseif type(options) ~= "table" then
    return read.text(options, where, problems)
  end
  local words = {}
  for _, name in ipairs(sorted_keys(options)) do
    local value = options[name]
    if type(name) ~= "string" or value ~= true and type(value) ~= "string" and type(value) ~= "number" then
      problems:usage(where, "expected options such as {size=\"64m\", noexec=true}, got [%s]", tostring(name))
      return nil
    end
    words[#words + 1] = value == true and name or ("%s=%s"):format(name, read.text_of(value))
  end
  return concat(words, ",")
end

-- {"/run", "/tmp:size=64m"} or {["/tmp"] = {size = "64m"}} -> {["/tmp"] = "size=64m"}
local function read_tmpfs(value, where, problems)
  if type(value) == "string" then
    value = { value }
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, 'paths such as {"/run", "/tmp:size=64m"}', value)
  end
  local result = {}
  for _, key in ipairs(sorted_keys(value)) do
    local at, target, options = ("%s[%s]"):format(where, tostring(key)), key, value[key]
    if math_type(key) == "integer" and type(options) == "string" then
      target, options = options:match "^([^:]*):?(.*)$"
    end
    if read.absolute(target, at, problems) then
      result[target] = options_text(options, at, problems)
    end
  end
  return result
end

local function tmpfs_to_api(tmpfs, body)
  body.HostConfig.Tmpfs = read.copy(tmpfs)
end

local function tmpfs_to_args(tmpfs, put)
  for target, options in read.sorted_pairs(tmpfs) do
    put("--tmpfs", options == "" and target or target .. ":" .. options)
  end
end

-- Two things at one place in the container: the engine refuses that too, later and less clearly.
local function check(config, problems)
  if not config.volumes and not config.mounts and not config.tmpfs then
    return
  end
  local seen = {}
  local function note(target, where)
    local place = target:gsub("(.)/+$", "%1")
    if seen[place] then
      problems:usage(where, '"%s" is the place of %s already', target, seen[place])
    end
    seen[place] = seen[place] or where
  end
  for _, name in ipairs { "volumes", "mounts" } do
    for i, mount in ipairs(config[name] or {}) do
      note(mount.target, ("%s[%d]"):format(name, i))
    end
  end
  for target in pairs(config.tmpfs or {}) do
    note(target, ("tmpfs[%s]"):format(target))
  end
end

return {
  { name = "volumes", read = read_volumes, api = volumes_to_api, args = volumes_to_args },
  { name = "mounts", read = read.list(read_mount), api = mounts_to_api, args = mounts_to_args },
  { name = "tmpfs", read = read_tmpfs, api = tmpfs_to_api, args = tmpfs_to_args, check = check },
}
