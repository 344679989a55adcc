-- image/layers.lua: from what a recipe says of its layers to the entries that C writes.
-- SPDX-License-Identifier: MIT
local core = require "ctz.core.image"
local pattern = require "ctz.image.pattern"
local problems_of = require "ctz.problems"

local sorted_keys = problems_of.sorted_keys
local concat = table.concat
local ipairs, math_type, next, pairs, pcall = ipairs, math.type, next, pairs, pcall
local tonumber, tostring, type = tonumber, tostring, type

local MAX_ID <const> = 4294967294 -- uid and gid; one more means "no change" to chown
local PATH_BYTES <const> = 4095
local NAME_BYTES <const> = 255
local WHITEOUT <const> = ".wh." -- OCI image-spec, layer.md: such a name deletes

local FROM_FIELDS <const> = { "from", "to", "owner", "mode", "dir_mode", "include", "exclude", "comment" }
local FILES_FIELDS <const> = { "files", "owner", "comment" }
local FILE_FIELDS <const> = { "from", "text", "link", "dir", "mode", "owner" }

-- Octal modes that were written as decimal numbers, and are nonsense as such.
local DECIMAL_SLIPS <const> = {
  [400] = true, [440] = true, [444] = true, [500] = true, [550] = true, [555] = true, [600] = true,
  [640] = true, [644] = true, [660] = true, [664] = true, [666] = true, [700] = true, [744] = true,
  [750] = true, [755] = true, [770] = true, [775] = true, [777] = true, [1777] = true, [4755] = true,
}

-- --- values ------------------------------------------------------------------------------------

-- "755" -> 493; an integer is taken as it is.
local function read_mode(value, where, problems)
  if value == nil then
    return nil
  elseif type(value) == "string" and value:find("^[0-7]+$") and #value <= 5 and tonumber(value, 8) <= 4095 then
    return tonumber(value, 8)
  elseif math_type(value) == "integer" and DECIMAL_SLIPS[value] then
    problems:usage(where, "%d is a decimal number; write mode=\"%d\" for octal", value, value)
  elseif math_type(value) == "integer" and value >= 0 and value <= 4095 then
    return value
  else
    problems:usage(where, "expected an octal mode such as \"755\", got %s",
      type(value) == "string" and ('"%s"'):format(value) or tostring(value))
  end
  return nil
end

-- "1000:1000", "1000" or 1000 -> uid, gid.
local function read_owner(value, where, problems)
  if value == nil then
    return nil
  end
  local uid, gid
  if type(value) == "string" then
    uid, gid = value:match("^(%d+):(%d+)$")
    uid = uid or value:match("^%d+$")
  elseif math_type(value) == "integer" and value >= 0 then
    uid = value
  end
  uid = tonumber(uid)
  gid = tonumber(gid) or uid
  if not uid then
    problems:add("usage", where, ("expected numbers such as \"1000:1000\", got %s"):format(
      type(value) == "string" and ('"%s"'):format(value) or tostring(value)),
      { hint = "names have no meaning before there is an /etc/passwd" })
    return nil
  elseif uid > MAX_ID or gid > MAX_ID then
    problems:usage(where, "an owner is at most %d", MAX_ID)
    return nil
  end
  return { uid, gid }
end

local function read_patterns(value, where, problems)
  if value == nil then
    return nil
  end
  local list = type(value) == "string" and { value } or value
  if not problems:check(list, "table", where) then
    return nil
  end
  for i, text in ipairs(list) do
    if type(text) ~= "string" or not text:find("[^/]") then
      problems:usage(("%s[%d]"):format(where, i), "expected a pattern such as \"*.html\"")
      return nil
    end
  end
  return pattern.compile(list)
end

-- "/www//site/" -> "www/site"; nil and a problem when it is no place in an image.
local function read_target(path, where, problems)
  local function refuse(...)
    problems:usage(where, ...)
    return nil
  end
  if type(path) ~= "string" then
    return refuse("expected a path in the image, got %s", type(path))
  elseif path:sub(1, 1) ~= "/" then
    return refuse("\"%s\" is not absolute; paths in an image begin with /", path)
  elseif path:find("\0", 1, true) then
    return refuse("the path holds a NUL byte")
  end
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part == ".." or part == "." then
      return refuse("\"%s\" holds \"%s\"", path, part)
    elseif part:sub(1, #WHITEOUT) == WHITEOUT then
      return refuse("\"%s\": names that begin with \"%s\" delete in a layer", path, WHITEOUT)
    elseif #part > NAME_BYTES then
      return refuse("\"%s...\": a name has at most %d bytes", part:sub(1, 40), NAME_BYTES)
    end
    parts[#parts + 1] = part
  end
  local clean = concat(parts, "/")
  if #clean > PATH_BYTES then
    return refuse("\"/%s...\": a path has at most %d bytes", clean:sub(1, 40), PATH_BYTES)
  end
  return clean
end

-- --- one layer ---------------------------------------------------------------------------------

local TYPE_NAMES <const> = { file = "a file", dir = "a folder", link = "a link" }

local function same_folder(a, b)
  return a.type == "dir" and b.type == "dir" and a.mode == b.mode and (a.uid or 0) == (b.uid or 0)
    and (a.gid or 0) == (b.gid or 0)
end

-- Adds an entry that came from `origin` (for messages). Two parts may share a folder.
local function add(layer, entry, origin, problems)
  local other = layer.by_path[entry.path]
  if not other then
    entry.origin = origin
    layer.by_path[entry.path] = entry
    layer.entries[#layer.entries + 1] = entry
    layer.content_bytes = layer.content_bytes + (entry.size_bytes or 0)
  elseif not same_folder(entry, other) then
    problems:usage(origin, "/%s stands in this layer already, by %s", entry.path, other.origin)
  end
end

-- Turns a node of a tree into the entry at `path` in the image; nil and a problem when it cannot be
-- one. In place: a layer may have a million.
local function node_entry(node, path, source, part, where, problems)
  if node.type == "dir" then
    node.mode = part.dir_mode or 493 -- 0755
  elseif node.type == "link" then
    node.mode = 511 -- 0777
  elseif node.type == "file" then
    node.mode = part.mode or (node.executable and 493 or 420) -- 0755, 0644
    node.source = source
  else
    problems:add("unsupported", where, ("%s is a %s; a layer holds files, folders and links"):format(source, node.type),
      { target = source, hint = "leave it out with exclude" })
    return nil
  end
  node.path = path
  if part.owner then
    node.uid, node.gid = part.owner[1], part.owner[2]
  end
  return node
end

-- An entry that no file stands for.
local function made_entry(kind, path, mode, owner)
  return { type = kind, path = path, mode = mode, uid = owner and owner[1], gid = owner and owner[2] }
end

local function list_tree(path, where, problems)
  local ok, tree = pcall(core.tree, path)
  if ok then
    return tree
  end
  problems:add_error(where, tree)
end

local function add_single_file(layer, tree, to, part, where, problems)
  local path = to
  if part.to == nil or part.to:sub(-1) == "/" then
    local name = part.from:match("([^/]+)/*$")
    path = read_target("/" .. to .. "/" .. name, where .. ".from", problems)
  end
  local entry = path and node_entry(tree[1], path, tree.root, part, where .. ".from", problems)
  if entry then
    add(layer, entry, where, problems)
  end
end

-- path -> true for what the patterns leave, and for the folders on the way to it.
local function wanted_paths(tree, part)
  local wanted = {}
  for _, node in ipairs(tree) do
    local path = node.path
    local kept = path == "" or not (part.exclude and part.exclude(path))
    if kept and part.include then
      kept = path ~= "" and node.type ~= "dir" and part.include(path)
    end
    if kept then
      wanted[path] = true
      for cut in path:gmatch("()/") do
        wanted[path:sub(1, cut - 1)] = true
      end
    end
  end
  wanted[""] = next(wanted) ~= nil
  return wanted
end

-- The place of a tree's path below `to`. Its names come from a file system, so few things can be
-- wrong with them.
local function path_below(to, path, where, problems)
  local full = to == "" and path or to .. "/" .. path
  if #full > PATH_BYTES or path:find(WHITEOUT, 1, true) then
    return read_target("/" .. full, where, problems)
  end
  return full
end

local function add_folder(layer, tree, to, part, where, problems)
  local place = where .. ".from"
  local root = tree.root == "/" and "" or tree.root
  local wanted = (part.include or part.exclude) and wanted_paths(tree, part)
  for i, node in ipairs(tree) do
    local below = node.path
    if not wanted or wanted[below] then
      local path = below == "" and to or path_below(to, below, place, problems)
      if path and path ~= "" then
        local entry = node_entry(node, path, root .. "/" .. below, part, place, problems)
        if entry then
          add(layer, entry, where, problems)
        end
      end
    end
    tree[i] = nil
  end
end

local function add_from(layer, given, where, problems)
  problems:check_keys(given, FROM_FIELDS, where)
  if not problems:check(given.from, "string", where .. ".from", true) then
    return
  elseif given.from == "" or given.from:find("\0", 1, true) then
    problems:usage(where .. ".from", "it is empty or holds a NUL byte")
    return
  end
  local part = {
    from = given.from,
    to = type(given.to) == "string" and given.to or nil,
    owner = read_owner(given.owner, where .. ".owner", problems),
    mode = read_mode(given.mode, where .. ".mode", problems),
    dir_mode = read_mode(given.dir_mode, where .. ".dir_mode", problems),
    include = read_patterns(given.include, where .. ".include", problems),
    exclude = read_patterns(given.exclude, where .. ".exclude", problems),
  }
  local to = read_target(given.to == nil and "/" or given.to, where .. ".to", problems)
  local tree = list_tree(given.from, where .. ".from", problems)
  if not tree or not to then
    return
  elseif tree[1].type == "dir" then
    add_folder(layer, tree, to, part, where, problems)
  elseif to == "" and part.to and part.to:sub(-1) ~= "/" then
    problems:usage(where .. ".to", "a file cannot stand in the place of /")
  else
    add_single_file(layer, tree, to, part, where, problems)
  end
end

-- What one file of a files table can be; each returns its entry, or nil and a problem.
local file_kinds = {}

function file_kinds.from(path, value, part, where, problems)
  local tree = list_tree(value, where .. ".from", problems)
  if tree and tree[1].type == "dir" then
    problems:add("usage", where .. ".from", value .. " is a folder",
      { hint = ("give the folder a part of its own: {from=%q, to=%q}"):format(value, "/" .. path) })
    return nil
  end
  return tree and node_entry(tree[1], path, tree.root, part, where .. ".from", problems)
end

function file_kinds.text(path, value, part)
  local entry = made_entry("file", path, part.mode or 420, part.owner) -- 0644
  entry.text = value
  return entry
end

function file_kinds.dir(path, value, part, where, problems)
  if not value then
    problems:usage(where .. ".dir", "expected true")
    return nil
  end
  return made_entry("dir", path, part.mode or 493, part.owner) -- 0755
end

function file_kinds.link(path, value, part, where, problems)
  if value == "" or value:find("\0", 1, true) or #value > PATH_BYTES then
    problems:usage(where .. ".link", "it is empty, too long or holds a NUL byte")
    return nil
  elseif part.mode then
    problems:usage(where .. ".mode", "a link has no mode of its own")
    return nil
  end
  local entry = made_entry("link", path, 511, part.owner) -- 0777
  entry.link = value
  return entry
end

local function add_file(layer, path, given, owner, where, problems)
  problems:check_keys(given, FILE_FIELDS, where)
  local kinds = {}
  for _, kind in ipairs { "from", "text", "link", "dir" } do
    if given[kind] ~= nil then
      kinds[#kinds + 1] = kind
    end
  end
  local kind = kinds[1]
  if #kinds ~= 1 then
    problems:usage(where, "expected one of from, text, link and dir, got %s", kind and concat(kinds, " and ") or "none")
  elseif problems:check(given[kind], kind == "dir" and "boolean" or "string", where .. "." .. kind, true) then
    local part = {
      owner = read_owner(given.owner, where .. ".owner", problems) or owner,
      mode = read_mode(given.mode, where .. ".mode", problems),
    }
    local entry = file_kinds[kind](path, given[kind], part, where, problems)
    if entry then
      add(layer, entry, where, problems)
    end
  end
end

local function add_files(layer, given, where, problems)
  problems:check_keys(given, FILES_FIELDS, where)
  if not problems:check(given.files, "table", where .. ".files", true) then
    return
  end
  local owner = read_owner(given.owner, where .. ".owner", problems)
  for _, path in ipairs(sorted_keys(given.files)) do
    local place = type(path) == "string" and ("%s.files[%q]"):format(where, path) or where .. ".files"
    local target = read_target(path, place, problems)
    if target == "" then
      problems:usage(place, "/ itself has no entry")
    elseif target and problems:check(given.files[path], "table", place, true) then
      add_file(layer, target, given.files[path], owner, place, problems)
    end
  end
end

local function add_part(layer, given, where, problems)
  if given.from ~= nil and given.files ~= nil then
    problems:add("usage", where, "it has both from and files", { hint = "make it a list of two parts" })
  elseif given.files ~= nil then
    add_files(layer, given, where, problems)
  elseif given.from ~= nil then
    add_from(layer, given, where, problems)
  else
    problems:check_keys(given, { "from", "to", "owner", "mode", "dir_mode", "include", "exclude", "files", "comment" },
      where)
    problems:add("usage", where, "it has neither from nor files",
      { hint = '{from="site", to="/www"} or {files={["/etc/motd"]={text="hello\\n"}}}' })
  end
end

-- --- parents -----------------------------------------------------------------------------------

-- May `path` stand below `parent`? A folder that nobody named gets an entry of its own, 0755 and
-- root's, unless an earlier layer has it: there it may have another mode.
local function add_parent(layer, path, parent, origin, earlier, problems)
  local here, below = layer.by_path[parent], earlier[parent]
  if here and here.type ~= "dir" then
    problems:usage(origin, "/%s cannot stand below /%s, which is %s", path, parent, TYPE_NAMES[here.type])
  elseif not here and below == "file" then
    problems:usage(origin, "/%s cannot stand below /%s, which is a file of an earlier layer", path, parent)
  elseif not here and not below then
    local entry = made_entry("dir", parent, 493)
    layer.by_path[parent] = entry
    layer.entries[#layer.entries + 1] = entry
  end
end

local function add_parents(layer, earlier, problems)
  local looked_at = {}
  for i = 1, #layer.entries do
    local entry = layer.entries[i]
    local parent = entry.path:match("^(.*)/")
    while parent and not looked_at[parent] do
      looked_at[parent] = true
      add_parent(layer, entry.path, parent, entry.origin, earlier, problems)
      parent = parent:match("^(.*)/")
    end
  end
end

-- --- all layers --------------------------------------------------------------------------------

local function plan_layer(given, where, earlier, problems)
  local layer = { entries = {}, by_path = {}, content_bytes = 0 }
  if not problems:check(given, "table", where, true) then
    return layer
  end
  if #given == 0 then
    layer.comment = given.comment
    add_part(layer, given, where, problems)
  else
    for i, part in ipairs(given) do
      local place = ("%s[%d]"):format(where, i)
      if problems:check(part, "table", place, true) then
        add_part(layer, part, place, problems)
      end
    end
    layer.comment = given.comment
    for key in pairs(given) do
      if math_type(key) ~= "integer" and key ~= "comment" then
        problems:usage(where, "unknown field '%s' beside a list of parts; it takes comment", tostring(key))
      end
    end
  end
  problems:check(layer.comment, "string", where .. ".comment")
  add_parents(layer, earlier, problems)
  for path, entry in pairs(layer.by_path) do
    earlier[path] = entry.type
  end
  layer.by_path = nil
  return layer
end

-- plan(layers, problems) -> {{entries=, content_bytes=, comment=}...}. Lists folders, so it waits.
local function plan(given, problems)
  local layers, earlier = {}, {}
  if not problems:check(given, "table", "layers", true) then
    return layers
  elseif #given == 0 then
    problems:add("usage", "layers", "an image has at least one layer",
      { hint = 'layers = { {from="site", to="/www"} }' })
  end
  for i, layer in ipairs(given) do
    layers[i] = plan_layer(layer, ("layers[%d]"):format(i), earlier, problems)
  end
  return layers
end

return { plan = plan }
