// output.h: bytes that go to a program's stdin.
// SPDX-License-Identifier: MIT
#ifndef CTZ_OUTPUT_H
#define CTZ_OUTPUT_H

#include <lua.h>

#include "host/api.h"
#include "host/error.h"

struct ctz_host;
struct ctz_output;

/// Takes the non-blocking descriptor, also on failure.
struct ctz_output *ctz_output_new(struct ctz_host *host, int take_fd, struct ctz_error *err);
/// Queues bytes of which nobody awaits the writing.
int ctz_output_queue(struct ctz_output *output, const char *bytes, size_t size);
/// Closes the descriptor once what is queued has been written.
void ctz_output_finish(struct ctz_output *output);
/// Closes it now; what is queued is dropped, its writers get an error.
void ctz_output_close(struct ctz_output *output);
void ctz_output_release(struct ctz_output *output);
bool ctz_output_is_closed(const struct ctz_output *output);

/// Writes the string at index `arg` and, when the pipe has taken it all, returns what push pushes
/// (NULL: true). Raises io when the program has closed its stdin.
CTZ_API int ctz_output_write(lua_State *L, struct ctz_output *output, int arg, double timeout_s,
                             int (*push)(lua_State *L));

#endif
