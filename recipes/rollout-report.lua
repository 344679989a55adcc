-- rollout-report.lua: what is rolled out in a Kubernetes namespace: images, replicas, age, and why something is not
-- ready.
--
-- Prints a table of all Deployments, StatefulSets and DaemonSets: on a terminal as wide as it, with the reasons below;
-- elsewhere one whole line for each; with --json the same as data. `out` is a report for people: FILE.html is one page
-- that needs no other file, what failed first, FILE.md a table for a merge request or a wiki.
--
-- Usage:       ctz run [--json] recipes/rollout-report.lua [namespace=NAME | all=true] [out=FILE.html|FILE.md]
-- Parameters:  namespace  default: that of the kubeconfig's context
--              all        all namespaces
--              out        report to write
--              fail       true: exit code 3 when something is not ready
-- Needs:       a kubeconfig, as kubectl does
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "namespace", "string", default = "", help = "default: that of the kubeconfig's context" },
  { "all", "bool", default = false, help = "all namespaces" },
  { "out", "path", optional = true, help = "report to write, FILE.html or FILE.md" },
  { "fail", "bool", default = false, help = "exit code 3 when something is not ready" },
}

if p.out and not (p.out:find "%.html?$" or p.out:find "%.md$") then
  error(ctz.error { kind = "usage", message = ("out=%s: expected FILE.html or FILE.md"):format(p.out) }, 0)
end

local KINDS <const> = { "deployment", "statefulset", "daemonset" }
local SIGNS <const> = { running = "✅", pending = "⏳", failed = "❌" }

local k = ctz.kubernetes.connect { namespace = p.namespace ~= "" and p.namespace or nil }
local place = p.all and "all namespaces" or "namespace " .. k.namespace

-- --- what there is -----------------------------------------------------------------------------

local function age_of(seconds)
  for _, unit in ipairs { { 86400, "d" }, { 3600, "h" }, { 60, "m" } } do
    if seconds >= unit[1] then
      return ("%d%s"):format(seconds // unit[1], unit[2])
    end
  end
  return ("%ds"):format(math.max(0, seconds // 1))
end

local function row_of(object)
  local record = k:status(object)
  return {
    namespace = record.namespace, kind = record.kind, name = record.name, images = record.images,
    ready = record.ready_replicas, replicas = record.replicas, status = record.status, reason = record.reason,
    age_s = ctz.time.now() - record.created_at, created_at = record.created_at,
    last_updated = record.last_updated,
  }
end

local objects = {}
for _, kind in ipairs(KINDS) do
  for object in k:each(kind, { all_namespaces = p.all or nil }) do
    objects[#objects + 1] = object
  end
end
local rows = ctz.map(objects, row_of, { jobs = 8 })
table.sort(rows, function(a, b)
  if a.namespace ~= b.namespace then
    return a.namespace < b.namespace
  end
  return a.kind ~= b.kind and a.kind < b.kind or a.kind == b.kind and a.name < b.name
end)

local counts = { running = 0, pending = 0, failed = 0 }
for _, row in ipairs(rows) do
  counts[row.status] = counts[row.status] + 1
end
local summary = ("%d workloads in %s of %s: %d ready, %d on their way, %d failed"):format(#rows, place, k.context,
  counts.running, counts.pending, counts.failed)

-- --- as a table --------------------------------------------------------------------------------

local function first_line(text)
  return ((text or ""):match "^[^\n]*")
end

local function title_of(row)
  return (p.all and row.namespace .. " " or "") .. row.kind:lower() .. "/" .. row.name
end

-- One line for each, whole, for grep and awk.
local function whole_lines()
  local header = { "WORKLOAD", "READY", "STATUS", "AGE", "IMAGES", "WHY NOT" }
  if p.all then
    table.insert(header, 1, "NAMESPACE")
  end
  local cells = {}
  for i, row in ipairs(rows) do
    cells[i] = {
      row.kind:lower() .. "/" .. row.name, ("%d/%d"):format(row.ready, row.replicas), row.status, age_of(row.age_s),
      table.concat(row.images, ", "), first_line(row.reason),
    }
    if p.all then
      table.insert(cells[i], 1, row.namespace)
    end
  end
  return ctz.ui.table(cells, { header = header })
end

-- For a screen: what is long stands last and is cut, and why something is not ready below.
local function screen_lines(width)
  local cells, reasons = {}, {}
  for i, row in ipairs(rows) do
    cells[i] = {
      row.status, ("%d/%d"):format(row.ready, row.replicas), age_of(row.age_s), title_of(row),
      table.concat(row.images, ", "),
    }
    if row.reason then
      reasons[#reasons + 1] = "\n" .. title_of(row) .. "\n"
      for line in row.reason:gsub("\n  ", "\n"):gmatch "[^\n]+" do
        reasons[#reasons + 1] = "  " .. ctz.ui.clean(line) .. "\n"
      end
    end
  end
  local lines = ctz.ui.table(cells, { header = { "STATUS", "READY", "AGE", "WORKLOAD", "IMAGES" }, width = width })
  return lines .. table.concat(reasons) .. (#reasons > 0 and "\n" or "")
end

local function print_table()
  local screen = ctz.ui.screen()
  if #rows > 0 then
    -- The columns are those of stderr; what takes colours is a terminal too.
    local is_seen = screen.terminal and screen.stdout_color
    io.write(is_seen and screen_lines(screen.columns) or whole_lines())
  end
  print(summary)
end

-- --- as Markdown -------------------------------------------------------------------------------

local function markdown_text(text)
  return (text:gsub("[\\|`*_<>%[%]]", "\\%0"):gsub("\n", "<br>"))
end

local function markdown()
  local lines = {
    "# What is rolled out", "", markdown_text(summary) .. ", " .. ctz.time.format(ctz.time.now() // 1), "",
    "| | namespace | workload | ready | age | images | why not |", "| - | - | - | - | - | - | - |",
  }
  for _, row in ipairs(rows) do
    lines[#lines + 1] = ("| %s | %s | %s/%s | %d/%d | %s | %s | %s |"):format(SIGNS[row.status], row.namespace,
      row.kind:lower(), markdown_text(row.name), row.ready, row.replicas, age_of(row.age_s),
      markdown_text(table.concat(row.images, ", ")), markdown_text(row.reason or ""))
  end
  return table.concat(lines, "\n") .. "\n"
end

-- --- as a page ---------------------------------------------------------------------------------

local ENTITIES <const> = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function html_text(text)
  return (tostring(text):gsub('[&<>"]', ENTITIES))
end

local STYLE <const> = [[
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5c6470; --line: #d8dce3; --page: #fff; --good: #1a7f4b;
  --wait: #96600f; --bad: #c0392b; --empty: #e4e8ee; --why: #f6f7f9 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a0a8b4; --line: #343a44; --page: #14171c;
  --good: #3fb876; --wait: #e0a63a; --bad: #ef6a5a; --empty: #2f353f; --why: #1c2027 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2rem auto;
  max-width: 76rem; padding: 0 1.25rem }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .2rem; overflow-wrap: anywhere }
.when { color: var(--soft); margin: 0 0 1.5rem; overflow-wrap: anywhere }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 1rem; margin-bottom: 2rem;
  max-width: 40rem }
.tile { border: 1px solid var(--line); border-radius: 8px; padding: .6rem 1rem }
.tile b { display: block; font-size: 1.8rem; line-height: 1.2 }
.running { color: var(--good) } .pending { color: var(--wait) } .failed { color: var(--bad) }
.off, .nothing { color: var(--soft) }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
col.name { width: 34% } col.state { width: 17rem } col.age { width: 4rem }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: .85rem; padding: 0 1rem .4rem 0 }
tbody { border-top: 1px solid var(--line) }
td { padding: .55rem 1rem .55rem 0; vertical-align: top; overflow-wrap: anywhere }
td:last-child { padding-right: 0 } td.state { white-space: nowrap } td.age { font-variant-numeric: tabular-nums }
td small { color: var(--soft); font-size: .85rem; white-space: nowrap }
td.images { font: .85rem/1.6 ui-monospace, monospace }
td.why { padding-top: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font: .82rem/1.5 ui-monospace, monospace;
  background: var(--why); border-left: 3px solid; padding: .5rem .8rem; border-radius: 0 4px 4px 0 }
pre span { color: var(--ink) }
.bar { display: inline-block; width: 6rem; height: .55rem; border-radius: .3rem; background: var(--empty);
  overflow: hidden; margin-right: .6rem; vertical-align: middle }
.bar i { display: block; height: 100%; background: currentColor }
@media screen and (max-width: 48rem) { body { margin: 1.25rem auto }
  .tiles { grid-template-columns: 1fr 1fr; gap: .7rem }
  table, tbody, tr, td { display: block } thead, colgroup { display: none }
  tbody { padding: .7rem 0 } td, td:last-child { padding: .15rem 0 } td.why { padding-top: .4rem }
  td.state, td.age { display: inline-block } td.age { color: var(--soft); margin-left: .6rem }
  td.age::before { content: "age " } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --good: #1a7f4b;
  --wait: #96600f; --bad: #c0392b; --empty: #ddd; --why: #f6f7f9; font-size: 11px }
  body { margin: 0; max-width: none; font-size: 11px }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact } tbody { break-inside: avoid } }]]

local URGENT <const> = { failed = 1, pending = 2, running = 3 }

-- What needs somebody first; else as they are.
local function by_urgency()
  local list = {}
  for i, row in ipairs(rows) do
    list[i] = { row = row, at = i }
  end
  table.sort(list, function(a, b)
    local x, y = URGENT[a.row.status], URGENT[b.row.status]
    return x < y or x == y and a.at < b.at
  end)
  return list
end

local function tile(count, status, words)
  return ('<div class="tile %s"><b>%d</b>%s</div>'):format(count > 0 and status or "off", count, words)
end

local function state_of(row)
  local is_off = row.replicas == 0 and row.status == "running"
  local share = row.replicas > 0 and 100 * row.ready / row.replicas or 0
  local words = is_off and (row.kind == "DaemonSet" and "on no node" or "scaled to 0")
    or ("%d of %d, %s"):format(row.ready, row.replicas, row.status)
  return ('<td class="state %s"><span class="bar"><i style="width: %.0f%%"></i></span>%s</td>'):format(
    is_off and "off" or row.status, share, words)
end

-- A long reference breaks where its parts do.
local function images_of(row)
  local text = html_text(table.concat(row.images, "\n"))
  return (text:gsub("[/:@]", "%0<wbr>"):gsub("\n", "<br>"))
end

local function html_row(row)
  local where = p.all and " in " .. html_text(row.namespace) or ""
  local why = row.reason and ([[

<tr><td class="why" colspan="4"><pre class="%s"><span>%s</span></pre></td></tr>]]):format(row.status,
    html_text((row.reason:gsub("\n  ", "\n")))) or ""
  return ([[<tbody><tr><td><strong>%s</strong> <small>%s%s</small></td>
%s
<td class="age">%s</td><td class="images">%s</td></tr>%s</tbody>]]):format(html_text(row.name), row.kind, where,
    state_of(row), age_of(row.age_s), images_of(row), why)
end

local function html_table()
  if #rows == 0 then
    return '<p class="nothing">There are no Deployments, StatefulSets or DaemonSets here.</p>'
  end
  local parts = {
    '<table><colgroup><col class="name"><col class="state"><col class="age"><col></colgroup>',
    '<thead><tr><th scope="col">workload</th><th scope="col">replicas</th><th scope="col">age</th>'
      .. '<th scope="col">images</th></tr></thead>',
  }
  for _, one in ipairs(by_urgency()) do
    parts[#parts + 1] = html_row(one.row)
  end
  parts[#parts + 1] = "</table>"
  return table.concat(parts, "\n")
end

local function html()
  local now = ctz.time.format(ctz.time.now() // 1)
  return table.concat({
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    ("<title>What is rolled out in %s</title>\n<style>\n%s\n</style></head><body>"):format(html_text(place), STYLE),
    ("<h1>What is rolled out in %s</h1>"):format(html_text(place)),
    ('<p class="when">context %s, <time datetime="%s">%s UTC</time></p>'):format(html_text(k.context), now,
      (now:gsub("T", " "):gsub(":%d%dZ$", ""))),
    '<div class="tiles">' .. tile(#rows, "", "workloads") .. tile(counts.running, "running", "ready")
      .. tile(counts.pending, "pending", "on their way") .. tile(counts.failed, "failed", "failed") .. "</div>",
    html_table(), "</body></html>\n",
  }, "\n")
end

-- --- all of it ---------------------------------------------------------------------------------

if p.out then
  ctz.fs.write(p.out, p.out:find "%.md$" and markdown() or html())
end
if not ctz.mode().json then
  print_table()
end
if p.fail and counts.running < #rows then
  if ctz.mode().json then
    print(ctz.json.encode(ctz.json.array(rows)))
    os.exit(3)
  end
  ctz.fail(summary, { code = 3 })
end
return ctz.json.array(rows)
