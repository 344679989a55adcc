// cli_door.c: what Lua sees of the command line: the door ctz.core.cli.
// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/allow.h"
#include "host/alloc.h"
#include "host/cli.h"
#include "host/door.h"
#include "host/host.h"
#include "host/luax.h"

#define ARGS         "ctz.args" // registry
#define SECRET_BYTES 65536

// --- the table ---------------------------------------------------------------------------------

static const char *const word_kinds[] = {
    [CTZ_WORDS_NONE] = "none",     [CTZ_WORDS_RECIPE] = "recipe",   [CTZ_WORDS_FILE] = "file",
    [CTZ_WORDS_FOLDER] = "folder", [CTZ_WORDS_COMMAND] = "command", [CTZ_WORDS_NAME] = "name",
    [CTZ_WORDS_SHELL] = "shell",   [CTZ_WORDS_CODE] = "code",
};

static const char *const option_types[] = {
    [CTZ_OPTION_FLAG] = "flag",
    [CTZ_OPTION_TEXT] = "text",
    [CTZ_OPTION_SECONDS] = "seconds",
    [CTZ_OPTION_CHOICE] = "choice",
};

static void set_text(lua_State *L, const char *field, const char *text)
{
    lua_pushstring(L, text); // nil when it is NULL
    lua_setfield(L, -2, field);
}

static void push_option(lua_State *L, const struct ctz_option *option)
{
    lua_createtable(L, 0, 6);
    set_text(L, "name", option->name);
    set_text(L, "value", option->value);
    set_text(L, "help", option->help);
    set_text(L, "type", option_types[option->type]);
    lua_pushboolean(L, option->passed_on);
    lua_setfield(L, -2, "passed_on");
    if (option->letter) {
        lua_pushlstring(L, &option->letter, 1);
        lua_setfield(L, -2, "letter");
    }
}

static void push_options(lua_State *L, const struct ctz_option *options)
{
    lua_newtable(L);
    for (int i = 0; options && options[i].name; i++) {
        push_option(L, &options[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_examples(lua_State *L, const char *const *examples)
{
    lua_newtable(L);
    for (int i = 0; examples && examples[i]; i += 2) {
        lua_createtable(L, 0, 2);
        set_text(L, "line", examples[i]);
        set_text(L, "text", examples[i + 1]);
        lua_rawseti(L, -2, i / 2 + 1);
    }
}

static void push_command(lua_State *L, const struct ctz_command *command)
{
    lua_createtable(L, 0, 8);
    set_text(L, "name", command->name);
    set_text(L, "arguments", command->arguments);
    set_text(L, "summary", command->summary);
    set_text(L, "text", command->text);
    set_text(L, "words", word_kinds[command->words]);
    push_options(L, command->options);
    lua_setfield(L, -2, "options");
    push_examples(L, command->examples);
    lua_setfield(L, -2, "examples");
}

// commands() -> {command, ...}, {common option, ...}
static int l_commands(lua_State *L)
{
    lua_newtable(L);
    for (int i = 0; ctz_commands[i].name; i++) {
        push_command(L, &ctz_commands[i]);
        lua_rawseti(L, -2, i + 1);
    }
    push_options(L, ctz_common_options);
    return 2;
}

// command() -> string | nil: the name of the one that runs
static int l_command(lua_State *L)
{
    const struct ctz_cli *cli = ctz_host(L)->cli;
    lua_pushstring(L, cli ? cli->command->name : NULL);
    return 1;
}

// --- words -------------------------------------------------------------------------------------

// In run and eval the first word is the recipe.
static size_t first_argument(const struct ctz_cli *cli)
{
    return cli->command->run == ctz_cmd_run || cli->command->run == ctz_cmd_eval;
}

static void fill_args(lua_State *L, const struct ctz_cli *cli)
{
    lua_Integer count = 0;
    size_t first = first_argument(cli);
    for (size_t i = first; i < cli->word_count; i++) {
        lua_pushstring(L, cli->words[i]);
        lua_rawseti(L, -2, ++count);
    }
    for (size_t i = 0; i < cli->rest_count; i++) {
        lua_pushstring(L, cli->rest[i]);
        lua_rawseti(L, -2, ++count);
    }
    if (cli->command->run == ctz_cmd_run && cli->word_count > 0) {
        lua_pushstring(L, cli->words[0]);
        lua_rawseti(L, -2, 0);
    }
}

void ctz_cli_push_args(lua_State *L)
{
    const struct ctz_cli *cli = ctz_host(L)->cli;
    if (lua_getfield(L, LUA_REGISTRYINDEX, ARGS) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    if (cli)
        fill_args(L, cli);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, ARGS);
}

/// ctz.args -> string[]
/// The words of the command line that no parameter took, and all that follow `--`. At index 0
/// stands the recipe. It is the same table as the global `arg`.
/// @example assert(type(ctz.args) == "table")
static int l_args(lua_State *L)
{
    ctz_cli_push_args(L);
    return 1;
}

// word_count() -> integer: how many of ctz.args stand before "--"
static int l_word_count(lua_State *L)
{
    const struct ctz_cli *cli = ctz_host(L)->cli;
    size_t count = cli ? cli->word_count - (cli->word_count ? first_argument(cli) : 0) : 0;
    lua_pushinteger(L, (lua_Integer)count);
    return 1;
}

// --- reading values ----------------------------------------------------------------------------

static int nil_and_message(lua_State *L, struct ctz_error *err)
{
    lua_pushnil(L);
    ctz_error_push(L, err, NULL);
    ctz_error_clear(err);
    lua_getfield(L, -1, "message");
    lua_remove(L, -2);
    return 2;
}

// seconds(text) -> number | nil, message
static int l_seconds(lua_State *L)
{
    double seconds;
    struct ctz_error err = {0};
    if (ctz_parse_seconds(ctz_check_string(L, 1, "text", NULL), &seconds, &err) < 0)
        return nil_and_message(L, &err);
    lua_pushnumber(L, seconds);
    return 1;
}

// bytes(text) -> integer | nil, message
static int l_bytes(lua_State *L)
{
    uint64_t bytes;
    struct ctz_error err = {0};
    if (ctz_parse_bytes(ctz_check_string(L, 1, "text", NULL), &bytes, &err) < 0)
        return nil_and_message(L, &err);
    lua_pushinteger(L, (lua_Integer)bytes);
    return 1;
}

// Did the user write name=TEXT? Then what it names is granted.
static bool is_given(const struct ctz_cli *cli, const char *text)
{
    for (size_t i = 0; cli && i < cli->word_count; i++) {
        const char *equals = strchr(cli->words[i], '=');
        if (equals && strcmp(equals + 1, text) == 0)
            return true;
    }
    return false;
}

// Returns the number of bytes, or -1 with errno set.
static ssize_t read_start(const char *path, char *room, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && length < size) {
        got = read(fd, room + length, size - length);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            length += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    return got < 0 ? -1 : (ssize_t)length;
}

// secret("@path" or "env:NAME") -> string | nil, message
static int l_secret(lua_State *L)
{
    const char *text = ctz_check_name(L, 1, "text");
    bool is_file = text[0] == '@';
    const char *subject = text + (is_file ? strlen("@") : strlen("env:"));
    if (!is_file && strncmp(text, "env:", 4) != 0)
        return ctz_bad_argument(L, 1, "text", "@FILE or env:NAME");
    if (!is_given(ctz_host(L)->cli, text))
        ctz_allow(L, is_file ? CTZ_CAP_READ : CTZ_CAP_ENV, subject);
    if (!is_file) {
        lua_pushstring(L, getenv(subject));
        lua_pushfstring(L, "the environment variable %s is not set", subject);
        return 2;
    }
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, SECRET_BYTES);
    ssize_t length = read_start(subject, room, SECRET_BYTES);
    if (length < 0) {
        int error = errno;
        luaL_pushresultsize(&buffer, 0);
        lua_pushnil(L);
        lua_pushfstring(L, "%s: %s", subject, strerror(error));
        return 2;
    }
    luaL_pushresultsize(&buffer, (size_t)length);
    return 1;
}

// --- looking at a recipe -----------------------------------------------------------------------

// load(path) -> function: the recipe with globals of its own; raises why it does not load
static int l_load(lua_State *L)
{
    ctz_load_recipe(L, ctz_check_name(L, 1, "path"));
    return 1;
}

// close_doors() -> true: from now on this run may do nothing.
static int l_close_doors(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    ctz_allow_clear(&host->allow);
    host->allow = ctz_calloc(1, sizeof *host->allow); // grants CTZ_CAP_UNNAMED: nothing
    if (!host->allow)
        return luaL_error(L, "not enough memory");
    lua_pushboolean(L, true);
    return 1;
}

// --- this installation -------------------------------------------------------------------------

// A library is asked through the room that is linked to it.
static const struct library {
    const char *name, *room, *function;
    bool takes_zero; // OpenSSL_version(OPENSSL_VERSION)
} libraries[] = {
    {"libcurl", "http", "curl_version", false},
    {"libyaml", "data", "yaml_get_version_string", false},
    {"zlib", "image", "zlibVersion", false},
    {"zstd", "image", "ZSTD_versionString", false},
    {"OpenSSL", "hash", "OpenSSL_version", true},
};

static const char *ask_version(void *room, const struct library *library)
{
    void *found = dlsym(room, library->function);
    const char *(*plain)(void);
    const char *(*with_zero)(int);
    if (!found)
        return NULL;
    memcpy(&plain, &found, sizeof plain);
    memcpy(&with_zero, &found, sizeof with_zero);
    return library->takes_zero ? with_zero(0) : plain();
}

// versions() -> {name = version}: of Lua, libuv and what the rooms are linked to.
static int l_versions(lua_State *L)
{
    lua_newtable(L);
    set_text(L, "Lua", LUA_RELEASE + strlen("Lua "));
    set_text(L, "libuv", uv_version_string());
    for (size_t i = 0; i < CTZ_COUNT(libraries); i++) {
        const char *path =
            lua_pushfstring(L, "%s/ctz_core_%s.so", ctz_host(L)->library, libraries[i].room);
        void *room = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        lua_pop(L, 1);
        if (room)
            set_text(L, libraries[i].name, ask_version(room, &libraries[i]));
    }
    return 1;
}

// rooms() -> {name, ...}: the modules that are installed.
static int l_rooms(lua_State *L)
{
    static const char prefix[] = "ctz_core_", suffix[] = ".so";
    lua_newtable(L);
    DIR *dir = opendir(ctz_host(L)->library);
    lua_Integer count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name), extra = sizeof prefix + sizeof suffix - 2;
        if (length <= extra || strncmp(entry->d_name, prefix, sizeof prefix - 1) != 0 ||
            strcmp(entry->d_name + length - (sizeof suffix - 1), suffix) != 0)
            continue;
        lua_pushlstring(L, entry->d_name + sizeof prefix - 1, length - extra);
        lua_rawseti(L, -2, ++count);
    }
    if (dir)
        closedir(dir);
    return 1;
}

// connects(path) -> true | nil, message: does somebody listen on this unix socket?
static int l_connects(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = strlen(path) < sizeof address.sun_path ? 0 : ENAMETOOLONG;
    if (!error) {
        strcpy(address.sun_path, path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            error = errno;
        if (fd >= 0)
            close(fd);
    }
    if (!error) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    return 2;
}

static const struct ctz_reg functions[] = {
    {"cli.commands", l_commands, CTZ_CAP_PURE, 0, 0},
    {"cli.command", l_command, CTZ_CAP_PURE, 0, 0},
    {"cli.args", l_args, CTZ_CAP_PURE, 0, 0},
    {"cli.word_count", l_word_count, CTZ_CAP_PURE, 0, 0},
    {"cli.seconds", l_seconds, CTZ_CAP_PURE, 0, 0},
    {"cli.bytes", l_bytes, CTZ_CAP_PURE, 0, 0},
    {"cli.secret", l_secret, CTZ_CAP_READ, 0, CTZ_REG_READS},
    {"cli.load", l_load, CTZ_CAP_READ, 1, 0},
    {"cli.close_doors", l_close_doors, CTZ_CAP_PURE, 0, 0},
    {"cli.versions", l_versions, CTZ_CAP_PURE, 0, 0},
    {"cli.rooms", l_rooms, CTZ_CAP_PURE, 0, 0},
    {"cli.connects", l_connects, CTZ_CAP_NET, 1, CTZ_REG_READS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

int ctz_open_cli(lua_State *L)
{
    ctz_door(L, functions);
    return 1;
}
