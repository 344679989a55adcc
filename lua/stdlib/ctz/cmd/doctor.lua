-- cmd/doctor.lua: ctz doctor: versions, limits, what is reachable from here, and what to do about the rest.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local host = require "ctz.core.host"
local task = require "ctz.core.task"

local PROBE_S <const> = 2

-- --- this installation -----------------------------------------------------------------------------

-- "OpenSSL 3.0.22 25 Aug 2026" and "libcurl/7.88.1 zlib/1.2.13 ..." say 3.0.22 and 7.88.1.
local function look_at_versions()
  local versions = cli.versions()
  for name, text in pairs(versions) do
    versions[name] = text:match "%d[%w.]*" or text
  end
  return versions
end

local function look_at_rooms()
  local rooms = {}
  for _, name in ipairs(cli.rooms()) do
    local ok, err = pcall(require, "ctz.core." .. name)
    rooms[#rooms + 1] = { name = name, ok = ok, problem = not ok and tostring(err) or nil }
  end
  table.sort(rooms, function(a, b)
    return a.name < b.name
  end)
  return rooms
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

-- --- engines ---------------------------------------------------------------------------------------

-- Where engines listen: {name=, address=, hint=}, the one that is configured first.
local function engine_places()
  local runtime = os.getenv "XDG_RUNTIME_DIR"
  local places = {}
  local function add(name, path)
    places[#places + 1] = { name = name, address = "unix://" .. path, socket = path }
  end
  local configured = os.getenv "DOCKER_HOST"
  if configured and configured ~= "" then
    places[1] = { name = "docker (DOCKER_HOST)", address = configured, socket = configured:match "^unix://(/.*)$" }
  end
  add("docker", "/var/run/docker.sock")
  if runtime then
    add("docker, rootless", runtime .. "/docker.sock")
    add("podman, rootless", runtime .. "/podman/podman.sock")
  end
  add("podman", "/run/podman/podman.sock")
  add("containerd", "/run/containerd/containerd.sock")
  return places
end

-- What an engine says of itself at /version; nil when it does not speak HTTP.
local function version_of(place)
  local ok, answer = pcall(function()
    local http = require "ctz.http"
    return http.get("http://localhost/version", { unix_socket = place.socket, timeout = PROBE_S })
  end)
  if ok and answer.status == 200 then
    local known, data = pcall(require("ctz.json").decode, answer.body)
    if known and type(data) == "table" then
      return data.Version, data.ApiVersion
    end
  end
end

local function hint_of(place, problem)
  if problem == "Permission denied" then
    return "add yourself to the group of " .. place.socket .. ", or run as root"
  elseif problem == "Connection refused" then
    return "the socket is there but nobody listens: start the engine"
  end
end

local function look_at_engine(place)
  local engine = { name = place.name, address = place.address }
  if not place.socket then
    engine.note = "not looked at: only unix sockets are"
    return engine
  end
  local ok, problem = cli.connects(place.socket)
  engine.reachable = ok or false
  if not ok then
    engine.problem, engine.hint = problem, hint_of(place, problem)
  elseif place.name ~= "containerd" then
    engine.version, engine.api = version_of(place)
  end
  return engine
end

local function look_at_engines()
  local engines, reachable = {}, false
  for i, place in ipairs(engine_places()) do
    engines[i] = look_at_engine(place)
    reachable = reachable or engines[i].reachable
  end
  return engines, reachable
end

-- --- Kubernetes ------------------------------------------------------------------------------------

local function look_at_kubernetes()
  local paths = {}
  for path in (os.getenv "KUBECONFIG" or ""):gmatch "[^:]+" do
    paths[#paths + 1] = path
  end
  if #paths == 0 and os.getenv "HOME" then
    paths[1] = os.getenv "HOME" .. "/.kube/config"
  end
  local found = {}
  for _, path in ipairs(paths) do
    found[#found + 1] = { name = "kubeconfig", path = path, found = exists(path) }
  end
  local token = "/var/run/secrets/kubernetes.io/serviceaccount/token"
  found[#found + 1] = { name = "service account", path = token, found = exists(token) }
  return found
end

-- --- tools -----------------------------------------------------------------------------------------

local TOOLS <const> = {
  { "git" }, { "docker" }, { "kubectl" }, { "helm" }, { "skopeo" }, { "runc" }, { "buildctl" },
  { "trivy" }, { "grype" }, { "syft" }, { "cosign" },
}

local function which(name)
  for folder in (os.getenv "PATH" or ""):gmatch "[^:]+" do
    local path = folder .. "/" .. name
    if exists(path) then
      return path
    end
  end
end

local function look_at_tools()
  local tools = {}
  for i, tool in ipairs(TOOLS) do
    tools[i] = { name = tool[1], path = which(tool[1]) }
  end
  return tools
end

-- Lua libraries that one command each needs.
local LIBRARIES <const> = {
  { name = "busted", package = "lua-busted", needed_by = "ctz test", path = "/usr/share/lua/5.4/?.lua" },
  { name = "luacheck", package = "lua-check", needed_by = "ctz check", path = "/usr/share/lua/5.1/?.lua" },
  { name = "cjson", package = "lua-cjson", needed_by = 'require "cjson"' },
}

local function look_at_libraries()
  local found = {}
  for i, library in ipairs(LIBRARIES) do
    local lua_path = package.path .. ";" .. (library.path or ""):gsub("%?", "?/init") .. ";" .. (library.path or "")
    local path = package.searchpath(library.name, lua_path) or package.searchpath(library.name, package.cpath)
    found[i] = { name = library.name, path = path, needed_by = library.needed_by }
    if not path then
      found[i].hint = ("%s needs it: install the package %s"):format(library.needed_by, library.package)
    end
  end
  return found
end

-- --- all -------------------------------------------------------------------------------------------

local function hints_of(report, has_engine)
  local hints = {}
  if not has_engine then
    hints[#hints + 1] = "no container engine is reachable: images are built, analysed and copied without one; "
      .. "running containers needs one (package docker.io or podman)"
  end
  if not os.getenv "HOME" then
    hints[#hints + 1] = "HOME is not set: settings and history have no place"
  end
  for _, list in ipairs { report.engines, report.libraries } do
    for _, item in ipairs(list) do
      hints[#hints + 1] = item.hint and item.name .. ": " .. item.hint
    end
  end
  for _, room in ipairs(report.rooms) do
    hints[#hints + 1] = room.problem and ("room %s does not open: %s"):format(room.name, room.problem)
  end
  return hints
end

local function examine()
  local engines, has_engine = look_at_engines()
  local report = {
    version = host.version,
    program = host.program,
    versions = look_at_versions(),
    rooms = look_at_rooms(),
    engines = engines,
    kubernetes = look_at_kubernetes(),
    tools = look_at_tools(),
    libraries = look_at_libraries(),
    limits = host.limits(),
  }
  report.hints = hints_of(report, has_engine)
  return report
end

-- --- showing ---------------------------------------------------------------------------------------

local function add(out, format, ...)
  out[#out + 1] = format:format(...)
end

local function show_versions(out, report)
  add(out, "ctz %s  %s", report.version, report.program)
  local names = {}
  for name in pairs(report.versions) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    add(out, "  %-12s%s", name, report.versions[name])
  end
  local rooms = {}
  for i, room in ipairs(report.rooms) do
    rooms[i] = room.name .. (room.ok and "" or " (does not open)")
  end
  add(out, "  %-12s%s", "rooms", table.concat(rooms, " "))
end

local function engine_state(engine)
  if engine.note then
    return engine.note
  elseif not engine.reachable then
    return (engine.problem:gsub("^%u", string.lower))
  elseif engine.version then
    return ("reachable: %s, API %s"):format(engine.version, engine.api or "?")
  end
  return "reachable"
end

-- Rows of texts under a title, as columns.
local function add_table(out, title, rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, #text)
    end
  end
  out[#out + 1] = "\n" .. title
  for _, row in ipairs(rows) do
    local line = " "
    for i, text in ipairs(row) do
      line = line .. " " .. text .. (" "):rep(widths[i] - #text + 1)
    end
    out[#out + 1] = line:gsub("%s+$", "")
  end
end

local function show_reachable(out, report)
  local engines, kubernetes, tools, libraries = {}, {}, {}, {}
  for i, engine in ipairs(report.engines) do
    engines[i] = { engine.name, engine.address, engine_state(engine) }
  end
  for i, place in ipairs(report.kubernetes) do
    kubernetes[i] = { place.name, place.path, place.found and "found" or "not there" }
  end
  for i, tool in ipairs(report.tools) do
    tools[i] = { tool.name, tool.path or "not found" }
  end
  for i, library in ipairs(report.libraries) do
    libraries[i] = { library.name, library.path or "not found" }
  end
  add_table(out, "engines", engines)
  add_table(out, "Kubernetes", kubernetes)
  add_table(out, "tools", tools)
  add_table(out, "Lua libraries", libraries)
end

local function show_limits(out, report)
  local limits = {}
  for i, limit in ipairs(report.limits) do
    limits[i] = { limit.name, ("%10d"):format(limit.value), limit.unit, limit.meaning }
  end
  add_table(out, "limits (ctz run --limit NAME=VALUE)", limits)
end

local function show(report)
  local out = {}
  show_versions(out, report)
  show_reachable(out, report)
  show_limits(out, report)
  if #report.hints > 0 then
    add(out, "\nhints")
    for _, hint in ipairs(report.hints) do
      add(out, "  - %s", hint)
    end
  end
  print(table.concat(out, "\n"))
end

local function as_json(report)
  local json = require "ctz.json"
  for _, name in ipairs { "rooms", "engines", "kubernetes", "tools", "libraries", "limits", "hints" } do
    json.array(report[name])
  end
  return json.encode(report)
end

local function run(options)
  local report = task.timeout(PROBE_S * 8, examine)
  if options.json then
    print(as_json(report))
  else
    show(report)
  end
  for _, room in ipairs(report.rooms) do
    if not room.ok then
      return 1
    end
  end
  return 0
end

return { run = run }
