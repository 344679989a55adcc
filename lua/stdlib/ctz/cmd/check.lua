-- cmd/check.lua: ctz check RECIPE...: mistakes that show without running a recipe.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local declared = require "ctz.cmd.declared"
local doctext = require "ctz.cmd.doctext"
local host = require "ctz.core.host"

-- The package puts luacheck, which is pure Lua, where Lua 5.1 looks.
local LUACHECK_PATHS <const> = ";/usr/share/lua/5.1/?.lua;/usr/share/lua/5.1/?/init.lua"
local UNAVAILABLE <const> = 69
local DOES_NOT_LOAD <const> = 4

local show = print -- before the doors are closed

-- --- luacheck --------------------------------------------------------------------------------------

local function load_luacheck()
  local path = package.path
  package.path = path .. LUACHECK_PATHS
  local found, luacheck = pcall(require, "luacheck")
  if not found then
    package.path = path
    if not tostring(luacheck):find("not found", 1, true) then
      error(luacheck, 0)
    end
    return nil
  end
  local parts = { check = luacheck, state = require "luacheck.check_state", stages = require "luacheck.stages" }
  package.path = path
  return parts
end

local function add(findings, line, column, kind, text, ...)
  findings[#findings + 1] = { line = line, column = column, kind = kind, message = text:format(...) }
end

local function suggestion(wrong, names)
  local near = host.nearest(wrong, names)
  return near and ('; did you mean "%s"?'):format(near) or ""
end

local function global_names()
  local names = {}
  for name in pairs(_G) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function find_globals(luacheck, text, findings)
  local options = { std = "lua54", allow_defined = true, only = { "113", "143" }, max_line_length = false }
  local report = luacheck.check.check_strings({ text }, options)[1]
  for _, event in ipairs(report) do
    if event.name == "ctz" then
      add(findings, event.line, event.column, "global", 'undeclared global ctz: begin with local ctz = require "ctz"')
    elseif event.code == "113" then
      local near = suggestion(event.name, global_names())
      add(findings, event.line, event.column, "global", "undeclared global %s%s", event.name, near)
    else
      local field = event.field or "?"
      add(findings, event.line, event.column, "global", "%s has no field %s", event.name, field)
    end
  end
end

-- --- names of ctz ----------------------------------------------------------------------------------

-- The children of a documented table: "ctz.fs" -> {"copy", "read", ...}; nil when it is no table.
local function children_of(path)
  local children, seen = {}, {}
  for _, name in ipairs(doctext.names()) do
    local child = name:sub(1, #path + 1) == path .. "." and name:sub(#path + 2):match "^[%w_]+"
    if child and not seen[child] then
      seen[child] = true
      children[#children + 1] = child
    end
  end
  return #children > 0 and children or nil
end

local function includes(list, value)
  for _, item in ipairs(list) do
    if item == value then
      return true
    end
  end
  return false
end

-- A name in capitals stands for any: ctz.env.NAME.
local function is_listed(name, names)
  for _, other in ipairs(names) do
    if other == name or not other:find "%l" then
      return true
    end
  end
  return false
end

local function value_at(path, field)
  local value = require "ctz"
  for part in path:sub(5):gmatch "[%w_]+" do
    value = value[part]
  end
  return value[field]
end

-- What is not documented may still be there.
local function is_real(path, field)
  local ok, value = pcall(value_at, path, field)
  return ok and value ~= nil
end

local function check_field(findings, node, path, position)
  local field = node[2][1]
  local children = children_of(path)
  if children and not is_listed(field, children) and not is_real(path, field) then
    add(findings, position.line, position.column, "field", "%s has no field %s%s", path, field,
      suggestion(field, children))
  end
end

local function is_found(name)
  return package.loaded[name]
    or package.preload[name]
    or package.searchpath(name, package.path)
    or package.searchpath(name, package.cpath)
end

local function check_module(findings, name, position)
  if name == "ctz" or name:sub(1, 4) == "ctz." then
    if not doctext.page(name) and not pcall(require, name) then
      local names = children_of "ctz"
      add(findings, position.line, position.column, "module", "ctz has no module %s%s", name,
        suggestion(name:sub(5), names))
    end
  elseif not is_found(name) then
    add(findings, position.line, position.column, "module", "module %s is not found", name)
  end
end

-- --- walking the syntax tree -----------------------------------------------------------------------

local function required_name(node)
  local is_call = node.tag == "Call" and node[1].tag == "Id" and node[1][1] == "require" and not node[1].var
  return is_call and node[2] and node[2].tag == "String" and node[2][1] or nil
end

local function each_node(node, visit)
  visit(node)
  for _, child in ipairs(node) do
    if type(child) == "table" then
      each_node(child, visit)
    end
  end
end

-- Local variable -> the expression it was declared with, unless it is assigned to later.
local function constants_of(tree)
  local values, assigned = {}, {}
  each_node(tree, function(node)
    if node.tag == "Local" and node[2] then
      for i, id in ipairs(node[1]) do
        if id.var and node[2][i] then
          values[id.var] = node[2][i]
        end
      end
    elseif node.tag == "Set" then
      for _, target in ipairs(node[1]) do
        if target.tag == "Id" and target.var then
          assigned[target.var] = true
        end
      end
    end
  end)
  for var in pairs(assigned) do
    values[var] = nil
  end
  return values
end

-- "ctz.fs.read" for an expression that is surely that, or nil.
local function path_of(node, constants, depth)
  if depth == 0 then
    return nil
  elseif node.tag == "Id" then
    local value = node.var and constants[node.var]
    return value and path_of(value, constants, depth - 1)
  elseif node.tag == "Index" and node[2].tag == "String" then
    local outer = path_of(node[1], constants, depth - 1)
    return outer and outer .. "." .. node[2][1]
  end
  local name = required_name(node)
  return name and (name == "ctz" or name:sub(1, 4) == "ctz.") and name or nil
end

-- Returns whether the recipe names ctz.params.
local function find_names(luacheck, text, findings)
  local names_params = false
  local state = luacheck.state.new(text)
  luacheck.stages.run(state)
  local constants = constants_of(state.ast)
  each_node(state.ast, function(node)
    local position = node.line and { line = node.line, column = state:offset_to_column(node.line, node.offset) }
    local module = required_name(node)
    if module then
      names_params = names_params or module == "ctz.params"
      check_module(findings, module, position)
    elseif node.tag == "Index" and node[2].tag == "String" then
      local path = path_of(node[1], constants, 32)
      if path then
        local key = node[2]
        position = { line = key.line, column = state:offset_to_column(key.line, key.offset) }
        names_params = names_params or path == "ctz" and key[1] == "params"
        check_field(findings, node, path, position)
      end
    end
  end)
  return names_params
end

-- --- one recipe ------------------------------------------------------------------------------------

local function line_of(at)
  return tonumber(tostring(at):match ":(%d+)$") or 0
end

-- Line and message of an error value of any kind.
local function place_of(err)
  if type(err) == "table" and err.message then
    return line_of(err.at), err.message
  end
  local line, message = tostring(err):match "^[^\n]-:(%d+): (.*)$"
  return tonumber(line) or 0, message or tostring(err)
end

local function find_declared(recipe, findings)
  local found = declared.of(recipe)
  for _, early in ipairs(found.params and found.early or {}) do
    add(findings, line_of(early.at), 1, "early", "%s works before ctz.params: move it below", early.what)
  end
  local err = found.failure
  if err then
    local line, message = place_of(err)
    local is_declaration = type(err) == "table" and err.op == "params"
    add(findings, line, 1, "params", "%s%s", is_declaration and "" or "fails before ctz.params: ", message)
  elseif found.stopped then
    local early = found.stopped
    add(findings, line_of(early.at), 1, "early", "%s works before ctz.params: move it below", early.what)
  end
  return found
end

local function read_text(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a"):gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
  file:close()
  return text
end

local function load_all(paths)
  local recipes = {}
  for i, path in ipairs(paths) do
    local ok, recipe = pcall(cli.load, path)
    recipes[i] = { path = path, recipe = ok and recipe, findings = {}, package_path = package.path }
    if ok then
      recipes[i].text = read_text(path)
    else
      recipes[i].failure = recipe
      local prefix = path .. " does not load: "
      local message = recipe.message or tostring(recipe)
      message = message:sub(1, #prefix) == prefix and message:sub(#prefix + 1) or message
      add(recipes[i].findings, line_of(recipe.at), 1, "load", "%s", message)
    end
  end
  return recipes
end

local function check_one(luacheck, one)
  package.path = one.package_path
  find_globals(luacheck, one.text, one.findings)
  one.names_params = find_names(luacheck, one.text, one.findings)
end

local function declare_one(one)
  package.path = one.package_path
  local before = {}
  for name in pairs(package.loaded) do
    before[name] = true
  end
  one.declared = find_declared(one.recipe, one.findings)
  for name in pairs(package.loaded) do
    if not before[name] and name:sub(1, 3) ~= "ctz" then
      package.loaded[name] = nil -- the next recipe may have a module of that name
    end
  end
end

-- --- showing ---------------------------------------------------------------------------------------

local function sort_findings(one)
  table.sort(one.findings, function(a, b)
    return a.line < b.line or a.line == b.line and a.column < b.column
  end)
end

local function show_one(one)
  for _, finding in ipairs(one.findings) do
    local place = finding.line > 0 and (":%d:%d"):format(finding.line, finding.column) or ""
    show(("%s%s: %s"):format(one.path, place, finding.message))
  end
  if one.failure and one.failure.hint then
    show("  hint: " .. one.failure.hint)
  end
  local params = one.declared and one.declared.params
  if params and #params > 0 then
    show(("%s: parameters:\n%s"):format(one.path, table.concat(declared.lines(params), "\n")))
  elseif #one.findings == 0 then
    show(one.path .. ": ok")
  end
end

local function show_json(recipes)
  local json = require "ctz.json"
  local out = {}
  for i, one in ipairs(recipes) do
    out[i] = {
      recipe = one.path,
      ok = #one.findings == 0,
      findings = json.array(one.findings),
      params = one.declared and one.declared.params and json.array(one.declared.params),
    }
  end
  show(json.encode(json.array(out)))
end

local function run(options, words, rest)
  table.move(rest, 1, #rest, #words + 1, words)
  if includes(words, "-") then
    io.stderr:write("ctz check: stdin is not checked; name a file\n")
    return 2
  end
  local luacheck = load_luacheck()
  if not luacheck then
    io.stderr:write("ctz check: luacheck is not installed; install the package lua-check\n")
    return UNAVAILABLE
  end
  local recipes, code = load_all(words), 0
  for _, one in ipairs(recipes) do
    if one.recipe then
      check_one(luacheck, one)
    end
  end
  declared.close()
  for _, one in ipairs(recipes) do
    if one.names_params then
      declare_one(one)
    end
    sort_findings(one)
    code = one.failure and DOES_NOT_LOAD or math.max(code, #one.findings > 0 and 1 or 0)
    if not options.json then
      show_one(one)
    end
  end
  if options.json then
    show_json(recipes)
  end
  return code
end

return { run = run }
