---@meta ctz.fs
-- Generated from the doc comments; do not edit.

---files and folders of this machine.
---@class ctz.fs
local fs = {}

---Adds to the end of a file, which is made when there is none. When the disk is full nothing of the text stays.
---@async
---@param path string
---@param text string
---@return true
function fs.append(path, text) end

---Sets permissions.
---@param path string
---@param mode string|integer  "0644", or a number
---@return true
function fs.chmod(path, mode) end

---@class ctz.fs.copy.opts
---@field recursive? boolean

---Copies a file, or with recursive a folder. The copy appears under its name when it is whole; a file there is replaced, a folder is not. Permissions are kept; links in a folder stay links.
---@async
---@param from string
---@param to string  the name of the copy
---@param opts? ctz.fs.copy.opts
---@return true
function fs.copy(from, to, opts) end

---The folder that relative paths begin in.
---@return string
function fs.cwd() end

---Is there a file, a folder or another thing of that name? A link that leads nowhere is none.
---@param path string
---@return boolean
function fs.exists(path) end

---@class ctz.fs.glob.opts
---@field root? string  the folder to look in; default: the current one
---@field hidden? boolean  * and ** find names that begin with a dot, too

---The paths that match a pattern, sorted: * any text, ? one character, [a-z] one of a set, [!a-z] none of it, \ the next character as it is, and ** as a part of its own any number of folders. Paths can be used as they are: with a root they begin with it. Names that begin with a dot match only a pattern that does.
---@async
---@param pattern string
---@param opts? ctz.fs.glob.opts
---@return string[]
function fs.glob(pattern, opts) end

---The names in a folder, sorted, without "." and "..".
---@async
---@param path string
---@return string[]
function fs.list(path) end

---@class ctz.fs.mkdir.opts
---@field parents? boolean  also those it lies in; and it may exist already
---@field mode? string|integer  permissions, default "0777" less the umask

---Makes a folder.
---@param path string
---@param opts? ctz.fs.mkdir.opts
---@return true
function fs.mkdir(path, opts) end

---Gives a file or a folder another name, also on another file system. A file at `to` is replaced, a folder is not.
---@async
---@param from string
---@param to string
---@return true
function fs.move(from, to) end

---@class ctz.fs.read.opts
---@field timeout? ctz.seconds

---The whole content of a file.
---@async
---@param path string
---@param opts? ctz.fs.read.opts
---@return string
function fs.read(path, opts) end

---Where a symbolic link leads, as it was written.
---@param path string
---@return string
function fs.readlink(path) end

---The absolute path without links and dots.
---@param path string
---@return string
function fs.realpath(path) end

---@class ctz.fs.remove.opts
---@field recursive? boolean
---@field absent_ok? boolean  true also when there is none

---Removes a file, a link or an empty folder; with recursive a folder and all that is in it. Links are removed, never followed.
---@async
---@param path string
---@param opts? ctz.fs.remove.opts
---@return true
function fs.remove(path, opts) end

---@class ctz.fs.stat.opts
---@field follow? boolean  false: of a link itself; default true

---What is known of a file: {type, size_bytes, mode, mtime, uid, gid, inode, device, links}; nil when there is none. type is file, directory, symlink, fifo, socket, "character device" or "block device"; mtime is in seconds since 1970.
---@param path string
---@param opts? ctz.fs.stat.opts
---@return ctz.fs.Stat|nil
function fs.stat(path, opts) end

---Makes a symbolic link at path that leads to target.
---@param target string
---@param path string
---@return true
function fs.symlink(target, path) end

---@class ctz.fs.tempdir.opts
---@field dir? string  where; default $TMPDIR or /tmp
---@field prefix? string  of its name, default "ctz-"

---Makes a new empty folder that only this user can look into. It is removed with all that is in it at the end of the scope, or of the block with `local dir <close> = ...`. dir.path is its path, and `dir .. "/name"` a path in it.
---@param opts? ctz.fs.tempdir.opts
---@return ctz.fs.Temporary
function fs.tempdir(opts) end

---@class ctz.fs.tempfile.opts
---@field dir? string  where; default $TMPDIR or /tmp
---@field prefix? string  of its name, default "ctz-"

---Makes a new empty file that only this user can read. It is removed as a tempdir is.
---@param opts? ctz.fs.tempfile.opts
---@return ctz.fs.Temporary
function fs.tempfile(opts) end

---@class ctz.fs.walk.opts
---@field depth? integer  1: only what is in the folder itself

---Iterates over all that is below a folder: path and stat of each, sorted, a folder before what is in it. Links are not followed. Folders are read as the loop goes on.
---@async
---@param path string
---@param opts? ctz.fs.walk.opts
---@return fun(): string
---@return ctz.fs.Stat
function fs.walk(path, opts) end

---@class ctz.fs.write.opts
---@field mode? string|integer  permissions: "0644"; default: those of the old file, else what the umask leaves
---@field atomic? boolean  false: write into the file itself; default true
---@field timeout? ctz.seconds

---Writes a file whole or not at all: the text goes into a new file, which is on the disk before it takes the old one's place, so that a full disk, a crash or a cancel leave the old content. The mode of an existing file is kept; a link is followed; a device or a fifo is written to.
---@async
---@param path string
---@param text string
---@param opts? ctz.fs.write.opts
---@return true
function fs.write(path, text, opts) end

---@class ctz.fs.Temporary
local temporary = {}

---Removes it now, with all that is in it; the end of its scope and `<close>` do it by themselves.
---@async
---@return true
function temporary:close() end

return fs
