// frames.c: the engine's multiplexed streams.
// SPDX-License-Identifier: MIT
#include "bindings/docker/frames.h"

#include <string.h>

// --- frames ------------------------------------------------------------------------------------

static size_t take_header(struct frames *frames, const char *bytes, size_t size)
{
    size_t wanted = sizeof frames->header - frames->header_size;
    size = size < wanted ? size : wanted;
    memcpy(frames->header + frames->header_size, bytes, size);
    frames->header_size += (unsigned)size;
    return size;
}

static int check_header(const unsigned char *header, struct ctz_error *err)
{
    if (header[0] < FRAME_STREAMS && !header[1] && !header[2] && !header[3])
        return 0;
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL,
                         "the stream is not made of frames: %02x %02x %02x %02x", header[0],
                         header[1], header[2], header[3]);
}

static ptrdiff_t next_raw(const char *bytes, size_t size, struct frame_part *part)
{
    *part = (struct frame_part){FRAME_STDOUT, bytes, size, false, false};
    return (ptrdiff_t)size;
}

ptrdiff_t frames_next(struct frames *frames, const char *bytes, size_t size,
                      struct frame_part *part, struct ctz_error *err)
{
    const unsigned char *header = frames->header;
    size_t used = 0;
    if (frames->raw)
        return next_raw(bytes, size, part);
    *part = (struct frame_part){.bytes = bytes};
    if (frames->left == 0) {
        used = take_header(frames, bytes, size);
        if (frames->header_size < sizeof frames->header)
            return (ptrdiff_t)used;
        if (check_header(header, err) < 0)
            return -1;
        frames->left = (uint32_t)header[4] << 24 | (uint32_t)header[5] << 16 |
                       (uint32_t)header[6] << 8 | header[7];
        frames->header_size = 0;
        part->begins = true;
    }
    part->stream = header[0] == FRAME_STDIN ? FRAME_STDOUT : (enum frame_stream)header[0];
    part->bytes = bytes + used;
    part->size = size - used < frames->left ? size - used : frames->left;
    frames->left -= (uint32_t)part->size;
    part->ends = frames->left == 0;
    return (ptrdiff_t)(used + part->size);
}

bool frames_at_border(const struct frames *frames)
{
    return frames->raw || (frames->left == 0 && frames->header_size == 0);
}

// --- time --------------------------------------------------------------------------------------

// Digits at `at` as a number; -1: there are others.
static int digits(const char *at, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        value = value * 10 + (at[i] - '0');
    }
    return value;
}

// Days since 1970 in the Gregorian calendar; years begin in March, so that leap days come last.
static int64_t days_of(int year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static size_t read_fraction(const char *text, size_t size, double *seconds)
{
    size_t at = 0;
    if (size == 0 || text[0] != '.')
        return 0;
    double unit = 1;
    for (at = 1; at < size && text[at] >= '0' && text[at] <= '9'; at++)
        *seconds += (text[at] - '0') * (unit /= 10);
    return at;
}

// "Z" or "+01:00"
static bool read_zone(const char *text, size_t size, double *seconds)
{
    if (size == 1 && (text[0] == 'Z' || text[0] == 'z'))
        return true;
    if (size != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
        return false;
    int hours = digits(text + 1, 2), minutes = digits(text + 4, 2);
    if (hours < 0 || minutes < 0)
        return false;
    *seconds -= (text[0] == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
    return true;
}

bool frames_read_time(const char *text, size_t size, double *seconds)
{
    static const char form[] = "0000-00-00T00:00:00";
    size_t length = sizeof form - 1;
    if (size <= length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    int month = digits(text + 5, 2), day = digits(text + 8, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    double fraction = 0;
    size_t at = length + read_fraction(text + length, size - length, &fraction);
    *seconds = (double)(days_of(digits(text, 4), month, day) * 86400 + digits(text + 11, 2) * 3600 +
                        digits(text + 14, 2) * 60 + digits(text + 17, 2));
    if (!read_zone(text + at, size - at, seconds))
        return false;
    *seconds += fraction;
    return true;
}
