// grpc.c: gRPC over HTTP/2: messages in a stream of bytes, and how a call ends.
// SPDX-License-Identifier: MIT
#include "bindings/buildkit/grpc.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

// --- statuses ----------------------------------------------------------------------------------

static const struct {
    const char *name;
    enum ctz_error_kind kind;
} statuses[] = {
#define X(name, number, kind) [number] = {#name, CTZ_ERROR_##kind},
    BK_STATUSES(X)
#undef X
};

static size_t index_of(int status)
{
    bool known = status >= 0 && (size_t)status < CTZ_COUNT(statuses);
    return known ? (size_t)status : BK_UNKNOWN;
}

enum ctz_error_kind bk_status_kind(int status)
{
    return statuses[index_of(status)].kind;
}

const char *bk_status_name(int status)
{
    return statuses[index_of(status)].name;
}

int bk_status_of(const char *name)
{
    for (size_t i = 0; i < CTZ_COUNT(statuses); i++)
        if (strcasecmp(name, statuses[i].name) == 0)
            return (int)i;
    return -1;
}

// --- messages ----------------------------------------------------------------------------------

void bk_prefix_write(uint8_t prefix[BK_PREFIX_BYTES], size_t size)
{
    prefix[0] = 0;
    for (int i = 1; i < BK_PREFIX_BYTES; i++)
        prefix[i] = (uint8_t)(size >> (8 * (BK_PREFIX_BYTES - 1 - i)));
}

static int read_prefix(struct bk_reader *reader, struct ctz_error *err)
{
    const uint8_t *p = reader->prefix;
    if (p[0] != 0)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL,
                             p[0] == 1 ? "a gRPC message is compressed, which was not agreed on"
                                       : "these bytes are no gRPC message");
    reader->size = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (reader->size > reader->max_bytes)
        return ctz_error_set(err, CTZ_ERROR_SIZE, "a gRPC message has %zu bytes, more than %zu",
                             reader->size, reader->max_bytes);
    return 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Takes bytes of the prefix, then of the message. Returns how many, -1 with err set.
static ptrdiff_t take_piece(struct bk_reader *reader, const uint8_t *bytes, size_t size,
                            struct ctz_error *err)
{
    if (reader->prefix_have < BK_PREFIX_BYTES) {
        size_t piece = least(size, BK_PREFIX_BYTES - reader->prefix_have);
        memcpy(reader->prefix + reader->prefix_have, bytes, piece);
        reader->prefix_have += piece;
        bool complete = reader->prefix_have == BK_PREFIX_BYTES;
        return complete && read_prefix(reader, err) < 0 ? -1 : (ptrdiff_t)piece;
    }
    size_t piece = least(size, reader->size - reader->bytes.length);
    reader->bytes.max_bytes = reader->max_bytes + 1;
    if (ctz_buffer_append(&reader->bytes, bytes, piece) < 0)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    return (ptrdiff_t)piece;
}

static bool is_complete(const struct bk_reader *reader)
{
    return reader->prefix_have == BK_PREFIX_BYTES && reader->bytes.length == reader->size;
}

int bk_reader_feed(struct bk_reader *reader, const uint8_t *bytes, size_t size,
                   bk_message_fn on_message, void *context, struct ctz_error *err)
{
    while (size > 0) {
        ptrdiff_t taken = take_piece(reader, bytes, size, err);
        if (taken < 0)
            return -1;
        bytes += taken;
        size -= (size_t)taken;
        if (!is_complete(reader))
            continue;
        const char *message = reader->bytes.bytes ? reader->bytes.bytes : "";
        if (on_message(context, (const uint8_t *)message, reader->size, err) < 0)
            return -1;
        reader->prefix_have = 0;
        reader->bytes.length = 0;
    }
    return 0;
}

bool bk_reader_is_between(const struct bk_reader *reader)
{
    return reader->prefix_have == 0;
}

void bk_reader_clear(struct bk_reader *reader)
{
    ctz_buffer_clear(&reader->bytes);
    reader->prefix_have = reader->size = 0;
}

// --- grpc-message --------------------------------------------------------------------------------

void bk_percent_encode(char *out, size_t out_size, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *end = out + out_size - 1;
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool plain = *at >= 0x20 && *at < 0x7F && *at != '%';
        if (end - out < (plain ? 1 : 3))
            break;
        if (plain) {
            *out++ = (char)*at;
            continue;
        }
        *out++ = '%';
        *out++ = hex[*at >> 4];
        *out++ = hex[*at & 15];
    }
    *out = '\0';
}

static int nibble(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    int lower = tolower((unsigned char)digit);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void bk_percent_decode(char *out, size_t out_size, const char *text, size_t size)
{
    const char *end = text + size;
    for (char *last = out + out_size - 1; text < end && out < last; out++) {
        int high = *text == '%' && end - text > 2 ? nibble(text[1]) : -1;
        int low = high >= 0 ? nibble(text[2]) : -1;
        int byte = low >= 0 ? high << 4 | low : *text;
        *out = (char)byte;
        text += low >= 0 ? 3 : 1;
    }
    *out = '\0';
}
