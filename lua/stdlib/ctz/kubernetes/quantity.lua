-- kubernetes/quantity.lua: amounts such as "500m" and "1.5Gi", exact, read and written as the API server does it.
-- SPDX-License-Identifier: MIT
--
-- A value is a whole number of nano units: limbs of 7 decimal digits, the lowest first. No floats.
-- Source: k8s.io/apimachinery, pkg/api/resource, quantity.go and suffix.go.
local new_error = require("ctz.core.task").error

local concat, find, match, rep, sub = table.concat, string.find, string.match, string.rep, string.sub
local error, getmetatable, math_type, setmetatable = error, getmetatable, math.type, setmetatable
local tonumber, tostring, type = tonumber, tostring, type

local BASE <const>, DIGITS <const> = 10000000, 7
local NANO <const> = 9 -- decimal places that are kept
local LONGEST <const> = 128 -- characters of a text, and decimal exponent, that are taken at most

local DECIMAL <const> = {
  n = -9, u = -6, m = -3, [""] = 0, k = 3, M = 6, G = 9, T = 12, P = 15, E = 18,
}
local DECIMAL_NAMES <const> = {
  [-9] = "n", [-6] = "u", [-3] = "m", [0] = "", [3] = "k", [6] = "M", [9] = "G", [12] = "T", [15] = "P", [18] = "E",
}
local BINARY <const> = { Ki = 1, Mi = 2, Gi = 3, Ti = 4, Pi = 5, Ei = 6 } -- powers of 1024
local BINARY_NAMES <const> = { [0] = "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" }
local HINT <const> = "a number and one of n u m k M G T P E, Ki Mi Gi Ti Pi Ei or an exponent such as e3: "
  .. '"500m", "1.5Gi", "2"'

-- --- whole numbers of any size -----------------------------------------------------------------

local function trim(limbs)
  local n = #limbs
  while n > 0 and limbs[n] == 0 do
    limbs[n], n = nil, n - 1
  end
  return limbs
end

-- Digits -> limbs.
local function from_digits(digits)
  local limbs, last = {}, #digits
  while last > 0 do
    local first = last - DIGITS + 1
    limbs[#limbs + 1] = tonumber(sub(digits, first > 1 and first or 1, last))
    last = first - 1
  end
  return trim(limbs)
end

local function to_digits(limbs)
  local parts, n = {}, #limbs
  for i = n, 1, -1 do
    parts[#parts + 1] = (i == n and "%d" or "%07d"):format(limbs[i])
  end
  return n == 0 and "0" or concat(parts)
end

-- limbs * small + carry, in place.
local function multiply(limbs, small)
  local carry = 0
  for i = 1, #limbs do
    carry = carry + limbs[i] * small
    limbs[i], carry = carry % BASE, carry // BASE
  end
  while carry > 0 do
    limbs[#limbs + 1], carry = carry % BASE, carry // BASE
  end
  return limbs
end

-- The quotient and what is left.
local function divide(limbs, small)
  local quotient, left = {}, 0
  for i = #limbs, 1, -1 do
    left = left * BASE + limbs[i]
    quotient[i], left = left // small, left % small
  end
  return trim(quotient), left
end

local function compare(a, b)
  if #a ~= #b then
    return #a < #b and -1 or 1
  end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then
      return a[i] < b[i] and -1 or 1
    end
  end
  return 0
end

local function add(a, b)
  local sum, carry = {}, 0
  for i = 1, #a > #b and #a or #b do
    carry = carry + (a[i] or 0) + (b[i] or 0)
    sum[i], carry = carry % BASE, carry // BASE
  end
  sum[#sum + 1] = carry > 0 and carry or nil
  return sum
end

-- a - b, where a is not the smaller.
local function subtract(a, b)
  local rest, borrow = {}, 0
  for i = 1, #a do
    local digit = a[i] - (b[i] or 0) - borrow
    borrow = digit < 0 and 1 or 0
    rest[i] = digit + borrow * BASE
  end
  return trim(rest)
end

-- Digits of a number with `places` decimal places -> limbs of nano, rounded up.
local function to_nano(digits, places)
  if places <= NANO then
    return from_digits(digits .. rep("0", NANO - places))
  end
  local cut = places - NANO
  digits = rep("0", cut) .. digits
  local limbs = from_digits(sub(digits, 1, -cut - 1))
  return find(sub(digits, -cut), "[1-9]") and add(limbs, { 1 }) or limbs
end

local CAP <const> = to_nano("9223372036854775807", 0) -- of binary suffixes
local KIBI_NANO <const> = to_nano("1024", 0)

-- --- reading -----------------------------------------------------------------------------------

local Quantity = { __name = "ctz.kubernetes.Quantity" }
Quantity.__index = Quantity

local function is_quantity(value)
  return getmetatable(value) == Quantity
end

local function new(limbs, negative, format)
  return setmetatable({ limbs = limbs, negative = negative and #limbs > 0, format = format }, Quantity)
end

local function refuse(text, why, hint)
  error(new_error {
    kind = "usage", op = "kubernetes.quantity", message = ("bad quantity %q: %s"):format(text, why),
    hint = hint or HINT,
  }, 0)
end

local function suffix_hint(number, suffix)
  local near = ({ K = "Ki or k", ki = "Ki", mi = "Mi", gi = "Gi", ti = "Ti", KB = "k", Kb = "k", kB = "k", MB = "M",
    GB = "G", TB = "T", KiB = "Ki", MiB = "Mi", GiB = "Gi", TiB = "Ti", g = "G or Gi", t = "T or Ti", b = "no suffix",
    B = "no suffix" })[suffix]
  return near and ("did you mean %s? write %s for %s"):format(near,
    near == "no suffix" and number or number .. match(near, "^%a+"), number .. suffix)
end

-- Suffix -> format, decimal exponent, power of 1024.
local function read_suffix(text, number, suffix)
  if DECIMAL[suffix] then
    return "decimal", DECIMAL[suffix], 0
  elseif BINARY[suffix] then
    return "binary", 0, BINARY[suffix]
  end
  local exponent = match(suffix, "^[eE]([+-]?%d+)$")
  if not exponent then
    refuse(text, ("unknown suffix %q"):format(suffix), suffix_hint(number, suffix))
  end
  exponent = #exponent <= 10 and tonumber(exponent) or LONGEST + 1
  if exponent > LONGEST or exponent < -LONGEST then
    refuse(text, ("the exponent passes %d"):format(LONGEST))
  end
  return "exponent", exponent, 0
end

local function parse(text)
  if #text > LONGEST then
    refuse(sub(text, 1, 40) .. "...", ("longer than %d characters"):format(LONGEST))
  end
  local sign, whole, dot, fraction, suffix = match(text, "^([+-]?)(%d*)(%.?)(%d*)(.*)$")
  if find(text, "%s") then
    refuse(text, "it has blanks")
  elseif whole == "" and fraction == "" then
    refuse(text, "it has no digits")
  end
  local format, exponent, power = read_suffix(text, whole .. dot .. fraction, suffix)
  local limbs
  if power > 0 then -- exact first, rounded after
    local product = from_digits(whole .. fraction)
    for _ = 1, power do
      multiply(product, 1024)
    end
    limbs = to_nano(to_digits(product), #fraction)
    limbs = compare(limbs, CAP) > 0 and CAP or limbs
    if #limbs > 0 and #limbs <= 2 and compare(limbs, to_nano("1", 0)) < 0 then
      format = "decimal"
    end
  elseif exponent > #fraction then
    limbs = to_nano(whole .. fraction .. rep("0", exponent - #fraction), 0)
  else
    limbs = to_nano(whole .. fraction, #fraction - exponent)
  end
  return new(limbs, sign == "-", format)
end

-- The shortest text that reads back as this float.
local function float_text(number)
  if number ~= number or number - number ~= 0 then
    refuse(tostring(number), "it is no number")
  end
  local text = ("%.15g"):format(number)
  return tonumber(text) == number and text or ("%.17g"):format(number)
end

--- ctz.kubernetes.quantity(text) -> ctz.kubernetes.Quantity
--- An amount as the API writes it ("500m", "1.5Gi", "1e3"), exact. Amounts are compared by value
--- (`==`, `<`), added and subtracted (the result has the suffixes of the left one), and tostring
--- gives the canonical form of the API server. What is finer than a nano unit is rounded up; what has
--- a binary suffix and passes 2^63-1 is capped there, as Kubernetes does it. Texts without a digit
--- (which Kubernetes takes for 0) and exponents beyond 128 (which it wraps) are refused.
--- @param text string|number|ctz.kubernetes.Quantity
--- @error usage  it is no quantity; the hint says what was meant
--- @example local quantity = ctz.kubernetes.quantity
--- @example assert(tostring(quantity "0.5Gi") == "512Mi" and quantity "1024Mi" == quantity "1Gi")
--- @example assert(tostring(quantity "100m" + quantity "1.5") == "1600m" and quantity "1.5":value() == 2)
--- @example local _, err = ctz.try(quantity, "512MB")
--- @example assert(err:is "usage" and err.hint:find("512M", 1, true))
--- Api: k8s.io/apimachinery, pkg/api/resource
local function quantity(text)
  if is_quantity(text) then
    return text
  elseif type(text) == "string" then
    return parse(text)
  elseif math_type(text) == "integer" then
    return parse(("%d"):format(text))
  elseif type(text) == "number" then
    local read = parse(float_text(text))
    read.format = "decimal"
    return read
  end
  error(new_error {
    kind = "usage", op = "kubernetes.quantity",
    message = ("bad argument 'text' to 'kubernetes.quantity': expected string or number, got %s"):format(type(text)),
  }, 0)
end

-- --- what it does ------------------------------------------------------------------------------

local function scaled(self, places, name)
  local digits = to_digits(self.limbs)
  local limbs = #self.limbs == 0 and {} or to_nano(digits, places + NANO)
  local text = (self.negative and "-" or "") .. to_digits(limbs)
  local number = math.tointeger(tonumber(text))
  if not number or tostring(number) ~= text then
    error(new_error {
      kind = "size", op = name, message = ("%s: %s does not fit in 64 bits"):format(name, tostring(self)),
    }, 0)
  end
  return number
end

--- quantity:value() -> integer
--- The amount in whole units, rounded up (away from zero).
--- @error size  it does not fit in 64 bits
--- @example assert(ctz.kubernetes.quantity("1Ki"):value() == 1024 and ctz.kubernetes.quantity("100m"):value() == 1)
function Quantity:value()
  return scaled(self, 9, "quantity:value")
end

--- quantity:milli() -> integer
--- The amount in thousandths, rounded up (away from zero).
--- @error size  it does not fit in 64 bits
--- @example assert(ctz.kubernetes.quantity("1.5"):milli() == 1500)
function Quantity:milli()
  return scaled(self, 6, "quantity:milli")
end

-- The largest power of 10 that is a multiple of 3, up to 18, and leaves no fraction.
local function decimal_text(limbs, format)
  local digits = to_digits(limbs)
  local exponent = -NANO
  while sub(digits, -3) == "000" and (format == "exponent" or exponent < 18) do
    digits, exponent = sub(digits, 1, -4), exponent + 3
  end
  if format == "exponent" then
    return exponent == 0 and digits or digits .. "e" .. exponent
  end
  return digits .. DECIMAL_NAMES[exponent]
end

local function binary_text(limbs)
  local whole, power = from_digits(sub(to_digits(limbs), 1, -NANO - 1)), 0
  while power < 6 do
    local quotient, left = divide(whole, 1024)
    if left ~= 0 then
      break
    end
    whole, power = quotient, power + 1
  end
  return to_digits(whole) .. BINARY_NAMES[power]
end

function Quantity:__tostring()
  local limbs = self.limbs
  if #limbs == 0 then
    return "0"
  end
  local is_binary = self.format == "binary" and compare(limbs, KIBI_NANO) >= 0
    and sub(to_digits(limbs), -NANO) == rep("0", NANO)
  return (self.negative and "-" or "") .. (is_binary and binary_text(limbs) or decimal_text(limbs, self.format))
end

local function order(a, b)
  a, b = quantity(a), quantity(b)
  if a.negative ~= b.negative then
    return a.negative and -1 or 1
  end
  return a.negative and compare(b.limbs, a.limbs) or compare(a.limbs, b.limbs)
end

function Quantity.__eq(a, b)
  return is_quantity(a) and is_quantity(b) and order(a, b) == 0
end

function Quantity.__lt(a, b)
  return order(a, b) < 0
end

function Quantity.__le(a, b)
  return order(a, b) <= 0
end

-- The format is that of a, or of b when a is zero.
local function sum(a, b, negative)
  local format = #a.limbs == 0 and b.format or a.format
  if a.negative == negative then
    return new(add(a.limbs, b.limbs), negative, format)
  elseif compare(a.limbs, b.limbs) >= 0 then
    return new(subtract(a.limbs, b.limbs), a.negative, format)
  end
  return new(subtract(b.limbs, a.limbs), negative, format)
end

function Quantity.__add(a, b)
  a, b = quantity(a), quantity(b)
  return sum(a, b, b.negative)
end

function Quantity.__sub(a, b)
  a, b = quantity(a), quantity(b)
  return sum(a, b, #b.limbs > 0 and not b.negative)
end

function Quantity.__unm(a)
  return new(a.limbs, not a.negative, a.format)
end

return { quantity = quantity, is_quantity = is_quantity }
