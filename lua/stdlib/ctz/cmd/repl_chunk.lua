-- cmd/repl_chunk.lua: what is typed at the prompt of ctz repl becomes a chunk.
-- SPDX-License-Identifier: MIT
local load_door = require "ctz.core.load"

local text_of = load_door.text

-- --- locals ----------------------------------------------------------------------------------------
-- A local of one input would be gone in the next, so those outside of every block become variables of
-- the session: the word `local` is blanked, and nothing moves to another line or column.

local keywords = {}
for word in
  ([[and break do else elseif end false for function goto if in local nil not or repeat return then
  true until while]]):gmatch "%S+"
do
  keywords[word] = true
end

-- How a word changes the depth of blocks. A `then` belongs to its if; a while and a for have a do.
local DEPTH <const> = { ["function"] = 1, ["do"] = 1, ["if"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1 }

local function end_of_long(source, at)
  local level = source:match("^%[(=*)%[", at)
  if not level then
    return nil
  end
  local _, last = source:find("]" .. level .. "]", at, true)
  return last or #source
end

local function end_of_string(source, at)
  local quote = source:sub(at, at)
  local i = at + 1
  while i <= #source do
    local c = source:sub(i, i)
    if c == quote then
      return i
    end
    i = i + (c == "\\" and 2 or 1)
  end
  return #source
end

local function end_of_comment(source, at)
  return end_of_long(source, at + 2) or (source:find("\n", at, true) or #source + 1) - 1
end

-- The tokens of a source, as far as blocks are concerned: {text=, first=, last=}, without comments.
local function tokens_of(source)
  local tokens, at = {}, 1
  while at <= #source do
    local c = source:sub(at, at)
    local last
    if source:find("^%-%-", at) then
      at = end_of_comment(source, at) + 1
    elseif c:find "%s" then
      at = source:find("%S", at) or #source + 1
    else
      if c == '"' or c == "'" then
        last = end_of_string(source, at)
      elseif c == "[" then
        last = end_of_long(source, at) or at
      elseif c:find "%d" then -- also 0x1p4, 1e5, 3..2
        last = select(2, source:find("^%d[%w.]*", at))
      elseif c:find "[%a_]" then
        last = select(2, source:find("^[%w_]+", at))
      end
      last = last or at
      tokens[#tokens + 1] = { text = source:sub(at, last), first = at, last = last }
      at = last + 1
    end
  end
  return tokens
end

local function is_name(token)
  return token and token.text:find "^[%a_]" and not keywords[token.text]
end

local function blank(edits, token)
  edits[#edits + 1] = { first = token.first, last = token.last, text = (" "):rep(token.last - token.first + 1) }
end

-- Edits for the names from tokens[i] on: `a <const>, b`; nil when they have to stay local.
local function edits_of_names(tokens, i, edits)
  while true do
    if not is_name(tokens[i]) or tokens[i].text == "_ENV" then
      return nil
    end
    local last = tokens[i].last
    i = i + 1
    if tokens[i] and tokens[i].text == "<" then
      if not tokens[i + 2] or tokens[i + 1].text == "close" then
        return nil
      end
      for k = i, i + 2 do
        blank(edits, tokens[k])
      end
      i = i + 3
    end
    if not tokens[i] or tokens[i].text ~= "," then
      if not tokens[i] or tokens[i].text ~= "=" then
        edits[#edits + 1] = { first = last + 1, last = last, text = " = nil" }
      end
      return edits
    end
    i = i + 1
  end
end

-- Edits that make the declaration at tokens[i] one of the session; nil when it stays local.
local function edits_of_local(tokens, i)
  local edits = {}
  blank(edits, tokens[i])
  if tokens[i + 1] and tokens[i + 1].text == "function" then
    return is_name(tokens[i + 2]) and edits or nil
  end
  return edits_of_names(tokens, i + 1, edits)
end

local function apply(source, edits)
  table.sort(edits, function(a, b)
    return a.first < b.first
  end)
  local parts, at = {}, 1
  for _, edit in ipairs(edits) do
    parts[#parts + 1] = source:sub(at, edit.first - 1)
    parts[#parts + 1] = edit.text
    at = edit.last + 1
  end
  parts[#parts + 1] = source:sub(at)
  return table.concat(parts)
end

local function promote(source)
  local tokens, all, depth = tokens_of(source), {}, 0
  for i, token in ipairs(tokens) do
    local before = tokens[i - 1] and tokens[i - 1].text
    local is_field = (before == "." or before == ":") and not keywords[token.text]
    if token.text == "local" and depth == 0 then
      table.move(edits_of_local(tokens, i) or {}, 1, 1000, #all + 1, all)
    elseif not is_field then
      depth = depth + (DEPTH[token.text] or 0)
    end
  end
  return apply(source, all)
end

-- --- compiling -------------------------------------------------------------------------------------

local function is_unfinished(message)
  return message:sub(-5) == "<eof>"
end

-- compile(source, env): the chunk, which returns the value of an expression; or nil and the message;
-- or nil, the message and true when more lines are needed.
local function compile(source, env)
  local chunk, expected_value = text_of("return " .. source, "=repl", env)
  if chunk then
    return chunk
  end
  local message
  chunk, message = text_of(source, "=repl", env)
  if chunk then
    return text_of(promote(source), "=repl", env) or chunk
  end
  return nil, message, is_unfinished(message) or is_unfinished(expected_value)
end

return { compile = compile, promote = promote, keywords = keywords }
