// relay.h: an engine behind ssh as a unix socket: each connection is a program of its own.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_DOCKER_RELAY_H
#define CTZ_BINDINGS_DOCKER_RELAY_H

#include <lua.h>

#include "host/api.h"
#include "host/error.h"

#define RELAY_WORDS 16

/// The command for ssh://[USER@]HOST[:PORT][/SOCKET], its words in one piece of memory.
struct relay_command {
    const char *words[RELAY_WORDS]; // ends with NULL
    char *text;                     // owned: what the words point into
};

int relay_read_url(const char *url, struct relay_command *command, struct ctz_error *err);
void relay_clear(struct relay_command *command);

/// The last line of text that is not empty; *size is its length, 0: none.
const char *relay_last_line(const char *text, size_t length, size_t *size);

int docker_l_relay(lua_State *L);
void docker_open_relay(lua_State *L);

#endif
