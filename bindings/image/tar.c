// tar.c: the bytes before a tar entry's content: POSIX.1-2001 (ustar, with pax headers where
// needed). SPDX-License-Identifier: MIT
//
// Our own and not libarchive's writer, whose bytes follow the locale and which ends the process
// when memory runs out: docs/decisions/010-own-tar-writer.md has the measurement.
#include "bindings/image/image.h"
#include "bindings/image/untar.h"

#include <stdio.h>
#include <string.h>

#define PAX_MAX_BYTES   (2 * 1024 * 1024) // all records of one entry
#define MAX_OCTAL_ID    07777777u         // seven octal digits
#define MAX_OCTAL_LONG  077777777777u     // eleven
#define PAX_HEADER_NAME "PaxHeader"       // the name that readers without pax would see

// The ustar header, IEEE Std 1003.1, pax, "ustar Interchange Format".
struct header {
    char name[100];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[100];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char device_major[8];
    char device_minor[8];
    char prefix[155];
    char unused[12];
};
_Static_assert(sizeof(struct header) == CTZ_TAR_BLOCK, "a header is one block");

static void set_octal(char *field, size_t size, uint64_t value)
{
    field[--size] = '\0';
    while (size > 0) {
        field[--size] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static void set_text(char *field, size_t size, const char *text, size_t length)
{
    memcpy(field, text, length < size ? length : size);
}

static void set_checksum(struct header *header)
{
    memset(header->checksum, ' ', sizeof header->checksum);
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof *header; i++)
        sum += ((const unsigned char *)header)[i];
    set_octal(header->checksum, 7, sum); // six digits, NUL, and the space that is there
}

// --- what fits ---------------------------------------------------------------------------------

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

// Length of the UTF-8 character at text, 0 when it is none (RFC 3629).
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0], second = first ? text[1] : 0;
    size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first > 0xf4 || (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static bool is_utf8(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        size_t length = utf8_length(at);
        if (!length)
            return false;
        at += length;
    }
    return true;
}

// Splits a path at a slash so that both parts fit; returns the length of the prefix (0: none is
// needed), or -1 when there is no such slash.
static int split_path(const char *path, size_t length)
{
    if (length <= sizeof((struct header *)0)->name)
        return 0;
    size_t prefix = sizeof((struct header *)0)->prefix;
    for (size_t at = prefix < length - 1 ? prefix : length - 2; at > 0; at--)
        if (path[at] == '/')
            return length - at - 1 <= sizeof((struct header *)0)->name ? (int)at : -1;
    return -1;
}

// --- pax ---------------------------------------------------------------------------------------

static size_t decimal_digits(size_t value)
{
    size_t digits = 1;
    while (value >= 10) {
        value /= 10;
        digits++;
    }
    return digits;
}

// "<length> <key>=<value>\n", where the length counts its own digits.
static void add_bytes(struct ctz_buffer *records, const char *key, const char *name,
                      const char *value, size_t size)
{
    size_t rest = strlen(key) + strlen(name) + size + 3, length = rest;
    while (rest + decimal_digits(length) != length)
        length = rest + decimal_digits(length);
    ctz_buffer_format(records, "%zu %s%s=", length, key, name);
    ctz_buffer_append(records, value, size);
    ctz_buffer_byte(records, '\n');
}

static void add_record(struct ctz_buffer *records, const char *key, const char *value)
{
    add_bytes(records, key, "", value, strlen(value));
}

static void add_xattrs(struct ctz_buffer *records, const struct ctz_tar_entry *entry)
{
    struct ctz_untar_xattr xattr;
    for (size_t at = 0; ctz_untar_next_xattr(entry->xattrs, entry->xattrs_bytes, &at, &xattr);)
        add_bytes(records, "SCHILY.xattr.", xattr.name, xattr.value, xattr.value_bytes);
}

static void add_number(struct ctz_buffer *records, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    add_record(records, key, text);
}

static void add_records(struct ctz_buffer *records, const struct ctz_tar_entry *entry,
                        const char *path, bool path_fits)
{
    const char *link = entry->link ? entry->link : "";
    bool path_record = !path_fits || (!is_ascii(path) && is_utf8(path));
    bool link_record =
        strlen(link) > sizeof((struct header *)0)->link || (!is_ascii(link) && is_utf8(link));
    // Names in a pax header are UTF-8 unless this record says otherwise.
    if ((path_record && !is_utf8(path)) || (link_record && !is_utf8(link)))
        add_record(records, "hdrcharset", "BINARY");
    add_xattrs(records, entry);
    if (entry->gid > MAX_OCTAL_ID)
        add_number(records, "gid", entry->gid);
    if (link_record)
        add_record(records, "linkpath", link);
    if (entry->mtime_s > MAX_OCTAL_LONG)
        add_number(records, "mtime", entry->mtime_s);
    if (path_record)
        add_record(records, "path", path);
    if (entry->size_bytes > MAX_OCTAL_LONG)
        add_number(records, "size", entry->size_bytes);
    if (entry->uid > MAX_OCTAL_ID)
        add_number(records, "uid", entry->uid);
}

// --- the header --------------------------------------------------------------------------------

static void fill_header(struct header *header, const struct ctz_tar_entry *entry)
{
    set_octal(header->mode, sizeof header->mode, entry->mode & 07777);
    // A number that does not fit stands in the pax header, and 0 here.
    set_octal(header->uid, sizeof header->uid, entry->uid > MAX_OCTAL_ID ? 0 : entry->uid);
    set_octal(header->gid, sizeof header->gid, entry->gid > MAX_OCTAL_ID ? 0 : entry->gid);
    set_octal(header->size, sizeof header->size,
              entry->size_bytes > MAX_OCTAL_LONG ? 0 : entry->size_bytes);
    set_octal(header->mtime, sizeof header->mtime,
              entry->mtime_s > MAX_OCTAL_LONG ? 0 : entry->mtime_s);
    header->type = (char)entry->type;
    if (entry->link)
        set_text(header->link, sizeof header->link, entry->link, strlen(entry->link));
    memcpy(header->magic, "ustar", sizeof header->magic);
    memcpy(header->version, "00", sizeof header->version);
    set_octal(header->device_major, sizeof header->device_major, entry->major);
    set_octal(header->device_minor, sizeof header->device_minor, entry->minor);
}

static void add_pax_header(struct ctz_buffer *out, const struct ctz_buffer *records,
                           uint64_t mtime_s)
{
    static const char zeros[CTZ_TAR_BLOCK];
    struct header header = {0};
    struct ctz_tar_entry entry = {.size_bytes = records->length, .mtime_s = mtime_s, .mode = 0644};
    fill_header(&header, &entry);
    header.type = 'x';
    set_text(header.name, sizeof header.name, PAX_HEADER_NAME, sizeof PAX_HEADER_NAME - 1);
    set_checksum(&header);
    ctz_buffer_append(out, &header, sizeof header);
    ctz_buffer_append(out, records->bytes, records->length);
    ctz_buffer_append(out, zeros, ctz_tar_padding(records->length));
}

int ctz_tar_header(struct ctz_buffer *out, const struct ctz_tar_entry *entry, struct ctz_error *err)
{
    struct ctz_buffer path, records;
    ctz_buffer_init(&path, PAX_MAX_BYTES);
    ctz_buffer_init(&records, PAX_MAX_BYTES);
    ctz_buffer_text(&path, entry->path);
    if (entry->type == CTZ_TAR_DIR)
        ctz_buffer_byte(&path, '/');
    int prefix = path.failed ? 0 : split_path(path.bytes, path.length);
    if (!path.failed)
        add_records(&records, entry, path.bytes, prefix >= 0);
    if (records.length)
        add_pax_header(out, &records, entry->mtime_s);
    if (!path.failed) {
        struct header header = {0};
        fill_header(&header, entry);
        size_t cut = prefix > 0 ? (size_t)prefix + 1 : 0;
        set_text(header.name, sizeof header.name, path.bytes + cut, path.length - cut);
        if (prefix > 0)
            set_text(header.prefix, sizeof header.prefix, path.bytes, (size_t)prefix);
        set_checksum(&header);
        ctz_buffer_append(out, &header, sizeof header);
    }
    bool failed = path.failed || records.failed || out->failed;
    ctz_buffer_clear(&path);
    ctz_buffer_clear(&records);
    return failed ? ctz_error_set(err, CTZ_ERROR_IO, "tar header of %s: out of memory", entry->path)
                  : 0;
}

size_t ctz_tar_padding(uint64_t size_bytes)
{
    return (size_t)(-size_bytes & (CTZ_TAR_BLOCK - 1));
}
