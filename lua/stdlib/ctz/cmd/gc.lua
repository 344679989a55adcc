-- cmd/gc.lua: ctz gc: removes what runs that died left on the engine.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local clients = require "ctz.docker.client"
local host = require "ctz.core.host"
local json = require "ctz.json"
local labels = require "ctz.docker.labels"
local map = require("ctz").map
local new_error = require("ctz.core.task").error
local ui = require "ctz.core.ui"
local unix_time = require("ctz.units").unix_time
local values = require "ctz.docker.values"

local table_of = values.table_of

local OP <const> = "gc"
local JOBS <const> = 8
local LEAST_DIGITS <const> = 4 -- of --host

local function usage(text, hint)
  error(new_error { kind = "usage", op = OP, message = text, hint = hint, exit_status = 2 }, 0)
end

-- --- what is there -------------------------------------------------------------------------------

local KINDS <const> = { "container", "network", "volume", "image" } -- in this order they can be removed

local HAS_LABEL <const> = { label = { "ctz.run" } }

-- Each gives a list of {id=, name=, created=, labels=, note=}.
local lists = {}

function lists.container(client)
  local query, found = { all = true, filters = HAS_LABEL }, {}
  for i, raw in ipairs(client:call("GET", "/containers/json", { op = OP, query = query })) do
    found[i] = {
      id = raw.Id,
      name = (table_of(raw.Names)[1] or raw.Id:sub(1, 12)):gsub("^/", ""),
      created = raw.Created,
      labels = raw.Labels,
      note = raw.State,
      image = raw.ImageID,
    }
  end
  return found
end

function lists.network(client)
  local found = {}
  for i, raw in ipairs(client:call("GET", "/networks", { op = OP, query = { filters = HAS_LABEL } })) do
    found[i] = { id = raw.Id, name = raw.Name, created = unix_time(raw.Created), labels = raw.Labels }
  end
  return found
end

function lists.volume(client)
  local found = {}
  local raws = client:call("GET", "/volumes", { op = OP, query = { filters = HAS_LABEL } }).Volumes
  for i, raw in ipairs(table_of(raws)) do
    found[i] = { id = raw.Name, name = raw.Name, created = unix_time(raw.CreatedAt), labels = raw.Labels }
  end
  return found
end

-- Only those without a name: one with a name is what somebody wanted.
function lists.image(client)
  local query = { filters = { label = HAS_LABEL.label, dangling = { "true" } } }
  local found = {}
  for i, raw in ipairs(client:call("GET", "/images/json", { op = OP, query = query })) do
    local name = raw.Id:gsub("^sha256:", ""):sub(1, 12)
    found[i] = { id = raw.Id, name = name, created = raw.Created, labels = raw.Labels }
  end
  return found
end

-- --- whose it is ---------------------------------------------------------------------------------

-- A container takes over the labels of its image, and `docker commit` puts those of a container into an
-- image. One that ctz made has a ctz.object of its own.
local function is_inherited(client, object, seen)
  local of_image = seen[object.image]
  if of_image == nil then
    local raw, status = client:call("GET", "/images/" .. clients.escape(object.image) .. "/json", {
      op = OP,
      ok = { [404] = true },
    })
    of_image = status ~= 404 and table_of(table_of(raw.Config).Labels)
    seen[object.image] = of_image
  end
  return of_image and of_image["ctz.object"] == object.mark.object, not of_image
end

local FATES <const> = {
  alive = "its run lives",
  ended = "its run ended well, or left no record: --all takes it too",
}

-- Why an object stays; nil: it goes.
local function reason_of_own(object, options)
  local fate = labels.fate(object.mark)
  if fate == "alive" or fate == "ended" and not options.all then
    return FATES[fate]
  end
end

local function reason_by_age(object, limits)
  if limits.older and not (object.created and limits.now - object.created >= limits.older) then
    return "it is younger"
  end
end

local function reason_of(client, object, options, limits)
  local is_own = object.mark.host == limits.own
  if limits.host and object.mark.host ~= limits.host then
    return is_own and "it is of this machine" or "it is of another machine", true
  elseif not limits.host and not is_own then
    return "it is of another machine: " .. object.mark.host, true
  end
  local reason = is_own and reason_of_own(object, options) or reason_by_age(object, limits)
  if reason or object.kind ~= "container" then
    return reason
  end
  local inherited, unknown = is_inherited(client, object, limits.images)
  return inherited and "it was not made by ctz: its labels are those of its image"
    or unknown and "its image is gone, which could tell whether ctz made it"
    or nil
end

-- The objects that carry our labels, in the order in which they can be removed; for each that stays the
-- reason.
local function look(client, options, limits)
  local objects = {}
  for _, kind in ipairs(KINDS) do
    for _, object in ipairs((kind ~= "image" or options.images) and lists[kind](client) or {}) do
      object.kind, object.mark = kind, labels.read(kind, object.labels)
      if object.mark then
        objects[#objects + 1] = object
      end
    end
  end
  if limits.prefix then
    limits.host = limits.find(objects)
  end
  for _, object in ipairs(objects) do
    object.reason = reason_of(client, object, options, limits)
  end
  return objects
end

-- --- the options ---------------------------------------------------------------------------------

-- The one machine among those of the objects whose name begins so.
local function find_host(objects, prefix)
  local found, names = nil, {}
  for _, object in ipairs(objects) do
    local name = object.mark.host
    if name:sub(1, #prefix) == prefix and name ~= found then
      if found then
        usage(("--host %s: more than one machine has a name that begins so"):format(prefix))
      end
      found = name
    end
    names[name] = true
  end
  if not found then
    local list = {}
    for name in pairs(names) do
      list[#list + 1] = name
    end
    table.sort(list)
    usage(("--host %s: nothing here is of such a machine"):format(prefix),
      #list > 0 and "there is something of " .. table.concat(list, ", ") or nil)
  end
  return found
end

local function engine_time(client)
  return unix_time(client:call("GET", "/info", { op = OP }).SystemTime)
end

local function limits_of(client, options)
  local limits = { own = labels.host(), images = {}, prefix = options.host }
  if options.host then
    if not options.older then
      usage("--host needs --older: which of them still live cannot be seen from here", "--older 1d")
    elseif #options.host < LEAST_DIGITS or options.host:find "%X" then
      usage(("--host %s is no machine: the label ctz.host of its objects, or how it begins"):format(options.host))
    elseif limits.own:sub(1, #options.host) == options.host then
      usage(("--host %s is this machine"):format(options.host), "leave --host out")
    end
    limits.find = function(objects)
      return find_host(objects, options.host)
    end
  end
  if options.older then
    limits.older, limits.now = cli.seconds(options.older), engine_time(client)
  end
  return limits
end

-- --- removing ------------------------------------------------------------------------------------

local removals = {}

function removals.container(object)
  return "/containers/" .. object.id, { force = true, v = true }
end

function removals.network(object)
  return "/networks/" .. object.id
end

function removals.volume(object)
  return "/volumes/" .. clients.escape(object.id)
end

function removals.image(object) -- what it was built on stays
  return "/images/" .. clients.escape(object.id), { noprune = true }
end

local function await_removal(client, object)
  pcall(client.call, client, "POST", "/containers/" .. object.id .. "/wait", {
    query = { condition = "removed" },
    reads = true,
  })
end

-- Another gc may do the same at this moment. What somebody uses stays.
local function remove(client, object)
  local path, query = removals[object.kind](object)
  local ok, err = pcall(client.call, client, "DELETE", path, {
    op = OP,
    target = object.kind .. " " .. object.name,
    query = query,
    ok = { [404] = true },
  })
  if ok then
    object.removed = true
  elseif type(err) ~= "table" or err.kind == "unreachable" or err.reason then
    error(err, 0)
  elseif err.kind == "conflict" and object.kind == "container" then
    await_removal(client, object)
    object.removed = true
  else
    object.reason, object.failed = err.message, err.kind ~= "conflict" and err.kind ~= "denied"
  end
end

local function remove_all(client, objects)
  for _, kind in ipairs(KINDS) do
    local going = {}
    for _, object in ipairs(objects) do
      if object.kind == kind and not object.reason then
        going[#going + 1] = object
      end
    end
    map(going, function(object)
      remove(client, object)
    end, { jobs = JOBS })
  end
end

-- --- telling -------------------------------------------------------------------------------------

local function age(seconds)
  if seconds < 120 then
    return ("%d s"):format(seconds // 1)
  elseif seconds < 7200 then
    return ("%d min"):format(seconds // 60)
  elseif seconds < 172800 then
    return ("%d h"):format(seconds // 3600)
  end
  return ("%d days"):format(seconds // 86400)
end

local function describe(object, now)
  local note = object.note and (" (%s)"):format(object.note) or ""
  local made = object.created and (", %s old"):format(age(math.max(0, now - object.created))) or ""
  return ui.clean(("%s %s%s%s, of %s"):format(object.kind, object.name, note, made, object.mark.recipe))
end

local function add(counts, name)
  counts[name] = (counts[name] or 0) + 1
  counts.all = (counts.all or 0) + 1
end

-- "2 containers, 1 network"
local function sum(counts)
  local parts = {}
  for _, kind in ipairs(KINDS) do
    local count = counts[kind]
    parts[#parts + 1] = count and ("%d %s%s"):format(count, kind, count == 1 and "" or "s")
  end
  return table.concat(parts, ", ")
end

local function show(objects, is_plan)
  local now, going, staying = os.time(), {}, {}
  for _, object in ipairs(objects) do
    if object.removed or is_plan and not object.reason then
      add(going, object.kind)
      print((is_plan and "would remove " or "removed ") .. describe(object, now))
    else
      add(staying, object.kind)
      print(("left %s: %s"):format(describe(object, now), ui.clean(object.reason)))
    end
  end
  local done = is_plan and "to be removed" or "removed"
  print(("%s %s%s"):format(going.all and sum(going) or "nothing", done,
    staying.all and ("; %s left"):format(sum(staying)) or ""))
end

local function as_json(client, objects, is_plan)
  local report = { engine = client.endpoint.host, dry_run = is_plan, removed = json.array {}, left = json.array {} }
  for _, object in ipairs(objects) do
    local goes = object.removed or is_plan and not object.reason
    local list = goes and report.removed or report.left
    list[#list + 1] = {
      kind = object.kind,
      id = object.id,
      name = object.name,
      created = object.created,
      run = object.mark.run,
      recipe = object.mark.recipe,
      host = object.mark.host,
      reason = object.reason,
      failed = object.failed or nil,
    }
  end
  return json.encode(report)
end

-- --- the command ---------------------------------------------------------------------------------

local function run(options)
  local client = clients.new {}
  local objects = look(client, options, limits_of(client, options))
  local is_plan = host.mode().dry_run or options.host ~= nil and not options.yes
  if not is_plan then
    remove_all(client, objects)
  end
  if options.json then
    print(as_json(client, objects, is_plan))
  else
    show(objects, is_plan)
    if options.host and is_plan and not host.mode().dry_run then
      print "this was the plan: the same with --yes does it"
    end
  end
  for _, object in ipairs(objects) do
    if object.failed then
      return 1
    end
  end
  return 0
end

return { run = run }
