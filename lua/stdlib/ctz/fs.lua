-- ctz.fs: files and folders of this machine.
-- SPDX-License-Identifier: MIT
return require "ctz.core.system".fs
