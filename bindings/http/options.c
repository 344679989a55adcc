// options.c: the options table of ctz.http becomes a request.
// SPDX-License-Identifier: MIT
//
// Everything here may raise, so what is made on the way is Lua's: strings stay on the stack, the
// list of headers is a userdata.
#include "bindings/http/module.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/alloc.h"
#include "host/secrets.h"

#define IDLE_S 60.0 // default idle_timeout of an answer held in memory or saved

static const char *const options[] = {
    "auth",  "bearer",      "body",      "check",        "compressed",   "connect_timeout",
    "form",  "grant",       "headers",   "http_version", "idle_timeout", "insecure",
    "json",  "length",      "max_bytes", "method",       "on_progress",  "once",
    "proxy", "query",       "redirects", "stream",       "timeout",      "tls",
    "to",    "unix_socket", NULL,
};

static const char *check_bytes(lua_State *L, const char *text, size_t length, const char *name)
{
    if (text && strlen(text) != length)
        ctz_usage(L, "bad argument 'opts.%s' to '%s': it holds a NUL byte", name,
                  ctz_function_name(L));
    return text;
}

// A text or a ctz.secret; stays on the stack.
static const char *read_secret(lua_State *L, int table, const char *name)
{
    int type = ctz_opt_field(L, table, name);
    size_t length;
    const char *text = ctz_secret_at(L, -1, &length);
    if (type == LUA_TNIL)
        return NULL;
    if (!text && type != LUA_TSTRING)
        ctz_usage(L, "bad argument 'opts.%s' to '%s': expected string, got %s", name,
                  ctz_function_name(L), luaL_typename(L, -1));
    if (!text)
        text = lua_tolstring(L, -1, &length);
    return check_bytes(L, text, length, name);
}

static const char *read_text(lua_State *L, int table, const char *name)
{
    size_t length;
    const char *text = ctz_opt_string(L, table, name, &length, NULL);
    return check_bytes(L, text, length, name);
}

// --- headers -----------------------------------------------------------------------------------

struct header_list {
    struct ctz_http_header *headers; // in the userdata behind this struct
    size_t count;
};

// The value on top of the stack as text: a string, a number or a ctz.secret. It must outlive the
// list, so it is anchored in the table at `anchor`.
static const char *read_header_value(lua_State *L, const char *name, int anchor)
{
    size_t length;
    const char *value = ctz_secret_at(L, -1, &length);
    lua_pushvalue(L, -1);
    if (!value)
        value = lua_tolstring(L, -1, &length);
    if (!value)
        ctz_usage(L, "bad argument 'opts.headers' to '%s': the header %s is a %s",
                  ctz_function_name(L), name, luaL_typename(L, -1));
    if (strlen(value) != length)
        ctz_usage(L, "bad argument 'opts.headers' to '%s': the header %s holds a NUL byte",
                  ctz_function_name(L), name);
    luaL_ref(L, anchor);
    return value;
}

// Names in order, so that the same table is sent the same way each time.
static int by_name(const void *left, const void *right)
{
    const struct ctz_http_header *a = left, *b = right;
    int order = strcasecmp(a->name, b->name);
    return order ? order : (a < b ? -1 : a > b); // values of one name keep theirs
}

static size_t count_values(lua_State *L, int headers)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1))
        count += lua_type(L, -1) == LUA_TTABLE ? lua_rawlen(L, -1) : 1;
    return count;
}

static void add_header(lua_State *L, struct ctz_http_header *list, size_t *count, const char *name,
                       int anchor)
{
    list[*count].name = name;
    list[*count].value = read_header_value(L, name, anchor);
    ++*count;
}

// headers = {Name = value | {value, value}}
static void read_headers(lua_State *L, int opts, struct ctz_http_spec *spec)
{
    if (ctz_opt_field(L, opts, "headers") == LUA_TNIL)
        return;
    if (lua_type(L, -1) != LUA_TTABLE)
        ctz_usage(L, "bad argument 'opts.headers' to '%s': expected table, got %s",
                  ctz_function_name(L), luaL_typename(L, -1));
    int headers = lua_gettop(L);
    size_t most = count_values(L, headers), count = 0;
    struct ctz_http_header *list = lua_newuserdatauv(L, (most + 1) * sizeof *list, 0);
    lua_newtable(L);
    int anchor = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, headers); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            ctz_usage(L,
                      "bad argument 'opts.headers' to '%s': a header has a name, got a %s as key",
                      ctz_function_name(L), luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (strlen(name) != lua_rawlen(L, -2))
            ctz_usage(L, "bad argument 'opts.headers' to '%s': a name holds a NUL byte",
                      ctz_function_name(L));
        if (lua_type(L, -1) != LUA_TTABLE) {
            add_header(L, list, &count, name, anchor);
            continue;
        }
        lua_Integer values = (lua_Integer)lua_rawlen(L, -1);
        for (lua_Integer i = 1; i <= values && count < most; i++, lua_pop(L, 1)) {
            lua_rawgeti(L, -1, i);
            add_header(L, list, &count, name, anchor);
        }
    }
    if (count > 1)
        qsort(list, count, sizeof *list, by_name);
    spec->headers = list;
    spec->header_count = count;
}

// --- TLS ---------------------------------------------------------------------------------------

static void allow_file(lua_State *L, const char *path)
{
    if (path && ctz_host(L)->allow)
        ctz_allow(L, CTZ_CAP_READ, path);
}

// A text with a PEM block is one; everything else is a file's name.
static void read_pem(lua_State *L, int tls, const char *name, const char **file, const char **pem)
{
    const char *text = read_secret(L, tls, name);
    if (text && strstr(text, "-----BEGIN "))
        *pem = text;
    else
        allow_file(L, *file = text);
}

static void read_tls(lua_State *L, int opts, struct ctz_http_tls *tls)
{
    static const char *const names[] = {"ca",    "cert",        "key", "insecure",
                                        "probe", "server_name", NULL};
    tls->insecure = ctz_opt_bool(L, opts, "insecure", false);
    if (ctz_opt_field(L, opts, "tls") == LUA_TNIL)
        return;
    int table = lua_gettop(L);
    if (lua_type(L, table) != LUA_TTABLE)
        ctz_usage(L, "bad argument 'opts.tls' to '%s': expected table, got %s",
                  ctz_function_name(L), luaL_typename(L, table));
    ctz_opts_check(L, table, names);
    read_pem(L, table, "ca", &tls->ca_file, &tls->ca_pem);
    read_pem(L, table, "cert", &tls->cert_file, &tls->cert_pem);
    read_pem(L, table, "key", &tls->key_file, &tls->key_pem);
    tls->server_name = read_text(L, table, "server_name");
    tls->insecure = ctz_opt_bool(L, table, "insecure", tls->insecure);
    tls->probe = ctz_opt_bool(L, table, "probe", false);
}

static void read_auth(lua_State *L, int opts, struct ctz_http_spec *spec)
{
    static const char *const names[] = {"user", "password", NULL};
    spec->bearer = read_secret(L, opts, "bearer");
    if (ctz_opt_field(L, opts, "auth") == LUA_TNIL)
        return;
    int table = lua_gettop(L);
    if (lua_type(L, table) != LUA_TTABLE)
        ctz_usage(L, "bad argument 'opts.auth' to '%s': expected {user=, password=}, got %s",
                  ctz_function_name(L), luaL_typename(L, table));
    ctz_opts_check(L, table, names);
    spec->user = read_secret(L, table, "user");
    spec->password = read_secret(L, table, "password");
    if (!spec->user)
        ctz_usage(L, "bad argument 'opts.auth' to '%s': it names no user", ctz_function_name(L));
}

// --- the rest ----------------------------------------------------------------------------------

static void read_numbers(lua_State *L, int opts, struct ctz_http_spec *spec, double idle_s)
{
    static const char *const versions[] = {"1.1", "2", NULL};
    spec->timeout_s = ctz_opt_seconds(L, opts, "timeout", 0);
    spec->idle_timeout_s = ctz_opt_seconds(L, opts, "idle_timeout", idle_s);
    spec->connect_timeout_s = ctz_opt_seconds(L, opts, "connect_timeout", 0);
    spec->max_body_bytes = (uint64_t)ctz_opt_integer(L, opts, "max_bytes", 1, INT64_MAX / 4, 0);
    spec->redirects = (int)ctz_opt_integer(L, opts, "redirects", 0, 1000, CTZ_HTTP_REDIRECTS);
    spec->version = (enum ctz_http_version)ctz_opt_choice(L, opts, "http_version", versions, 0);
}

static void read_body(lua_State *L, int opts, struct ctz_http_spec *spec)
{
    int type = ctz_opt_field(L, opts, "body");
    if (type == LUA_TSTRING)
        spec->body = lua_tolstring(L, -1, &spec->body_size);
    else if (type != LUA_TNIL && type != LUA_TFUNCTION)
        ctz_usage(L, "bad argument 'opts.body' to '%s': expected string or function, got %s",
                  ctz_function_name(L), luaL_typename(L, -1));
    if (type != LUA_TFUNCTION && ctz_opt_field(L, opts, "length") != LUA_TNIL)
        ctz_usage(L, "bad argument 'opts.length' to '%s': it is for a body that a function makes",
                  ctz_function_name(L));
}

// --- permission of another door ------------------------------------------------------------------

// What ctz.docker or ctz.kubernetes was granted: requests to this one address need no net. One of
// net grants nothing more; with `reads` it says of a POST that it only asks, as for a registry's
// token.
struct grant {
    bool reads;     // a request that only looks, whatever its method: sent under --dry-run too
    char address[]; // as ctz_http_subject has it
};

#define GRANT_CLASS "ctz.http.grant"

// A socket of our own, of which nobody else has the descriptor: a relay that another door was asked
// for.
static bool is_relay(const char *address)
{
    static const char prefix[] = "unix:/proc/self/fd/";
    return strncmp(address, prefix, sizeof prefix - 1) == 0;
}

// http.grant(capability, address, reads?) -> grant
int http_l_grant(lua_State *L)
{
    static const char *const names[] = {"docker", "kubernetes", "net", NULL};
    static const enum ctz_capability capabilities[] = {CTZ_CAP_DOCKER, CTZ_CAP_KUBERNETES,
                                                       CTZ_CAP_NET};
    int which = luaL_checkoption(L, 1, NULL, names);
    size_t length;
    const char *address = ctz_check_string(L, 2, "address", &length);
    bool reads = lua_toboolean(L, 3); // before the grant takes that place
    if (!is_relay(address))
        ctz_allow(L, capabilities[which], address);
    struct grant *grant = ctz_object_new(L, GRANT_CLASS, sizeof *grant + length + 1, 0);
    grant->reads = reads;
    memcpy(grant->address, address, length + 1);
    return 1;
}

void http_open_grant(lua_State *L)
{
    static const struct ctz_reg methods[] = {{NULL, NULL, CTZ_CAP_UNNAMED, 0, 0}};
    ctz_class(L, GRANT_CLASS, methods);
}

static const struct grant *read_grant(lua_State *L, int opts)
{
    if (ctz_opt_field(L, opts, "grant") == LUA_TNIL)
        return NULL;
    return ctz_object_check(L, -1, GRANT_CLASS);
}

static bool is_granted(const struct grant *grant, const struct ctz_http_spec *spec)
{
    struct ctz_error err = {0};
    char *subject = grant ? ctz_http_subject(spec, &err) : NULL;
    bool same = subject && strcmp(subject, grant->address) == 0;
    ctz_free(subject);
    ctz_error_clear(&err);
    return same;
}

static void refuse_mode(lua_State *L, const char *what)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_UNSUPPORTED, "%s is not done under %s", what,
                  ctz_host(L)->dry_run ? "--dry-run" : "--simulate");
    ctz_error_hint(&err, "branch on ctz.mode(), or run without it");
    ctz_raise(L, &err);
}

// Under --dry-run and --simulate only what looks is done; a file is written under --simulate.
static void check_modes(lua_State *L, const struct ctz_http_spec *spec, const char *to,
                        const struct grant *grant)
{
    const struct ctz_host *host = ctz_host(L);
    if ((!host->dry_run && !host->simulate) || (grant && grant->reads && is_granted(grant, spec)))
        return;
    char url[512];
    ctz_http_shown(spec->url, url, sizeof url);
    if (strcmp(spec->method, "GET") != 0 && strcmp(spec->method, "HEAD") != 0) {
        if (host->dry_run)
            ctz_plan(L, "%s %s", spec->method, url);
        refuse_mode(L, lua_pushfstring(L, "%s, which changes things,", spec->method));
    } else if (to && host->dry_run) {
        ctz_plan(L, "save %s as %s", url, to);
        refuse_mode(L, "saving a file");
    } else if (spec->upgrade || spec->connect) {
        refuse_mode(L, "an upgraded connection");
    }
}

static void allow_subject(lua_State *L, char *take_subject, struct ctz_error *err)
{
    char copy[512];
    if (!take_subject)
        ctz_raise(L, err);
    strncpy(copy, take_subject, sizeof copy - 1); // one that is cut matches nothing that is granted
    copy[sizeof copy - 1] = '\0';
    ctz_free(take_subject);
    ctz_allow(L, CTZ_CAP_NET, copy);
}

// A proxy that the recipe names is reached as well; one of the environment is the user's own.
static void check_permission(lua_State *L, const struct ctz_http_spec *spec, const char *to,
                             const struct grant *grant)
{
    struct ctz_error err = {0};
    if (!ctz_host(L)->allow)
        return;
    if (!is_granted(grant, spec))
        allow_subject(L, ctz_http_subject(spec, &err), &err);
    if (spec->proxy && *spec->proxy && !spec->unix_socket)
        allow_subject(L, ctz_http_proxy_subject(spec->proxy, &err), &err);
    if (to)
        ctz_allow(L, CTZ_CAP_WRITE, to);
}

static const char *read_method(lua_State *L, const struct http_wishes *wishes)
{
    const char *wanted = read_text(L, 2, "method");
    if (wishes->method && wanted && strcmp(wishes->method, wanted) != 0)
        ctz_usage(L, "'%s' sends %s; ctz.http.request takes opts.method", ctz_function_name(L),
                  wishes->method);
    return wishes->method ? wishes->method : wanted ? wanted : "GET";
}

struct ctz_http_request *http_read_request(lua_State *L, struct http_wishes *wishes)
{
    struct ctz_http_spec spec = {
        .upgrade = wishes->upgrade, .connect = wishes->connect, .source = wishes->source};
    luaL_checkstack(L, 40, "options");
    spec.url = ctz_check_name(L, 1, "url");
    ctz_opts_check(L, 2, options);
    if (lua_gettop(L) < 2)
        lua_settop(L, 2);
    spec.method = read_method(L, wishes);
    const char *to = read_text(L, 2, "to");
    spec.stream = to || ctz_opt_bool(L, 2, "stream", false);
    if (lua_istable(L, 2)) {
        read_headers(L, 2, &spec);
        read_tls(L, 2, &spec.tls);
        read_auth(L, 2, &spec);
        read_body(L, 2, &spec);
        spec.unix_socket = read_text(L, 2, "unix_socket");
        spec.proxy = read_text(L, 2, "proxy");
    }
    read_numbers(L, 2, &spec, (spec.stream && !to) || spec.upgrade || spec.connect ? 0 : IDLE_S);
    spec.compressed =
        ctz_opt_bool(L, 2, "compressed", !spec.stream && !spec.upgrade && !spec.connect);
    spec.once = ctz_opt_bool(L, 2, "once", false);
    wishes->check = spec.collect_errors = ctz_opt_bool(L, 2, "check", true);
    const struct grant *grant = lua_istable(L, 2) ? read_grant(L, 2) : NULL;
    check_permission(L, &spec, to, grant);
    check_modes(L, &spec, to, grant);
    struct ctz_error err = {0};
    struct ctz_http_request *request = ctz_http_new(ctz_http_client(L), &spec, &err);
    if (!request)
        ctz_raise(L, &err);
    return request;
}
