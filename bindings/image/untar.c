// untar.c: a tar stream read as it comes. Our own, because libarchive's reader asks for its bytes:
// a stream that is pushed at it would keep a thread waiting, and it ends the process when memory
// runs out. POSIX.1-2001 pax; GNU tar's long names and base-256 numbers; no sparse files.
// SPDX-License-Identifier: MIT
#include "bindings/image/untar.h"

#include <stdlib.h>
#include <string.h>

#include "host/alloc.h"
#include "host/limits.h"

#define BLOCK           512
#define MAX_EXTRA_BYTES (1 * CTZ_MIB) // of one pax header or long name
#define MAX_RAW_BYTES   (8 * CTZ_MIB) // of all headers of one entry
#define XATTR_KEY       "SCHILY.xattr."
#define MAX_SIZE        (INT64_MAX - 2 * BLOCK)

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "tar: out of memory");
}

static int malformed(struct ctz_error *err, const char *why)
{
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the tar is malformed: %s", why);
}

// --- numbers -----------------------------------------------------------------------------------

// Octal digits between spaces, or base 256 when the first bit is set.
static int read_number(const char *field, size_t size, int64_t *value)
{
    const unsigned char *at = (const unsigned char *)field;
    uint64_t sum = 0;
    if (at[0] & 0x80) {
        bool negative = at[0] & 0x40;
        sum = negative ? UINT64_MAX : 0;
        for (size_t i = 0; i < size; i++) {
            unsigned char byte = i == 0 ? (unsigned char)(at[0] << 1) >> 1 : at[i];
            if (i == 0 && negative)
                byte |= 0x80;
            if (i + 8 < size && byte != (negative ? 0xff : 0))
                return -1;
            sum = sum << 8 | byte;
        }
        *value = (int64_t)sum;
        return (*value < 0) == negative ? 0 : -1;
    }
    size_t i = 0;
    while (i < size && (at[i] == ' ' || at[i] == '0'))
        i++;
    for (; i < size && at[i] >= '0' && at[i] <= '7'; i++) {
        if (sum >> 60)
            return -1;
        sum = sum << 3 | (at[i] - '0');
    }
    while (i < size && (at[i] == ' ' || at[i] == '\0'))
        i++;
    *value = (int64_t)sum;
    return i == size ? 0 : -1;
}

static bool checksum_holds(const char *block)
{
    int64_t wanted, sum = 0, signed_sum = 0; // old tars add signed bytes
    for (size_t i = 0; i < BLOCK; i++) {
        char byte = i >= 148 && i < 156 ? ' ' : block[i];
        sum += (unsigned char)byte;
        signed_sum += (signed char)byte;
    }
    return read_number(block + 148, 8, &wanted) == 0 && (wanted == sum || wanted == signed_sum);
}

// --- pax headers -------------------------------------------------------------------------------

static int keep(char **slot, const char *bytes, size_t size, struct ctz_error *err)
{
    if (memchr(bytes, '\0', size))
        return malformed(err, "a name holds a NUL byte");
    ctz_free(*slot);
    *slot = ctz_memdup(bytes, size);
    return *slot ? 0 : no_memory(err);
}

// The name with its NUL, the value's size (4 bytes), the value.
static int keep_xattr(struct ctz_untar *untar, const char *name, const char *value, size_t size,
                      struct ctz_error *err)
{
    uint32_t length = (uint32_t)size;
    if (untar->xattrs.max_bytes == 0)
        ctz_buffer_init(&untar->xattrs, MAX_EXTRA_BYTES);
    ctz_buffer_append(&untar->xattrs, name, strlen(name) + 1);
    ctz_buffer_append(&untar->xattrs, &length, sizeof length);
    return ctz_buffer_append(&untar->xattrs, value, size) == 0 ? 0 : no_memory(err);
}

bool ctz_untar_next_xattr(const char *xattrs, size_t bytes, size_t *at,
                          struct ctz_untar_xattr *xattr)
{
    uint32_t length;
    if (!xattrs || *at >= bytes)
        return false;
    xattr->name = xattrs + *at;
    *at += strlen(xattr->name) + 1;
    memcpy(&length, xattrs + *at, sizeof length);
    xattr->value = xattrs + *at + sizeof length;
    xattr->value_bytes = length;
    *at += sizeof length + length;
    return true;
}

// Digits, with a sign and a fraction where those are allowed (the fraction is dropped).
static int read_decimal(const char *value, bool is_time, int64_t *number, struct ctz_error *err)
{
    bool negative = is_time && *value == '-';
    const char *at = value + negative;
    int64_t sum = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, *at - '0', &sum))
            return malformed(err, "a number is too large");
    if (at == value + negative || (*at && !(is_time && *at == '.')))
        return malformed(err, "a number is none");
    *number = negative ? -sum : sum;
    return 0;
}

static int take_record(struct ctz_untar *untar, const char *key, const char *value, size_t size,
                       struct ctz_error *err)
{
    if (strcmp(key, "path") == 0)
        return keep(&untar->path, value, size, err);
    if (strcmp(key, "linkpath") == 0)
        return keep(&untar->link, value, size, err);
    if (strncmp(key, XATTR_KEY, sizeof XATTR_KEY - 1) == 0)
        return keep_xattr(untar, key + sizeof XATTR_KEY - 1, value, size, err);
    if (strncmp(key, "GNU.sparse.", 11) == 0)
        return ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "the tar holds a sparse file");
    int64_t number;
    if (strcmp(key, "size") == 0) {
        untar->has_size = true;
        if (read_decimal(value, false, &number, err) != 0)
            return -1;
        untar->size = (uint64_t)number;
    } else if (strcmp(key, "mtime") == 0) {
        untar->has_mtime = true;
        return read_decimal(value, true, &untar->mtime_s, err);
    } else if (strcmp(key, "uid") == 0) {
        untar->has_uid = true;
        return read_decimal(value, false, &untar->uid, err);
    } else if (strcmp(key, "gid") == 0) {
        untar->has_gid = true;
        return read_decimal(value, false, &untar->gid, err);
    }
    return 0;
}

// "<length> <key>=<value>\n", where the length counts itself.
static int take_records(struct ctz_untar *untar, struct ctz_error *err)
{
    char *at = untar->extra.bytes, *end = at + untar->extra.length;
    while (at < end) {
        char *space = memchr(at, ' ', (size_t)(end - at));
        char *rest;
        unsigned long length = space && *at >= '0' && *at <= '9' ? strtoul(at, &rest, 10) : 0;
        if (length == 0 || rest != space || length > (size_t)(end - at) ||
            at + length <= space + 1 || at[length - 1] != '\n')
            return malformed(err, "a pax record has a wrong length");
        char *next = at + length, *key = space + 1;
        char *equals = memchr(key, '=', (size_t)(next - key));
        if (!equals)
            return malformed(err, "a pax record has no value");
        *equals = '\0';
        next[-1] = '\0';
        if (take_record(untar, key, equals + 1, (size_t)(next - 1 - equals - 1), err) != 0)
            return -1;
        at = next;
    }
    return 0;
}

static int end_extra(struct ctz_untar *untar, struct ctz_error *err)
{
    char type = untar->extra_type;
    const char *bytes = untar->extra.bytes ? untar->extra.bytes : "";
    untar->extra_type = 0;
    int result = 0;
    if (type == 'x' && untar->extra.length)
        result = take_records(untar, err);
    else if (type == 'L')
        result = keep(&untar->path, bytes, strnlen(bytes, untar->extra.length), err);
    else if (type == 'K')
        result = keep(&untar->link, bytes, strnlen(bytes, untar->extra.length), err);
    ctz_buffer_clear(&untar->extra);
    return result;
}

// --- a header as it stands there ----------------------------------------------------------------

static int keep_raw(struct ctz_untar *untar, const char *bytes, size_t size)
{
    if (!untar->keep_raw)
        return 0;
    if (untar->raw.max_bytes == 0)
        ctz_buffer_init(&untar->raw, MAX_RAW_BYTES);
    return ctz_buffer_append(&untar->raw, bytes, size);
}

// --- a header ----------------------------------------------------------------------------------

static int read_names(struct ctz_untar *untar, struct ctz_error *err)
{
    const char *block = untar->block;
    size_t prefix = memcmp(block + 257, "ustar", 6) == 0 ? strnlen(block + 345, 155) : 0;
    if (!untar->path)
        untar->path =
            ctz_asprintf("%.*s%s%.100s", (int)prefix, block + 345, prefix ? "/" : "", block);
    if (!untar->link)
        untar->link = ctz_memdup(block + 157, strnlen(block + 157, 100));
    return untar->path && untar->link ? 0 : no_memory(err);
}

static int read_facts(const struct ctz_untar *untar, struct ctz_untar_entry *entry,
                      struct ctz_error *err)
{
    int64_t mode, uid, gid, size, mtime;
    const char *block = untar->block;
    if (read_number(block + 100, 8, &mode) != 0 || read_number(block + 108, 8, &uid) != 0 ||
        read_number(block + 116, 8, &gid) != 0 || read_number(block + 124, 12, &size) != 0 ||
        read_number(block + 136, 12, &mtime) != 0)
        return malformed(err, "a number in a header is none");
    size = untar->has_size ? (int64_t)untar->size : size;
    uid = untar->has_uid ? untar->uid : uid;
    gid = untar->has_gid ? untar->gid : gid;
    if (size < 0 || size > MAX_SIZE || uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
        return malformed(err, "a number in a header is out of range");
    entry->mode = (uint32_t)mode & 07777;
    entry->uid = (uint32_t)uid;
    entry->gid = (uint32_t)gid;
    entry->size = (uint64_t)size;
    entry->mtime_s = untar->has_mtime ? untar->mtime_s : mtime;
    return 0;
}

static void forget(struct ctz_untar *untar)
{
    ctz_free(untar->path);
    ctz_free(untar->link);
    untar->path = untar->link = NULL;
    untar->has_size = untar->has_mtime = untar->has_uid = untar->has_gid = false;
    ctz_buffer_clear(&untar->xattrs);
    ctz_buffer_clear(&untar->raw);
}

static char type_of(const struct ctz_untar *untar, const char *path)
{
    char type = untar->block[156];
    size_t length = strlen(path);
    if (type != '\0' && type != '0' && type != '7')
        return type;
    return length > 0 && path[length - 1] == '/' ? '5' : '0'; // as before POSIX
}

static int end_file(struct ctz_untar *untar, struct ctz_error *err)
{
    untar->in_file = false;
    return untar->events->end(untar->owner, err);
}

// What a device has and nothing else; anything there that is no number counts as 0.
static void read_device(const struct ctz_untar *untar, struct ctz_untar_entry *entry)
{
    int64_t major, minor;
    if (read_number(untar->block + 329, 8, &major) == 0)
        entry->major = (uint32_t)major;
    if (read_number(untar->block + 337, 8, &minor) == 0)
        entry->minor = (uint32_t)minor;
}

static int begin_entry(struct ctz_untar *untar, struct ctz_error *err)
{
    struct ctz_untar_entry entry = {0};
    if (read_names(untar, err) != 0 || read_facts(untar, &entry, err) != 0)
        return -1;
    entry.path = untar->path;
    entry.link = untar->link;
    entry.type = type_of(untar, untar->path);
    if (entry.type < '0' || entry.type > '6')
        return ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "the tar holds an entry of type '%c': %s",
                             entry.type, entry.path);
    if (entry.type != '0') // only files have content (as Go's reader has it)
        entry.size = 0;
    if (entry.type == '3' || entry.type == '4')
        read_device(untar, &entry);
    entry.xattrs = untar->xattrs.bytes;
    entry.xattrs_bytes = untar->xattrs.length;
    int result = untar->events->entry(untar->owner, &entry, err);
    forget(untar);
    untar->left = entry.size;
    untar->padding = -entry.size & (BLOCK - 1);
    untar->in_file = entry.type == '0';
    return result == 0 && untar->in_file && untar->left == 0 ? end_file(untar, err) : result;
}

static int begin_extra(struct ctz_untar *untar, char type, struct ctz_error *err)
{
    int64_t size;
    if (read_number(untar->block + 124, 12, &size) != 0 || size < 0)
        return malformed(err, "a number in a header is none");
    if ((uint64_t)size > MAX_EXTRA_BYTES)
        return ctz_error_set(err, CTZ_ERROR_SIZE, "the tar has a header of %lld bytes",
                             (long long)size);
    untar->extra_type = type;
    untar->left = (uint64_t)size;
    untar->padding = -(uint64_t)size & (BLOCK - 1);
    ctz_buffer_init(&untar->extra, MAX_EXTRA_BYTES);
    return size == 0 ? end_extra(untar, err) : 0;
}

static int read_header(struct ctz_untar *untar, struct ctz_error *err)
{
    static const char zeros[BLOCK];
    untar->filled = 0;
    if (memcmp(untar->block, zeros, BLOCK) == 0) {
        untar->ended = true;
        return 0;
    }
    if (!checksum_holds(untar->block))
        return malformed(err, "a header has a wrong checksum");
    if (keep_raw(untar, untar->block, BLOCK) != 0)
        return no_memory(err);
    char type = untar->block[156];
    if (type == 'x' || type == 'g' || type == 'L' || type == 'K')
        return begin_extra(untar, type, err);
    return begin_entry(untar, err);
}

// --- the stream --------------------------------------------------------------------------------

static int take_content(struct ctz_untar *untar, const char *bytes, size_t size,
                        struct ctz_error *err)
{
    untar->left -= size;
    if (untar->in_file) {
        if (untar->events->content(untar->owner, bytes, size, err) != 0)
            return -1;
        return untar->left == 0 ? end_file(untar, err) : 0;
    }
    if (ctz_buffer_append(&untar->extra, bytes, size) != 0 || keep_raw(untar, bytes, size) != 0)
        return no_memory(err);
    return untar->left == 0 ? end_extra(untar, err) : 0;
}

// Takes a part of the bytes; how many, or -1.
static ptrdiff_t take(struct ctz_untar *untar, const char *bytes, size_t size,
                      struct ctz_error *err)
{
    if (untar->left > 0) {
        size = size < untar->left ? size : (size_t)untar->left;
        return take_content(untar, bytes, size, err) != 0 ? -1 : (ptrdiff_t)size;
    }
    if (untar->padding > 0) {
        size = size < untar->padding ? size : (size_t)untar->padding;
        untar->padding -= size;
        // That of a file's content is behind its event; raw is of the next entry then.
        if (untar->raw.length && keep_raw(untar, bytes, size) != 0)
            return no_memory(err);
        return (ptrdiff_t)size;
    }
    if (size > BLOCK - untar->filled)
        size = BLOCK - untar->filled;
    memcpy(untar->block + untar->filled, bytes, size);
    untar->filled += size;
    return untar->filled == BLOCK && read_header(untar, err) != 0 ? -1 : (ptrdiff_t)size;
}

// Behind the end there may be zeros, up to a whole record.
static int check_rest(struct ctz_untar *untar, const char *bytes, size_t size,
                      struct ctz_error *err)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i]) {
            untar->broken = true;
            return malformed(err, "bytes follow its end");
        }
    return 0;
}

int ctz_untar_feed(struct ctz_untar *untar, const char *bytes, size_t size, struct ctz_error *err)
{
    while (size > 0) {
        if (untar->ended)
            return untar->strict ? check_rest(untar, bytes, size, err) : 0;
        ptrdiff_t taken =
            untar->broken ? malformed(err, "it was given up") : take(untar, bytes, size, err);
        if (taken < 0) {
            untar->broken = true;
            return -1;
        }
        bytes += taken;
        size -= (size_t)taken;
    }
    return 0;
}

int ctz_untar_finish(struct ctz_untar *untar, struct ctz_error *err)
{
    if (untar->ended && !untar->broken)
        return 0;
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the tar ends early");
}

bool ctz_untar_is_between(const struct ctz_untar *untar)
{
    return untar->filled == 0 && untar->left == 0 && untar->padding == 0 && !untar->path &&
           !untar->link && !untar->has_size && untar->raw.length == 0 && !untar->broken;
}

void ctz_untar_clear(struct ctz_untar *untar)
{
    forget(untar);
    ctz_buffer_clear(&untar->extra);
}
