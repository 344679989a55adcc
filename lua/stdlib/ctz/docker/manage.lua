-- docker/manage.lua: one call for a build, one for an operation on a container; each returns a record.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local new_error = require("ctz.core.task").error
local nearest = require("ctz.core.host").nearest
local time = require "ctz.time"

local concat = table.concat
local error, ipairs, pairs, pcall, require, tostring, type = error, ipairs, pairs, pcall, require, tostring, type

local OP <const> = "docker.manage"
local LOG_LINES <const> = 100 -- of the operation logs, unless config.tail says otherwise

-- --- operations --------------------------------------------------------------------------------

local OPERATIONS <const> = {
  "create", "inspect", "kill", "logs", "pause", "remove", "restart", "run", "start", "stop", "unpause",
}

local operations = {}

function operations.create(containers, _, config)
  return containers.create(config)
end

function operations.run(containers, _, config)
  local settings = { detach = true }
  for name, value in pairs(config) do
    settings[name] = value
  end
  return containers.run(settings)
end

function operations.inspect(containers, container)
  return containers.get(container)
end

function operations.logs(containers, container, config, record)
  local lines = {}
  for line in containers.logs(container, { tail = config.tail or LOG_LINES }) do
    lines[#lines + 1] = line.text
  end
  record.logs = concat(lines, "\n")
  return containers.get(container)
end

function operations.remove(containers, container, config, record)
  local found = containers.get(container)
  containers.remove(found, config)
  record.status = "removed"
  return found
end

-- The rest is one call with the configuration as its options.
for _, name in ipairs { "kill", "pause", "restart", "start", "stop", "unpause" } do
  operations[name] = function(containers, container, config)
    containers[name](container, config)
    return containers.get(container)
  end
end

local function check_operation(opts)
  if not operations[opts.operation] then
    local near = nearest(opts.operation, OPERATIONS)
    error(new_error {
      kind = "usage",
      op = OP,
      message = ("%q is no operation"):format(opts.operation),
      hint = near and ("did you mean %s?"):format(near) or concat(OPERATIONS, " "),
    }, 0)
  end
  local makes = opts.operation == "create" or opts.operation == "run"
  if makes ~= (opts.container == nil) then
    error(new_error {
      kind = "usage",
      op = OP,
      message = makes and ("the operation %s names its container in config.name"):format(opts.operation)
        or ("the operation %s needs a container"):format(opts.operation),
    }, 0)
  end
end

local function name_of(value)
  return type(value) == "table" and value.name or value
end

-- --- the functions -----------------------------------------------------------------------------

local manage = {}

--- ctz.docker.manage(opts) -> table
--- One operation on a container, as a record: {operation, container_name, container_id, success, status,
--- execution_time (seconds), logs (of the operation logs), error_message}. A failure raises like every
--- other, with the record as err.result; with check=false the record is returned.
--- @async
--- @param opts.operation string  create run start stop restart kill pause unpause remove logs inspect
--- @param opts.container? string|ctz.docker.container  not for create and run, which make one
--- @param opts.config? table  of create and run: as of ctz.docker.config; else the options of the operation
--- @param opts.check? boolean  false: a failure is a record with success=false
--- @error usage there is no such operation
--- @example local _, err = ctz.try(ctz.docker.manage, {operation="stopp", container="web"})
--- @example assert(err.kind == "usage" and err.hint == "did you mean stop?")
function manage.manage(client, opts)
  opts = check(OP, opts, {
    operation = "string!",
    container = "string|table",
    config = "table",
    check = "boolean",
  })
  check_operation(opts)
  local containers = require "ctz.docker.bind"(require "ctz.docker.containers", client)
  local config = opts.config or {}
  local record = { operation = opts.operation, container_name = name_of(opts.container) or config.name }
  local begun = time.monotonic()
  local ok, result = pcall(operations[opts.operation], containers, opts.container, config, record)
  record.success, record.execution_time = ok, time.monotonic() - begun
  if ok then
    record.container_name, record.container_id = result.name, result.id
    record.status = record.status or result.status
    return record
  end
  record.error_message = type(result) == "table" and result.message or tostring(result)
  if opts.check ~= false or type(result) ~= "table" or result.kind == "cancelled" then
    if type(result) == "table" then
      result.result = record
    end
    error(result, 0)
  end
  return record
end

--- ctz.docker.build_containers(opts) -> table
--- Builds an image as ctz.docker.build does and returns its record: {image_name, image_id, build_time
--- (seconds), size_mb (of 1,000,000 bytes), layers, warnings}. What a scan or an optimization would say
--- (security_scan_passed, vulnerabilities_found, optimization_applied) is nil: neither was done.
--- @async
--- @param opts table  of ctz.docker.build
--- @example local _, err = ctz.try(ctz.docker.build_containers, {contxt="."})
--- @example assert(err.kind == "usage")
function manage.build_containers(client, opts)
  return require("ctz.docker.build").build(client, opts)
end

return manage
