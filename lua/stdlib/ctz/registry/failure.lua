-- registry/failure.lua: what a registry refuses, and what goes wrong on the way, as ctz.error.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec, Error Codes.
local clean = require("ctz.core.ui").clean
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local redact = require("ctz.registry.url").redact

local ipairs, pcall, type = ipairs, pcall, type
local concat, insert = table.concat, table.insert

local SHOWN_BYTES <const> = 400
local SHOWN_ERRORS <const> = 3

local kinds <const> = {
  [400] = "usage", [401] = "auth", [403] = "denied", [404] = "not_found", [405] = "unsupported", [408] = "timeout",
  [409] = "conflict", [410] = "not_found", [412] = "conflict", [413] = "size", [415] = "unsupported",
  [416] = "conflict", [429] = "rate_limited", [501] = "unsupported", [504] = "timeout", [507] = "io",
}

local kinds_of_code <const> = {
  BLOB_UNKNOWN = "not_found", BLOB_UPLOAD_UNKNOWN = "not_found", MANIFEST_UNKNOWN = "not_found",
  MANIFEST_BLOB_UNKNOWN = "not_found", NAME_UNKNOWN = "not_found", BLOB_UPLOAD_INVALID = "usage",
  MANIFEST_INVALID = "usage", NAME_INVALID = "usage", TAG_INVALID = "usage", DIGEST_INVALID = "digest",
  SIZE_INVALID = "size", UNAUTHORIZED = "auth", DENIED = "denied", UNSUPPORTED = "unsupported",
  TOOMANYREQUESTS = "rate_limited",
}

local hints <const> = {
  MANIFEST_BLOB_UNKNOWN = "blobs and manifests go before the manifest that names them",
  TOOMANYREQUESTS = "registry.connect(host, {rps=N}) asks less often; who is logged in may ask more",
}

-- What is said where the registry says nothing: to HEAD it cannot.
local silent <const> = {
  [401] = "the registry wants to know who you are", [403] = "the registry does not allow it",
  [404] = "the registry has no such thing", [429] = "the registry was asked too often",
}

-- Statuses of a server that has too much to do, or of one before it: the request may be sent again.
local busy <const> = {
  [408] = true, [429] = true, [499] = true, [500] = true, [502] = true, [503] = true, [504] = true, [522] = true,
}

local function cut(text)
  text = redact(clean(text))
  return #text > SHOWN_BYTES and text:sub(1, SHOWN_BYTES) .. "..." or text
end

local function words_of_one(one)
  local words = type(one.message) == "string" and one.message ~= "" and one.message or one.code
  local detail = type(one.detail) == "string" and one.detail
  return detail and detail ~= "" and words .. " (" .. detail .. ")" or words
end

-- The registry's own words, and the code of its first error.
local function words_of(answer)
  local ok, value = pcall(json.decode, answer.body or "")
  local list = ok and type(value) == "table" and type(value.errors) == "table" and value.errors
  if not list then
    local is_page = (answer.headers["content-type"] or ""):find("html", 1, true)
    local text = (answer.body or ""):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    local said = ok and type(value) == "table" and (value.message or value.error or value.details)
    return type(said) == "string" and said or not is_page and text ~= "" and text or nil
  end
  local words, code = {}, nil
  for i, one in ipairs(list) do
    if type(one) == "table" and i <= SHOWN_ERRORS then
      code = code or type(one.code) == "string" and one.code or nil
      insert(words, words_of_one(one))
    end
  end
  return #words > 0 and concat(words, "; ") or nil, code
end

-- An error from facts; target (the image or the registry) stands first in the message.
local function make(kind, context, text, facts)
  facts = facts or {}
  return new_error {
    kind = kind,
    op = context.op,
    message = ("%s: %s"):format(context.target, cut(text)),
    hint = facts.hint and cut(facts.hint),
    target = context.target,
    status = facts.status,
    code = facts.code,
    cause = facts.cause,
    retryable = facts.retryable or false,
    retry_after = facts.retry_after,
    attempts = facts.attempts,
  }
end

-- The error for an answer that is a refusal. facts.words go before the registry's own.
local function of_answer(answer, context, facts)
  facts = facts or {}
  local words, code = words_of(answer)
  local status = answer.status
  local kind = kinds_of_code[code] or kinds[status] or status >= 500 and "unreachable" or "protocol"
  if status == 401 and kind ~= "auth" then
    kind = "auth"
  elseif status == 403 and kind == "auth" then
    kind = "denied"
  end
  words = words or silent[status] or ("the registry answers %d and no more"):format(status)
  return make(kind, context, facts.words and ("%s (%s)"):format(facts.words, words) or words, {
    status = status, code = code, hint = facts.hint or hints[code], retryable = busy[status] or kind == "rate_limited",
    retry_after = facts.retry_after, attempts = facts.attempts,
  })
end

-- What HTTP raised. Cancels, and what --allow and --dry-run refuse, go on as they are.
local function of_transport(err, context, host)
  if type(err) ~= "table" or not err.kind or err.kind == "cancelled" or err.kind == "denied" and not err.code
    or err.kind == "unsupported" or err.op == context.op then
    return err -- the last: it is one of ours already
  end
  local words = err.message:gsub("^%u+ http%S+: ", "")
  local broke_off = err.kind == "protocol" and words:find("truncated", 1, true) ~= nil
  local facts = {
    code = err.code, hint = err.hint, retryable = broke_off or err.retryable, attempts = err.attempts,
    retry_after = err.retry_after,
  }
  local is_named = words:find(host, 1, true) or context.target:find(host, 1, true)
  words = is_named and words or host .. ": " .. words
  local made = make(broke_off and "unreachable" or err.kind, context, words, facts)
  made.broke_off = broke_off or nil
  return made
end

return { make = make, of_answer = of_answer, of_transport = of_transport, busy = busy }
