// settings.c: what the docker command reads to know its engine: variables, config.json, contexts.
// SPDX-License-Identifier: MIT
//
// A run that may use an engine may be told which one the user means, without a grant for each
// variable and file. The files hold tokens and keys, so a run that may use no engine cannot see
// them.
#include "bindings/docker/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/allow.h"
#include "host/buffer.h"
#include "host/host.h"
#include "host/luax.h"

#define FILE_BYTES (1 << 20)
#define READ_BYTES 16384

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

// docker.setting(name) -> the variable, nil when it is not set or empty
int docker_l_setting(lua_State *L)
{
    static const char *const names[] = {"DOCKER_HOST",
                                        "DOCKER_CONTEXT",
                                        "DOCKER_TLS_VERIFY",
                                        "DOCKER_CERT_PATH",
                                        "DOCKER_CONFIG",
                                        "HOME",
                                        NULL};
    lua_pushstring(L, variable(names[luaL_checkoption(L, 1, NULL, names)]));
    return 1;
}

static void check_grant(lua_State *L)
{
    const struct ctz_allow_list *list = ctz_host(L)->allow;
    for (const struct ctz_allow_list *grant = list; grant; grant = grant->next)
        if (grant->capability == CTZ_CAP_DOCKER)
            return;
    if (list)
        ctz_allow(L, CTZ_CAP_DOCKER, NULL);
}

// Below its folder: no part of the name leads out of it.
static bool is_inside(const char *name)
{
    for (const char *part = name; *part; part += strcspn(part, "/"), part += *part == '/')
        if (*part == '/' || (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2])))
            return false;
    return *name != '\0';
}

// Returns 0 or an errno.
static int read_all(int fd, struct ctz_buffer *text)
{
    for (;;) {
        char *room = ctz_buffer_reserve(text, READ_BYTES);
        if (!room)
            return text->failed ? EFBIG : ENOMEM;
        ssize_t got = read(fd, room, READ_BYTES);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return errno;
        text->length += got > 0 ? (size_t)got : 0;
    }
}

static int read_file(const char *path, struct ctz_buffer *text, struct ctz_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int code = fd < 0 ? errno : read_all(fd, text);
    if (fd >= 0)
        close(fd);
    return code ? ctz_error_system(err, code, "%s", path) : 0;
}

// Pushes the content of a file, nil when it is not there.
static int push_file(lua_State *L, const char *path)
{
    struct ctz_buffer text;
    struct ctz_error err = {0};
    ctz_buffer_init(&text, FILE_BYTES + READ_BYTES);
    if (read_file(path, &text, &err) < 0) {
        ctz_buffer_clear(&text);
        bool is_absent = err.code && (!strcmp(err.code, "ENOENT") || !strcmp(err.code, "ENOTDIR"));
        if (!is_absent)
            return ctz_raise(L, &err);
        ctz_error_clear(&err);
        lua_pushnil(L);
        return 1;
    }
    char *copy = lua_newuserdatauv(L, text.length + 1, 0); // Lua's memory: what follows may raise
    memcpy(copy, text.bytes ? text.bytes : "", text.length);
    size_t length = text.length;
    ctz_buffer_clear(&text);
    lua_pushlstring(L, copy, length);
    return 1;
}

// docker.setting_file(folder, name) -> content | nil. folder: "config", where config.json is, or
// "certs", where the keys for DOCKER_TLS_VERIFY are.
int docker_l_setting_file(lua_State *L)
{
    static const char *const folders[] = {"config", "certs", NULL};
    int folder = luaL_checkoption(L, 1, NULL, folders);
    const char *name = ctz_check_name(L, 2, "name");
    check_grant(L);
    if (!is_inside(name))
        return ctz_bad_argument(L, 2, "name", "a path below the folder");
    const char *certs = folder == 1 ? variable("DOCKER_CERT_PATH") : NULL;
    const char *config = certs ? certs : variable("DOCKER_CONFIG");
    const char *home = variable("HOME");
    return push_file(L, config ? lua_pushfstring(L, "%s/%s", config, name)
                               : lua_pushfstring(L, "%s/.docker/%s", home ? home : "", name));
}
