-- kubernetes/listing.lua: an answer that is a list, item by item: what nobody asked for yet stays text. Of a
-- page of five hundred objects, which as tables are four times as large as their text, one is held.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"

local match = string.match
local getmetatable, pairs, pcall, setmetatable, type = getmetatable, pairs, pcall, setmetatable, type

local Listing = { __name = "ctz.kubernetes.listing" }
Listing.__index = Listing

local function refuse_at(self, expected)
  self.refuse(("%s is expected at byte %d"):format(expected, self.at))
end

-- The value that begins here.
local function take(self)
  local reading = self.reading
  reading.from = self.at
  local ok, value, behind = pcall(json.decode, self.text, reading)
  if not ok then
    self.refuse(value.message)
  end
  self.at = behind
  return value
end

-- One of the marks, and the blanks around it; what stands there.
local function pass(self, marks, expected)
  local mark, behind = match(self.text, "^%s*(" .. marks .. ")%s*()", self.at)
  if not mark then
    refuse_at(self, expected)
  end
  self.at = behind
  return mark
end

local function finish(self)
  if self.at <= #self.text then
    refuse_at(self, "the end")
  end
  self.text = nil
end

-- The list's own fields, up to its first item or its end.
local function read_fields(self)
  repeat
    local key = take(self)
    pass(self, ":", "':'")
    if type(key) ~= "string" or self.seen[key] then
      refuse_at(self, "another field")
    end
    self.seen[key] = true
    if key == "items" and match(self.text, "^%[", self.at) then
      pass(self, "%[", "'['")
      if not match(self.text, "^%]", self.at) then
        self.has_items = true
        return
      end
      pass(self, "%]", "']'")
    elseif key ~= "items" then
      self.head[key] = take(self)
    elseif take(self) ~= json.null then -- as Go writes a list that is nil
      self.refuse "its items are no list"
    end
  until pass(self, "[,}]", "',' or '}'") == "}"
  finish(self)
end

-- The next object; nil at the end. Behind the last one the head is complete.
function Listing:next()
  if not self.has_items then
    return nil
  end
  local item = take(self)
  if type(item) ~= "table" or type(item.metadata) ~= "table" then
    self.refuse "an item of the list is no object"
  end
  if pass(self, "[,%]]", "',' or ']'") == "]" then
    self.has_items = false
    if pass(self, "[,}]", "',' or '}'") == "}" then
      finish(self)
    else
      read_fields(self)
    end
  end
  return item
end

-- open(text, refuse) -> listing: {head = the list's own fields}, listing:next(). refuse(reason) raises: the text is no
-- list.
local function open(text, refuse)
  local self = setmetatable({
    text = text, at = 1, head = {}, seen = {}, has_items = false, reading = { big = "float" }, refuse = refuse,
  }, Listing)
  pass(self, "{", "'{'")
  if match(text, "^}", self.at) then
    pass(self, "}", "'}'")
    finish(self)
  else
    read_fields(self)
  end
  return self
end

-- A list that is there as a table, as a simulated cluster answers.
local function of_table(list)
  local at, head, items = 0, {}, type(list.items) == "table" and list.items or {}
  for name, value in pairs(list) do
    head[name] = name ~= "items" and value or nil
  end
  return {
    head = head,
    next = function()
      at = at + 1
      return items[at]
    end,
  }
end

-- of(answer) -> listing, of what client:call with opts.items returned.
local function of(answer)
  return getmetatable(answer) == Listing and answer or of_table(answer)
end

return { open = open, of = of }
