-- registry/pages.lua: lists that a registry gives page by page.
-- SPDX-License-Identifier: MIT
local challenges = require "ctz.registry.challenge"
local failure = require "ctz.registry.failure"
local json = require "ctz.json"
local urls = require "ctz.registry.url"

local error, ipairs, pcall, type = error, ipairs, pcall, type

local PAGE <const> = 1000
local PAGES <const> = 10000

-- The names in an answer; a registry without any may say null.
local function names_of(answer, field, context)
  local ok, value = pcall(json.decode, answer.body)
  local list = ok and type(value) == "table" and value[field]
  if list == json.null then
    return {}
  elseif type(list) ~= "table" then
    error(failure.make("protocol", context, ("the answer has no list %q"):format(field),
      { hint = "is there a registry at that address?" }), 0)
  end
  for i, name in ipairs(list) do
    if type(name) ~= "string" then
      error(failure.make("protocol", context, ("entry %d of the list %q is a %s"):format(i, field, type(name))), 0)
    end
  end
  return list
end

-- Where the next page is: as the Link header says, else behind the last name when the page was full;
-- nil at the end.
local function next_of(self, state, answer, names)
  local link = challenges.next_link(answer.headers.link)
  if link then
    local url = self:follow(answer, link, state.context, "the next page", true)
    local text = urls.text_of(url)
    if state.visited[text] then
      error(failure.make("protocol", state.context, "the pages run in a circle"), 0)
    end
    state.visited[text], state.by_link = true, true
    return url
  elseif state.by_link or #names < state.page then
    return nil
  end
  return { scheme = answer.at.scheme, host = answer.at.host, port = answer.at.port,
    target = urls.add_query(state.path, { n = state.page, last = names[#names] }) }
end

-- Reads a page; keeps the names of it that were not there before. A registry that does not know "last"
-- gives the first page again and again.
local function read_page(self, state)
  local context = state.context
  state.count = state.count + 1
  if state.count > PAGES then
    error(failure.make("size", context, ("more than %d pages"):format(PAGES)), 0)
  end
  context.url, context.compressed = state.next, true
  local answer = self:request("GET", state.first, context)
  local names, fresh = names_of(answer, state.field, context), {}
  for _, name in ipairs(names) do
    if not state.seen[name] then
      state.seen[name] = true
      fresh[#fresh + 1] = name
    end
  end
  local stale = #fresh == 0 and #names > 0 and not state.by_link
  state.next = not stale and next_of(self, state, answer, names) or nil
  state.names, state.at = fresh, 0
end

-- each(client, path, field, context, {page =, last =, match =}) -> iterator over the names
local function each(self, path, field, context, opts)
  local page = opts.page or self.quirks.page or PAGE
  local state = {
    context = context, field = field, page = page, path = path, seen = {}, visited = {}, count = 0, names = {}, at = 0,
    first = urls.add_query(path, { n = page, last = opts.last }),
  }
  return function()
    while true do
      state.at = state.at + 1
      local name = state.names[state.at]
      if name and (not opts.match or name:find(opts.match)) then
        return name
      elseif not name then
        if state.count > 0 and not state.next then
          return nil
        end
        read_page(self, state)
      end
    end
  end
end

return { each = each }
