-- cmd/doc.lua: ctz doc [NAME].
-- SPDX-License-Identifier: MIT
local doctext = require "ctz.cmd.doctext"

local function as_json(value)
  return require("ctz.json").encode(value)
end

local function show_list(options)
  local names = doctext.names()
  print(options.json and as_json(names) or table.concat(names, "\n"))
  return 0
end

local function show_overview(options)
  print(options.json and as_json(require "ctz.docdata") or doctext.overview())
  return 0
end

local function show_page(page, options)
  if options.json then
    print(as_json { name = page.name, text = page.text, entries = doctext.entries_of(page) })
  else
    print(doctext.page_text(page))
  end
  return 0
end

local function say_unknown(name)
  local near = doctext.nearest(name)
  io.stderr:write(
    ("ctz doc: nothing is called \"%s\"%s\n"):format(name, near and ("; did you mean %s?"):format(near) or "")
  )
  return 1
end

local function run(options, words)
  local name = words[1]
  if options.list then
    return show_list(options)
  elseif not name then
    return show_overview(options)
  end
  local page = doctext.page(name)
  if page then
    return show_page(page, options)
  end
  local entries, is_meant = doctext.find(name)
  local kind = not is_meant and doctext.kind(name)
  if kind then
    print(options.json and as_json(kind) or doctext.kind_text(kind))
    return 0
  end
  if #entries == 0 then
    return say_unknown(name)
  elseif options.json then
    print(as_json(entries))
  elseif #entries == 1 then
    print(doctext.text(entries[1]))
  else
    print(doctext.summary(entries))
  end
  return 0
end

return { run = run }
