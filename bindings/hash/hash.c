// hash.c: SHA-256 and SHA-512 of texts, streams and files: the door ctz.core.hash.
// SPDX-License-Identifier: MIT
//
// Streams and files go through OpenSSL's EVP, whose algorithms are looked up once a Lua state. The
// first look-up starts all of OpenSSL, 2 ms of CPU: for a text, what EVP calls is called directly.
#define OPENSSL_SUPPRESS_DEPRECATED // SHA256_Init and its kin
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/luax.h"
#include "host/op.h"

#define STREAM_CLASS "ctz.hash.stream"
#define TABLE_CLASS  "ctz.hash.algorithms"
#define SLICE_BYTES  (256 * CTZ_KIB) // read at once; it stays in the second-level cache
#define HEX_BYTES    (2 * EVP_MAX_MD_SIZE)

enum { SHA_256, SHA_512, ALGORITHM_COUNT };
static const char *const names[] = {"sha256", "sha512", NULL};
static const char *const openssl_names[] = {"SHA256", "SHA512"};

// A userdata in the registry, under the address of this struct's key.
struct algorithms {
    EVP_MD *fetched[ALGORITHM_COUNT]; // owned; NULL until the first use
};
static const char algorithms_key;

// --- plain C -----------------------------------------------------------------------------------

static size_t write_hex(char hex[HEX_BYTES], const unsigned char *bytes, unsigned size)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < size; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    return 2 * (size_t)size;
}

static int fail(struct ctz_error *err, int error_number, const char *path)
{
    ctz_error_system(err, error_number, "read %s", path);
    ctz_error_target(err, path);
    return -1;
}

struct file_op {
    struct ctz_op op;
    EVP_MD *algorithm; // a reference of its own
    char *path;        // owned
    char hex[HEX_BYTES];
    size_t hex_size;
};

static int hash_slices(struct file_op *file, int fd, EVP_MD_CTX *context, char *slice)
{
    struct ctz_error *err = &file->op.err;
    for (;;) {
        int fault = CTZ_FAULT("read");
        ssize_t size = fault ? -1 : read(fd, slice, SLICE_BYTES);
        if (size < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (size < 0)
            return fail(err, fault ? fault : errno, file->path);
        if (size == 0)
            return 0;
        if (!EVP_DigestUpdate(context, slice, (size_t)size))
            return ctz_error_set(err, CTZ_ERROR_INTERNAL, "OpenSSL cannot hash");
        if (ctz_op_given_up(&file->op))
            return ctz_error_set(err, CTZ_ERROR_CANCELLED, "read %s: cancelled", file->path);
    }
}

static int hash_descriptor(struct file_op *file, int fd)
{
    struct ctz_error *err = &file->op.err;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char *slice = ctz_malloc(SLICE_BYTES);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int result = -1;
    if (!slice || !context || !EVP_DigestInit_ex(context, file->algorithm, NULL))
        ctz_error_set(err, CTZ_ERROR_IO, "hash %s: out of memory", file->path);
    else
        result = hash_slices(file, fd, context, slice);
    if (result == 0 && EVP_DigestFinal_ex(context, digest, &size))
        file->hex_size = write_hex(file->hex, digest, size);
    EVP_MD_CTX_free(context);
    ctz_free(slice);
    return result;
}

static void hash_file(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    struct stat status;
    int fault = CTZ_FAULT("open");
    // O_NONBLOCK: the open of a fifo would wait for a writer.
    int fd = fault ? -1 : open(file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        fail(&op->err, fault ? fault : errno, file->path);
        return;
    }
    if (fstat(fd, &status) != 0) {
        fail(&op->err, errno, file->path);
    } else if (!S_ISREG(status.st_mode)) {
        ctz_error_set(&op->err, CTZ_ERROR_UNSUPPORTED, "%s is not a regular file", file->path);
        ctz_error_target(&op->err, file->path);
    } else {
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        hash_descriptor(file, fd);
    }
    close(fd);
}

// --- push and read -----------------------------------------------------------------------------

static int push_file(lua_State *L, struct ctz_op *op)
{
    const struct file_op *file = (const struct file_op *)op;
    lua_pushlstring(L, file->hex, file->hex_size);
    return 1;
}

static void clear_file(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    EVP_MD_free(file->algorithm);
    ctz_free(file->path);
}

static const struct ctz_op_class file_class = {
    .name = "hash a file", .work = hash_file, .push = push_file, .clear = clear_file};

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

// Borrowed from the state.
static EVP_MD *fetch(lua_State *L, int which)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &algorithms_key);
    struct algorithms *all = lua_touserdata(L, -1);
    lua_pop(L, 1); // the registry keeps it
    // OpenSSL 3.0 crashes in the look-up when its own start ran out of memory.
    if (!all->fetched[which] && OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) &&
        OSSL_LIB_CTX_get0_global_default())
        all->fetched[which] = EVP_MD_fetch(NULL, openssl_names[which], NULL);
    if (!all->fetched[which]) {
        struct ctz_error err = {0};
        ctz_error_set(&err, CTZ_ERROR_IO, "OpenSSL offers no %s, or is out of memory",
                      names[which]);
        ctz_raise(L, &err);
    }
    return all->fetched[which];
}

static int check_algorithm(lua_State *L, int arg)
{
    if (lua_isnoneornil(L, arg))
        return SHA_256;
    const char *wanted = ctz_check_string(L, arg, "algorithm", NULL);
    for (int i = 0; i < ALGORITHM_COUNT; i++)
        if (strcmp(names[i], wanted) == 0)
            return i;
    return ctz_usage(L, "bad argument 'algorithm' to '%s': expected sha256 or sha512, got \"%s\"",
                     ctz_function_name(L), wanted);
}

static int push_hex(lua_State *L, const unsigned char *digest, unsigned size)
{
    char hex[HEX_BYTES];
    lua_pushlstring(L, hex, write_hex(hex, digest, size));
    return 1;
}

// --- functions ---------------------------------------------------------------------------------

/// ctz.hash.sha256(text) -> string
/// The SHA-256 of a text, as 64 lower-case hex digits. For files use ctz.hash.file, which lets
/// other tasks run meanwhile.
/// @param text string  any bytes
/// @return string
/// @example assert(ctz.hash.sha256("abc"):sub(1, 8) == "ba7816bf")
static int l_sha256(lua_State *L)
{
    SHA256_CTX context;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    size_t size;
    const char *text = ctz_check_string(L, 1, "text", &size);
    if (!SHA256_Init(&context) || !SHA256_Update(&context, text, size) ||
        !SHA256_Final(digest, &context))
        return luaL_error(L, "OpenSSL cannot hash");
    return push_hex(L, digest, sizeof digest);
}

/// ctz.hash.sha512(text) -> string
/// The SHA-512 of a text, as 128 lower-case hex digits.
/// @param text string  any bytes
/// @return string
/// @example assert(ctz.hash.sha512("abc"):sub(1, 8) == "ddaf35a1")
static int l_sha512(lua_State *L)
{
    SHA512_CTX context;
    unsigned char digest[SHA512_DIGEST_LENGTH];
    size_t size;
    const char *text = ctz_check_string(L, 1, "text", &size);
    if (!SHA512_Init(&context) || !SHA512_Update(&context, text, size) ||
        !SHA512_Final(digest, &context))
        return luaL_error(L, "OpenSSL cannot hash");
    return push_hex(L, digest, sizeof digest);
}

/// ctz.hash.file(path, opts?) -> string
/// The hash of a file's content as lower-case hex digits. It is read on the thread pool, in
/// constant memory.
/// @async
/// @param path string
/// @param opts.algorithm? "sha256"|"sha512"  default "sha256"
/// @param opts.timeout? ctz.seconds  default: what is left of the task's deadline
/// @return string
/// @error not_found    there is no such file
/// @error denied       it may not be read
/// @error unsupported  it is a folder, a device or another thing that is not a regular file
/// @example local file <close> = assert(io.open("abc.txt", "w")) file:write("abc") file:close()
/// @example assert(ctz.hash.file("abc.txt") == ctz.hash.sha256("abc"))
static int l_file(lua_State *L)
{
    static const char *const options[] = {"algorithm", "timeout", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, options);
    EVP_MD *algorithm = fetch(L, ctz_opt_choice(L, 2, "algorithm", names, SHA_256));
    double timeout_s = ctz_opt_seconds(L, 2, "timeout", 0);
    struct file_op *file = ctz_op_new(L, &file_class, sizeof *file);
    file->path = ctz_strdup(path);
    file->op.timeout_s = timeout_s;
    if (!file->path || !EVP_MD_up_ref(algorithm)) {
        ctz_op_discard(&file->op);
        return no_memory(L);
    }
    file->algorithm = algorithm;
    return ctz_await(L, file);
}

/// ctz.hash.new(algorithm?) -> ctz.hash.Stream
/// A running hash, for content that comes in parts: `update` takes bytes, `digest` tells the hash
/// of all that came so far.
/// @param algorithm? "sha256"|"sha512"  default "sha256"
/// @return ctz.hash.Stream
/// @error usage  no such algorithm
/// @example local digest = ctz.hash.new("sha256"):update("a"):update("bc"):digest()
/// @example assert(digest == ctz.hash.sha256("abc"))
static int l_new(lua_State *L)
{
    EVP_MD *algorithm = fetch(L, check_algorithm(L, 1));
    EVP_MD_CTX **stream = ctz_object_new(L, STREAM_CLASS, sizeof(EVP_MD_CTX *), 0);
    *stream = EVP_MD_CTX_new();
    if (!*stream || !EVP_DigestInit_ex(*stream, algorithm, NULL))
        return no_memory(L);
    return 1;
}

// --- streams -----------------------------------------------------------------------------------

/// stream:update(text) -> ctz.hash.Stream
/// Adds bytes; returns the stream, so that calls can be chained.
/// @param text string
/// @return ctz.hash.Stream
/// @example assert(#ctz.hash.new("sha512"):update("x"):digest() == 128)
static int l_stream_update(lua_State *L)
{
    EVP_MD_CTX **stream = ctz_object_check(L, 1, STREAM_CLASS);
    size_t size;
    const char *text = ctz_check_string(L, 2, "text", &size);
    if (!EVP_DigestUpdate(*stream, text, size))
        return no_memory(L);
    lua_settop(L, 1);
    return 1;
}

/// stream:digest() -> string
/// The hash of all bytes so far, as lower-case hex digits. More may follow.
/// @return string
/// @example local stream = ctz.hash.new() assert(stream:digest() == ctz.hash.sha256(""))
static int l_stream_digest(lua_State *L)
{
    EVP_MD_CTX **stream = ctz_object_check(L, 1, STREAM_CLASS);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_MD_CTX *copy = EVP_MD_CTX_new(); // the end of a hash spoils its context
    bool done =
        copy && EVP_MD_CTX_copy_ex(copy, *stream) && EVP_DigestFinal_ex(copy, digest, &size);
    EVP_MD_CTX_free(copy);
    if (!done)
        return no_memory(L);
    return push_hex(L, digest, size);
}

static int l_stream_gc(lua_State *L)
{
    EVP_MD_CTX **stream = ctz_object_check(L, 1, STREAM_CLASS);
    EVP_MD_CTX_free(*stream);
    *stream = NULL;
    return 0;
}

static const struct ctz_reg stream_methods[] = {
    {"hash.stream.update", l_stream_update, CTZ_CAP_PURE, 0, 0},
    {"hash.stream.digest", l_stream_digest, CTZ_CAP_PURE, 0, 0},
    {"hash.stream.__gc", l_stream_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static int l_algorithms_gc(lua_State *L)
{
    struct algorithms *all = ctz_object_check(L, 1, TABLE_CLASS);
    for (int i = 0; i < ALGORITHM_COUNT; i++)
        EVP_MD_free(all->fetched[i]);
    memset(all, 0, sizeof *all);
    return 0;
}

static const struct ctz_reg algorithms_methods[] = {
    {"hash.algorithms.__gc", l_algorithms_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// --- the door ----------------------------------------------------------------------------------

static const struct ctz_reg functions[] = {
    {"hash.sha256", l_sha256, CTZ_CAP_PURE, 0, 0}, {"hash.sha512", l_sha512, CTZ_CAP_PURE, 0, 0},
    {"hash.file", l_file, CTZ_CAP_READ, 1, 0},     {"hash.new", l_new, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_hash(lua_State *L);

int luaopen_ctz_core_hash(lua_State *L)
{
    ctz_class(L, STREAM_CLASS, stream_methods);
    ctz_class(L, TABLE_CLASS, algorithms_methods);
    ctz_object_new(L, TABLE_CLASS, sizeof(struct algorithms), 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &algorithms_key);
    ctz_door(L, functions);
    return 1;
}
