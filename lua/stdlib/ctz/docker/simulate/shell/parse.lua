-- docker/simulate/shell/parse.lua: a script of the simulated shell as a tree.
-- SPDX-License-Identifier: MIT
--
-- Lists, pipelines, && || & !, ( ) { }, if, while, until, for, redirections, quotes and expansions. What
-- else a real shell knows (functions, case, here documents, patterns of file names) raises unsupported.
-- A word is a list of parts {kind=, quoted=, ...}; kind: text, variable, arithmetic, command.
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local error, ipairs, tonumber = error, ipairs, tonumber
local find, match, sub = string.find, string.match, string.sub

local parse_list

local function syntax(self, what)
  error({ syntax = ("syntax error: unexpected %s"):format(what or sub(self.text, self.at, self.at + 10)) }, 0)
end

-- --- space and words -----------------------------------------------------------------------------

local function skip_space(self)
  while true do
    local stop = match(self.text, "^[ \t]*()", self.at)
    if sub(self.text, stop, stop + 1) == "\\\n" then
      self.at = stop + 2
    elseif sub(self.text, stop, stop) == "#" then
      self.at = match(self.text, "^[^\n]*()", stop)
    else
      self.at = stop
      return
    end
  end
end

local function skip_lines(self)
  repeat
    skip_space(self)
    local stop = match(self.text, "^\n+()", self.at)
    self.at = stop or self.at
  until not stop
end

-- The text up to what closes; nested pairs and quotes are passed over.
local function balanced(self, open, close)
  local depth, at, text = 1, self.at, self.text
  while depth > 0 do
    local char = sub(text, at, at)
    if char == "" then
      syntax(self, "end of file")
    elseif char == "\\" then
      at = at + 1
    elseif char == "'" or char == '"' then
      at = find(text, char, at + 1, true) or syntax(self, "unterminated quote")
    elseif char == open then
      depth = depth + 1
    elseif char == close then
      depth = depth - 1
    end
    at = at + 1
  end
  local inside = sub(text, self.at, at - 2)
  self.at = at
  return inside
end

local parse_word_text

-- Behind "${".
local function parse_braces(self, quoted)
  local inside = balanced(self, "{", "}")
  local length = match(inside, "^#([%w_]+)$")
  if length then
    return { kind = "variable", name = length, operator = "#", quoted = quoted }
  end
  local name, operator, rest = match(inside, "^([%w_@*#?$!]+)(:?[-+=?]?)(.*)$")
  if not name or operator == "" and rest ~= "" or operator == ":" then
    unsupported("${" .. inside .. "} of the shell")
  end
  return { kind = "variable", name = name, operator = operator, word = parse_word_text(rest), quoted = quoted }
end

-- Behind "$".
local function parse_dollar(self, quoted)
  local text = self.text
  if sub(text, self.at, self.at + 1) == "((" then
    self.at = self.at + 2
    local inside = balanced(self, "(", ")")
    self.at = self.at + 1
    return { kind = "arithmetic", text = inside, quoted = quoted }
  elseif sub(text, self.at, self.at) == "(" then
    self.at = self.at + 1
    return { kind = "command", text = balanced(self, "(", ")"), quoted = quoted }
  elseif sub(text, self.at, self.at) == "{" then
    self.at = self.at + 1
    return parse_braces(self, quoted)
  end
  local name = match(text, "^[%a_][%w_]*", self.at) or match(text, "^[%d@*#?$!]", self.at)
  if not name then
    return { kind = "text", text = "$", quoted = quoted }
  end
  self.at = self.at + #name
  return { kind = "variable", name = name, operator = "", quoted = quoted }
end

local function parse_backquotes(self, quoted)
  local stop = find(self.text, "`", self.at, true) or syntax(self, "unterminated quote")
  local inside = sub(self.text, self.at, stop - 1)
  self.at = stop + 1
  return { kind = "command", text = inside, quoted = quoted }
end

local function parse_double(self, parts)
  parts[#parts + 1] = { kind = "text", text = "", quoted = true }
  while true do
    local plain = match(self.text, '^[^"\\$`]+', self.at)
    if plain then
      parts[#parts + 1] = { kind = "text", text = plain, quoted = true }
      self.at = self.at + #plain
    end
    local char = sub(self.text, self.at, self.at)
    self.at = self.at + 1
    if char == '"' then
      return
    elseif char == "\\" then
      local escaped = sub(self.text, self.at, self.at)
      self.at = self.at + 1
      local keeps = not find(escaped, '[$`"\\\n]')
      local shown = escaped == "\n" and "" or keeps and "\\" .. escaped or escaped
      parts[#parts + 1] = { kind = "text", text = shown, quoted = true }
    elseif char == "$" then
      parts[#parts + 1] = parse_dollar(self, true)
    elseif char == "`" then
      parts[#parts + 1] = parse_backquotes(self, true)
    else
      syntax(self, "end of file")
    end
  end
end

-- The parts of a word, nil when there is none here. `stops`: the class of characters that end it.
local function parse_parts(self, stops)
  local parts = {}
  while true do
    local char = sub(self.text, self.at, self.at)
    if char == "" or find(char, stops) then
      return #parts > 0 and parts or nil
    end
    self.at = self.at + 1
    if char == "'" then
      local stop = find(self.text, "'", self.at, true) or syntax(self, "unterminated quote")
      parts[#parts + 1] = { kind = "text", text = sub(self.text, self.at, stop - 1), quoted = true }
      self.at = stop + 1
    elseif char == '"' then
      parse_double(self, parts)
    elseif char == "\\" then
      local escaped = sub(self.text, self.at, self.at)
      self.at = self.at + 1
      if escaped ~= "\n" then
        parts[#parts + 1] = { kind = "text", text = escaped, quoted = true }
      end
    elseif char == "$" then
      parts[#parts + 1] = parse_dollar(self, false)
    elseif char == "`" then
      parts[#parts + 1] = parse_backquotes(self, false)
    else
      local more = match(self.text, "^[%w_./:=,%%@+-]*", self.at)
      self.at = self.at + #more
      parts[#parts + 1] = { kind = "text", text = char .. more, quoted = false }
    end
  end
end

-- A text as the parts of one word: what stands in ${name:-text}.
function parse_word_text(text)
  return parse_parts({ text = text, at = 1 }, "[^%z\1-\255]") or {}
end

local function parse_word(self)
  skip_space(self)
  return parse_parts(self, "[ \t\n;&|<>()]")
end

-- The text of a word that is a plain one: what keywords are.
local function plain(word)
  return word and #word == 1 and word[1].kind == "text" and not word[1].quoted and word[1].text or nil
end

-- --- commands ----------------------------------------------------------------------------------

-- Is the next word this keyword? Then it is passed over.
local function accept(self, keyword)
  skip_lines(self)
  local stop = match(self.text, "^" .. keyword:gsub("%p", "%%%0") .. "()", self.at)
  if stop and (find(keyword, "%p") or not find(self.text, "^[%w_]", stop)) then
    self.at = stop
    return true
  end
  return false
end

local function expect(self, keyword)
  return accept(self, keyword) or syntax(self)
end

-- {number=, operator=, word= | to=}
local function parse_redirection(self)
  skip_space(self)
  local number, operator, stop = match(self.text, "^(%d*)([<>]+&?)()", self.at)
  if not number or number ~= "" and not operator then
    return nil
  elseif not find(operator, "^[<>]&?$") and operator ~= ">>" then
    unsupported("the redirection " .. operator .. " of the shell")
  end
  self.at = stop
  local word = parse_word(self) or syntax(self)
  local to = sub(operator, -1) == "&" and plain(word) or nil
  return {
    number = tonumber(number) or sub(operator, 1, 1) == "<" and 0 or 1,
    operator = operator,
    word = word,
    to = to and (tonumber(to) or to),
  }
end

local function parse_redirections(self, command)
  local redirection = parse_redirection(self)
  while redirection do
    command.redirections[#command.redirections + 1] = redirection
    redirection = parse_redirection(self)
  end
  return command
end

local compound = {}

compound["if"] = function(self)
  local branches, otherwise = {}, nil
  repeat
    local condition = parse_list(self)
    expect(self, "then")
    branches[#branches + 1] = { condition = condition, body = parse_list(self) }
  until not accept(self, "elif")
  if accept(self, "else") then
    otherwise = parse_list(self)
  end
  expect(self, "fi")
  return { kind = "if", branches = branches, otherwise = otherwise }
end

local function parse_loop(self, until_true)
  local condition = parse_list(self)
  expect(self, "do")
  local body = parse_list(self)
  expect(self, "done")
  return { kind = "while", condition = condition, body = body, until_true = until_true }
end

compound["while"] = function(self)
  return parse_loop(self, false)
end

compound["until"] = function(self)
  return parse_loop(self, true)
end

compound["for"] = function(self)
  local name = plain(parse_word(self)) or syntax(self)
  local words
  if accept(self, "in") then
    words = {}
    local word = parse_word(self)
    while word do
      words[#words + 1] = word
      word = parse_word(self)
    end
  end
  skip_space(self)
  self.at = match(self.text, "^;()", self.at) or self.at
  expect(self, "do")
  local body = parse_list(self)
  expect(self, "done")
  return { kind = "for", name = name, words = words, body = body }
end

local KEYWORDS <const> = { "if", "while", "until", "for" }
local CLOSING <const> = { "then", "elif", "else", "fi", "do", "done", "}" }

local function is_closing(self)
  local at = self.at
  for _, keyword in ipairs(CLOSING) do
    if accept(self, keyword) then
      self.at = at
      return true
    end
  end
  self.at = at
  return false
end

local function parse_simple(self)
  local command = { kind = "simple", assignments = {}, words = {}, redirections = {} }
  while true do
    parse_redirections(self, command)
    local word = parse_word(self)
    if not word then
      break
    end
    local first = word[1]
    local name, rest = match(first.kind == "text" and not first.quoted and first.text or "", "^([%a_][%w_]*)=(.*)$")
    if name and #command.words == 0 then
      first.text = rest
      command.assignments[#command.assignments + 1] = { name = name, word = word }
    else
      command.words[#command.words + 1] = word
    end
  end
  if #command.words == 0 and #command.assignments == 0 and #command.redirections == 0 then
    syntax(self)
  end
  local name = plain(command.words[1])
  if name == "case" or sub(self.text, self.at, self.at) == "(" then
    unsupported(name == "case" and "case of the shell" or "functions of the shell")
  end
  return command
end

local function parse_command(self)
  local command
  skip_space(self)
  for _, keyword in ipairs(KEYWORDS) do
    if not command and accept(self, keyword) then
      command = compound[keyword](self)
    end
  end
  if not command and accept(self, "(") then
    command = { kind = "subshell", body = parse_list(self) }
    expect(self, ")")
  elseif not command and find(self.text, "^{%s", self.at) then
    self.at = self.at + 1
    command = { kind = "group", body = parse_list(self) }
    expect(self, "}")
  end
  if not command then
    return parse_simple(self)
  end
  command.redirections = {}
  return parse_redirections(self, command)
end

local function parse_pipeline(self)
  local commands, inverted = {}, false
  skip_space(self)
  local stop = match(self.text, "^![ \t]+()", self.at)
  if stop then
    inverted, self.at = true, stop
  end
  repeat
    commands[#commands + 1] = parse_command(self)
    skip_space(self)
    local bar = match(self.text, "^|()", self.at)
    local more = bar and sub(self.text, bar, bar) ~= "|"
    self.at = more and bar or self.at
    if more then
      skip_lines(self)
    end
  until not more
  return { commands = commands, inverted = inverted }
end

-- {first pipeline, {operator="&&"|"||", pipeline=}...}
local function parse_and_or(self)
  local chain = { parse_pipeline(self) }
  while true do
    skip_space(self)
    local operator, stop = match(self.text, "^([&|][&|])()", self.at)
    if not operator then
      return chain
    end
    self.at = stop
    skip_lines(self)
    chain[#chain + 1] = { operator = operator, pipeline = parse_pipeline(self) }
  end
end

-- A list of {chain=, background=}, up to what cannot begin a command.
function parse_list(self)
  local list = {}
  skip_lines(self)
  while self.at <= #self.text and sub(self.text, self.at, self.at) ~= ")" and not is_closing(self) do
    local item = { chain = parse_and_or(self) }
    list[#list + 1] = item
    skip_space(self)
    local stop, char = match(self.text, "^()([;&\n])", self.at)
    if not stop then
      break
    end
    item.background = char == "&"
    self.at = stop + 1
    skip_lines(self)
  end
  return list
end

-- parse(script) -> list; raises {syntax = words}, or unsupported.
local function parse(script)
  local self = { text = script, at = 1 }
  local list = parse_list(self)
  if self.at <= #script then
    syntax(self)
  end
  return list
end

return parse
