-- docker-stats.lua: a live table of what the running containers use.
--
-- On a terminal the table is drawn anew every second; elsewhere it is printed once for each sample.
-- It ends with Ctrl-C, after `seconds`, or when none of the containers runs any more.
--
-- Usage:       ctz run recipes/docker-stats.lua [seconds=N] [label=NAME[=VALUE]]
-- Parameters:  seconds  how long; default until Ctrl-C
--              label    only containers with this label
-- Needs:       a Docker Engine
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "seconds", "seconds", default = math.huge, help = "how long" },
  { "label", "string", default = "", help = "only containers with this label" },
}

local docker, ui = ctz.docker, ctz.ui
local live <const> = ui.screen().terminal
local latest = {} -- container name -> its last sample
local drawn = 0 -- lines of the table on the screen

local function size(bytes)
  return bytes and ui.bytes(bytes) or "-"
end

local function row(m)
  return {
    m.container_name,
    m.cpu_usage_percent and ("%.1f %%"):format(m.cpu_usage_percent) or "-",
    size(m.memory_usage_bytes),
    size(m.memory_limit_bytes),
    size(m.network_rx_bytes) .. " / " .. size(m.network_tx_bytes),
    size(m.disk_read_bytes) .. " / " .. size(m.disk_write_bytes),
    m.pids or "-",
    m.health_status == "unknown" and "" or m.health_status,
  }
end

local function text_of_table()
  local names, rows = {}, {}
  for name in pairs(latest) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    rows[i] = row(latest[name])
  end
  local header = { "CONTAINER", "CPU", "MEMORY", "LIMIT", "NETWORK IN / OUT", "DISK READ / WRITTEN", "PIDS", "HEALTH" }
  return ui.table(rows, { header = header, width = live and ui.screen().columns or nil })
end

-- On a terminal over the table before.
local function draw()
  local text = text_of_table():gsub("\n*$", "\n")
  if live then
    io.stderr:write(drawn > 0 and ("\27[%dA\27[J"):format(drawn) or "", text)
    drawn = select(2, text:gsub("\n", ""))
  else
    print(text)
  end
end

local containers = docker.containers.list { filters = p.label ~= "" and { label = p.label } or nil }
if #containers == 0 then
  print "no container runs"
  return
end

local function watch_all()
  for _, container in ipairs(containers) do
    ctz.spawn(function()
      for m in container:stats() do
        latest[m.container_name] = m
      end
      latest[container.name] = nil
    end)
  end
  ctz.spawn(function()
    while true do
      ctz.sleep(1)
      if next(latest) then
        draw()
      end
    end
  end, { background = true })
end

local _, err = ctz.try(ctz.timeout, p.seconds, function()
  ctz.scope(watch_all)
end)
if err and err.kind ~= "timeout" then
  error(err)
end
