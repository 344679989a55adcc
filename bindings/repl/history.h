// history.h: the file of lines that were typed, shared by sessions.
// SPDX-License-Identifier: MIT
#ifndef CTZ_REPL_HISTORY_H
#define CTZ_REPL_HISTORY_H

#include <lua.h>

#include "host/buffer.h"
#include "host/error.h"

/// Appends bytes in one write; makes the file with mode 0600. May wait for other sessions: call it
/// on the pool.
int ctz_history_append(const char *path, const char *bytes, size_t size, struct ctz_error *err);
/// Reads the file; from one that is larger than max_bytes the older half is dropped first. A file
/// that does not exist is empty.
int ctz_history_read(const char *path, size_t max_bytes, struct ctz_buffer *out,
                     struct ctz_error *err);

/// The functions repl.append and repl.load of the door; in historylua.c.
int ctz_l_history_append(lua_State *L);
int ctz_l_history_load(lua_State *L);

#endif
