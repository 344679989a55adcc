-- kubernetes/names.lua: what the API takes as a name, a label and a value of a label.
-- SPDX-License-Identifier: MIT
--
-- Each check gives nil when it is right, else what is wrong with it.
-- Source: k8s.io/apimachinery, pkg/util/validation/validation.go.
local find, gmatch, match = string.find, string.gmatch, string.match

local LABEL <const>, SUBDOMAIN <const>, VALUE <const>, PORT <const> = 63, 253, 63, 15

local function is_dns_label(text)
  return #text <= LABEL and find(text, "^[a-z0-9][-a-z0-9]*$") and not find(text, "%-$")
end

-- RFC 1123 label: the name of a Service, a Namespace, a container.
local function label(text)
  if #text > LABEL then
    return ("longer than %d characters"):format(LABEL)
  elseif not is_dns_label(text) then
    return "a name has lower case letters, digits and '-', and begins and ends with a letter or digit"
  end
  return nil
end

-- RFC 1123 subdomain: the name of nearly everything else.
local function subdomain(text)
  if #text > SUBDOMAIN then
    return ("longer than %d characters"):format(SUBDOMAIN)
  end
  for part in gmatch(text .. ".", "([^.]*)%.") do
    if not (find(part, "^[a-z0-9][-a-z0-9]*$") and not find(part, "%-$")) then
      return "a name has lower case letters, digits, '-' and '.', and begins and ends with a letter or digit"
    end
  end
  return nil
end

-- The name of a Service: a label that begins with a letter.
local function service(text)
  return label(text) or find(text, "^%d") and "the name of a service begins with a letter" or nil
end

local function word(text)
  return find(text, "^%w[-_.%w]*$") and find(text, "%w$")
end

-- The key of a label or annotation: [prefix/]name.
local function key(text)
  local prefix, name = match(text, "^([^/]*)/([^/]*)$")
  name = name or text
  if prefix and (prefix == "" or subdomain(prefix)) then
    return "what stands before the '/' of a key is a DNS name"
  elseif #name > VALUE then
    return ("longer than %d characters"):format(VALUE)
  elseif not word(name) then
    return "a key has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
  end
  return nil
end

-- The value of a label; it may be empty.
local function value(text)
  if #text > VALUE then
    return ("longer than %d characters"):format(VALUE)
  elseif text ~= "" and not word(text) then
    return "a value has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
  end
  return nil
end

-- The name of a port of a container or service.
local function port(text)
  if #text > PORT or not find(text, "^[-a-z0-9]+$") or not find(text, "%l") or find(text, "^%-") or find(text, "%-$")
    or find(text, "--", 1, true) then
    return "the name of a port has 1 to 15 lower case letters, digits and '-', and one letter at least"
  end
  return nil
end

-- A key of the data of a ConfigMap or Secret.
local function data_key(text)
  if #text > SUBDOMAIN then
    return ("longer than %d characters"):format(SUBDOMAIN)
  elseif not find(text, "^[-._%w]+$") or find(text, "^%.%.") or text == "." then
    return "a key has letters, digits, '-', '_' and '.'"
  end
  return nil
end

return {
  label = label, subdomain = subdomain, service = service, key = key, value = value, port = port, data_key = data_key,
}
