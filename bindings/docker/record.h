// record.h: who this process is, whether another one still lives, and the record of a run.
// SPDX-License-Identifier: MIT
//
// A run that makes something on an engine has a record: a file named after the run, locked while
// the run lives. It is removed when the run ends well. A record that is there and free therefore
// tells of a run that died or failed.
#ifndef CTZ_BINDINGS_DOCKER_RECORD_H
#define CTZ_BINDINGS_DOCKER_RECORD_H

#include <limits.h>
#include <lua.h>
#include <stdint.h>
#include <sys/types.h>

#include "host/api.h"
#include "host/error.h"

/// What tells this process from all others, on all machines. Empty texts: the system does not say.
struct record_facts {
    char machine[64]; // of /etc/machine-id
    char boot[64];    // changes with each start of the system
    char node[72];    // host name
    char space[64];   // process namespace; empty in that of the system itself
    pid_t pid;        // in that namespace
    uint64_t start;   // clock ticks between boot and the start of the process, 0: not known
};

void record_read_facts(struct record_facts *facts);

/// Is there a process with this number and start, in our namespace? True also when the system does
/// not let us look.
bool record_lives(pid_t pid, uint64_t start);

enum record_state { RECORD_NONE, RECORD_FREE, RECORD_HELD };

/// A record that this process holds.
struct record {
    int fd; // -1: none
    char path[PATH_MAX];
};

/// Makes and locks the record of a run (hexadecimal digits). Once a day it removes records that
/// nobody has held for a month.
int record_begin(struct record *record, const char *run, struct ctz_error *err);
/// Lets go; removes it when the run ended well.
void record_end(struct record *record, bool ended_well);
/// Of any run of this user.
enum record_state record_look(const char *run);

int docker_l_facts(lua_State *L);
int docker_l_random(lua_State *L);
int docker_l_lives(lua_State *L);
int docker_l_begin_record(lua_State *L);
int docker_l_look_record(lua_State *L);
void docker_open_record(lua_State *L);

#endif
