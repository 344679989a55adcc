---@meta ctz.ui
-- Generated from the doc comments; do not edit.

---progress, tables, and sizes and times for people.
---@class ctz.ui
local ui = {}

---A size for people, in powers of 1000 as Docker and registries show it.
---@param n number  bytes
---@return string
function ui.bytes(n) end

---The text with everything made visible that could steer a terminal: control characters, escape sequences, changes of the direction of writing, bytes that are no UTF-8. For text from outside.
---@param text string
---@return string
function ui.clean(text) end

---A time span for people, in its two largest units.
---@param s ctz.seconds
---@return string
function ui.duration(s) end

---The longest beginning of a clean text that takes at most so many columns.
---@param text string
---@param columns integer
---@return string
function ui.fit(text, columns) end

---@class ctz.ui.progress.opts
---@field title string
---@field total? integer  how many there are; without it no bar and no time left
---@field unit? "items"|"bytes"  default "items"

---Shows on stderr how far something has come, with rate and time left: as a moving line on a terminal, else as a line now and then (--progress chooses). Several may be shown at once. Hold it in a `local p <close>`: it then ends as done, or as failed when an error passes.
---@param opts ctz.ui.progress.opts
---@return ctz.progress
function ui.progress(opts) end

---What stderr is now: {columns=, rows=, terminal=, color=, progress="tty"|"plain"|"json"|"none"}. Without a terminal columns and rows are 80 and 24. stdout_color: whether stdout takes colours.
---@return {columns: integer, rows: integer, terminal: boolean, color: boolean, stdout_color: boolean, progress: string}
function ui.screen() end

---@class ctz.ui.table.opts
---@field header? string[]  the first line; default: the names of opts.columns in upper case
---@field columns? string[]  which field of a row stands in which column
---@field gap? integer  spaces between columns, default 2
---@field width? integer  longer lines are cut; default: none is

---The rows as aligned text, one line each, for print. Columns of numbers stand to the right; text is made harmless for a terminal.
---@param rows table[]  each a list of cells, or with opts.columns a table of fields
---@param opts? ctz.ui.table.opts
---@return string # each line ends with a newline
function ui.table(rows, opts) end

---The columns that a clean text takes on a terminal: wide characters take two, accents none.
---@param text string
---@return integer
function ui.width(text) end

---@class ctz.progress
local progress = {}

---Ends it: the moving line goes, a last line stays. Only the first end counts.
---@param message? string  stands behind it
function progress:done(message) end

---Ends it as failed.
---@param message? string  why
function progress:fail(message) end

---So many are done now, of so many.
---@param done integer
---@param total? integer  a new total
---@return ctz.progress
function progress:set(done, total) end

---So many more are done.
---@param n? integer  default 1
---@return ctz.progress
function progress:step(n) end

return ui
