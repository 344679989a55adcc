-- kubernetes/failure.lua: what an API server refuses, and what goes wrong on the way, as ctz.error.
-- SPDX-License-Identifier: MIT
-- Source: k8s.io/apimachinery, pkg/apis/meta/v1/types.go (Status, StatusReason, StatusDetails).
local again = require "ctz.kubernetes.again"
local clean = require("ctz.core.ui").clean
local json = require "ctz.json"
local new_error = require("ctz.core.task").error

local error, ipairs, next, pcall, tonumber, type = error, ipairs, next, pcall, tonumber, type
local concat = table.concat

local SHOWN_BYTES <const> = 2000
local SHOWN_CAUSES <const> = 12

local of_reason <const> = {
  AlreadyExists = "conflict", BadRequest = "usage", Conflict = "conflict", Expired = "conflict", Forbidden = "denied",
  Gone = "conflict", InternalError = "io", Invalid = "usage", MethodNotAllowed = "unsupported",
  NotAcceptable = "unsupported", NotFound = "not_found", RequestEntityTooLarge = "size", ServerTimeout = "timeout",
  ServiceUnavailable = "unreachable", Timeout = "timeout", TooManyRequests = "rate_limited", Unauthorized = "auth",
  UnsupportedMediaType = "unsupported",
}

local of_status <const> = {
  [400] = "usage", [401] = "auth", [403] = "denied", [404] = "not_found", [405] = "unsupported", [406] = "unsupported",
  [408] = "timeout", [409] = "conflict", [410] = "conflict", [413] = "size", [415] = "unsupported", [422] = "usage",
  [429] = "rate_limited", [501] = "unsupported", [502] = "unreachable", [503] = "unreachable", [504] = "timeout",
}

local hints <const> = {
  AlreadyExists = "client:apply changes what is there; client:replace needs its resourceVersion",
  Conflict = "somebody changed it meanwhile: get it again, change that, and write it back",
  Expired = "the server kept it for some minutes only: list again",
  UnsupportedMediaType = "custom resources take no strategic patch: type=\"merge\", \"json\" or \"apply\"",
}

-- {words of the server, kind, hint}: where its reason says less than its words.
local meanings <const> = {
  { "because it is being terminated", "conflict", "the namespace is being deleted: delete(..., {wait=true}) waits" },
  { "exceeded quota", "denied", "client:list \"resourcequotas\" shows what is used" },
  { "admission webhook", "denied" },
  { "ValidatingAdmissionPolicy", "denied" },
  { "field is immutable", "usage", "such a field stays: client:delete(..., {wait=true}), and make it anew" },
  { "field not declared in schema", "usage", "client:explain tells which fields a kind has" }, -- it answers 500
}

local function cut(text)
  text = clean(text)
  return #text > SHOWN_BYTES and text:sub(1, SHOWN_BYTES) .. "..." or text
end

-- fail(kind, op, message, facts): raises. facts: hint, target, status, code, cause ...
local function fail(kind, op, message, facts)
  local fields = {}
  for name, value in next, facts or {} do
    fields[name] = value
  end
  fields.kind, fields.op, fields.message = kind, op, message
  error(new_error(fields), 0)
end

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

local function text_of(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- {field=, message=, reason=} of each, as texts.
local function causes_of(details)
  local list = {}
  local causes = type(details) == "table" and type(details.causes) == "table" and details.causes or {}
  for _, cause in ipairs(causes) do
    if type(cause) == "table" then
      list[#list + 1] = {
        field = text_of(cause.field), message = text_of(cause.message) or "", reason = text_of(cause.reason),
      }
    end
  end
  return list
end

-- The causes that the message does not name, one a line.
local function missing_causes(message, causes)
  local lines = {}
  for i, cause in ipairs(causes) do
    local is_said = message:find(cause.message, 1, true) and (not cause.field or message:find(cause.field, 1, true))
    if not is_said and i <= SHOWN_CAUSES then
      lines[#lines + 1] = "\n  " .. (cause.field and cause.field .. ": " or "") .. cause.message
    end
  end
  return concat(lines)
end

local function meaning_of(status, message)
  local code = tonumber(status.code)
  local kind = of_reason[status.reason] or of_status[code] or code and code >= 500 and "io" or "usage"
  for _, meaning in ipairs(meanings) do
    if message:find(meaning[1], 1, true) then
      return meaning[2], meaning[3]
    end
  end
  return kind, hints[status.reason]
end

-- A Status object as an error. context: op, target, hint; facts: retry_after, attempts.
local function of_status_object(status, context, facts)
  facts = facts or {}
  local message = text_of(status.message) or text_of(status.reason) or "it gives no reason"
  local causes = causes_of(status.details)
  local kind, hint = meaning_of(status, message)
  local details = type(status.details) == "table" and status.details or {}
  if status.reason == "Forbidden" and not hint and message:find("cannot ", 1, true) then
    hint = "RBAC: client:can_i(verb, kind) asks what this user may do"
  end
  return new_error {
    kind = kind,
    op = context.op,
    message = cut(message) .. cut(missing_causes(message, causes)),
    hint = context.hint or hint,
    target = context.target,
    status = tonumber(status.code),
    reason = text_of(status.reason),
    causes = #causes > 0 and causes or nil,
    continue = type(status.metadata) == "table" and text_of(status.metadata.continue) or nil,
    retryable = kind == "rate_limited" or kind == "unreachable" or kind == "timeout" or kind == "io",
    retry_after = facts.retry_after or tonumber(details.retryAfterSeconds),
    attempts = facts.attempts,
  }
end

-- The error for an answer that is a refusal: a Status, or what a proxy before the server says.
local function of_answer(answer, context, facts)
  local ok, value = pcall(json.decode, answer.body or "", { big = "float" })
  if ok and type(value) == "table" and value.kind == "Status" then
    value.code = tonumber(value.code) or answer.status
    return of_status_object(value, context, facts)
  end
  local is_page = (answer.headers["content-type"] or ""):find("html", 1, true)
  local text = (answer.body or ""):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  local words = not is_page and text ~= "" and text or "and says no more"
  local named = context.target and context.target .. ": " or ""
  return of_status_object({
    code = answer.status, message = ("%sthe server answers %d: %s"):format(named, answer.status, words),
  }, context, facts)
end

local transport_hints <const> = {
  ECONNREFUSED = "is the API server running? `server` of the kubeconfig says where it is",
}

-- What HTTP raised. Cancels, and what --allow and --dry-run refuse, go on as they are. hint: of a write that may have
-- been done before it broke off.
local function of_transport(err, context, cluster, hint)
  if type(err) ~= "table" or not err.kind or err.kind == "cancelled" or err.kind == "denied" and not err.code
    or err.kind == "unsupported" or err.op and err.op:find "^kubernetes%." then
    return err
  end
  local words = err.message:gsub("^%u+ https?%S+: ", "")
  local broke_off = again.is_cut(err)
  local made = new_error {
    kind = broke_off and "unreachable" or err.kind,
    op = context.op,
    message = ("the API server of %s (%s): %s"):format(cluster.shown, cluster.server, words),
    hint = hint or transport_hints[err.code] or err.hint,
    target = context.target or cluster.server,
    code = err.code,
    retryable = not hint and (broke_off or err.retryable),
    attempts = context.attempts,
  }
  made.broke_off = hint and broke_off or nil
  return made
end

return {
  fail = fail,
  usage = usage,
  of_answer = of_answer,
  of_status = of_status_object,
  of_transport = of_transport,
}
