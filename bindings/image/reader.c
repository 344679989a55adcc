// reader.c: a stored layer read in one pass: unpacked, both digests compared, its tar parsed.
// SPDX-License-Identifier: MIT
#include "bindings/image/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/limits.h"

#define SLICE_BYTES (256 * 1024)

struct ctz_layer_reader {
    struct ctz_layer_source source;
    struct ctz_untar_events events; // ours, before the source's
    struct ctz_untar untar;
    struct ctz_unpacker *unpacker; // owned
    struct ctz_digest packed, tar;
    uint64_t size_bytes, tar_bytes, entries;
};

static int on_entry(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    struct ctz_layer_reader *reader = owner;
    if (reader->entries++ < reader->source.max_entries)
        return reader->source.events->entry(reader->source.owner, entry, err);
    ctz_error_set(err, CTZ_ERROR_SIZE, "the tar holds more than %llu entries",
                  (unsigned long long)reader->source.max_entries);
    ctz_error_hint(err, "raise the limit with --limit tar_entries=N");
    return -1;
}

static int on_content(void *owner, const char *bytes, size_t size, struct ctz_error *err)
{
    const struct ctz_layer_source *source = &((struct ctz_layer_reader *)owner)->source;
    return source->events->content ? source->events->content(source->owner, bytes, size, err) : 0;
}

static int on_end(void *owner, struct ctz_error *err)
{
    const struct ctz_layer_source *source = &((struct ctz_layer_reader *)owner)->source;
    return source->events->end ? source->events->end(source->owner, err) : 0;
}

static int on_tar(void *to, const void *bytes, size_t size, struct ctz_error *err)
{
    struct ctz_layer_reader *reader = to;
    reader->tar_bytes += size;
    if (ctz_digest_update(&reader->tar, bytes, size, err) != 0)
        return -1;
    if (reader->source.tar && reader->source.tar(reader->source.tar_to, bytes, size, err) != 0)
        return -1;
    return reader->source.events ? ctz_untar_feed(&reader->untar, bytes, size, err) : 0;
}

struct ctz_layer_reader *ctz_layer_reader_new(const struct ctz_layer_source *source,
                                              struct ctz_error *err)
{
    struct ctz_layer_reader *reader = ctz_calloc(1, sizeof *reader);
    if (!reader) {
        ctz_error_set(err, CTZ_ERROR_IO, "read a layer: out of memory");
        return NULL;
    }
    reader->source = *source;
    reader->events = (struct ctz_untar_events){on_entry, on_content, on_end};
    reader->untar.events = &reader->events;
    reader->untar.owner = reader;
    reader->untar.strict = true;
    reader->untar.keep_raw = source->keep_raw;
    if (ctz_digest_init_as(&reader->packed, source->digest, err) == 0 &&
        ctz_digest_init_as(&reader->tar, source->diff_id, err) == 0 &&
        (reader->unpacker = ctz_unpacker_new(&source->limits, on_tar, reader, err)))
        return reader;
    ctz_layer_reader_free(reader);
    return NULL;
}

void ctz_layer_reader_free(struct ctz_layer_reader *reader)
{
    if (!reader)
        return;
    ctz_untar_clear(&reader->untar);
    ctz_unpacker_free(reader->unpacker);
    ctz_digest_clear(&reader->packed);
    ctz_digest_clear(&reader->tar);
    ctz_free(reader);
}

const struct ctz_buffer *ctz_layer_reader_raw(const struct ctz_layer_reader *reader)
{
    return &reader->untar.raw;
}

static int named(const struct ctz_layer_reader *reader, struct ctz_error *err)
{
    const struct ctz_layer_source *source = &reader->source;
    const char *name = source->name ? source->name : source->digest;
    if (!name || err->kind == CTZ_ERROR_CANCELLED)
        return -1;
    char *message = ctz_asprintf("layer %s: %s", name, ctz_error_message(err));
    ctz_free(err->message);
    err->message = message;
    ctz_error_target(err, name);
    return -1;
}

static int wrong_size(const struct ctz_layer_reader *reader, struct ctz_error *err)
{
    bool more = reader->size_bytes > reader->source.size_bytes;
    ctz_error_set(err, CTZ_ERROR_SIZE, "it has %s %llu bytes, its descriptor says %llu",
                  more ? "more than" : "only",
                  (unsigned long long)(more ? reader->source.size_bytes : reader->size_bytes),
                  (unsigned long long)reader->source.size_bytes);
    return -1;
}

int ctz_layer_reader_feed(struct ctz_layer_reader *reader, const void *bytes, size_t size,
                          struct ctz_error *err)
{
    reader->size_bytes += size;
    if (reader->source.size_bytes && reader->size_bytes > reader->source.size_bytes) {
        wrong_size(reader, err);
        return named(reader, err);
    }
    if (ctz_digest_update(&reader->packed, bytes, size, err) != 0 ||
        ctz_unpacker_write(reader->unpacker, bytes, size, err) != 0)
        return named(reader, err);
    return 0;
}

static int compare(const char *wanted, const char *found, const char *what, struct ctz_error *err)
{
    if (!wanted || strcmp(wanted, found) == 0)
        return 0;
    return ctz_error_set(err, CTZ_ERROR_DIGEST, "%s has the digest %s, not %s", what, found,
                         wanted);
}

static int finish(struct ctz_layer_reader *reader, struct ctz_layer_facts *facts,
                  struct ctz_error *err)
{
    const struct ctz_layer_source *source = &reader->source;
    if (source->size_bytes && reader->size_bytes < source->size_bytes)
        return wrong_size(reader, err);
    if (ctz_unpacker_end(reader->unpacker, err) != 0 ||
        ctz_digest_final(&reader->packed, facts->digest, err) != 0 ||
        ctz_digest_final(&reader->tar, facts->diff_id, err) != 0 ||
        compare(source->digest, facts->digest, "what is stored", err) != 0 ||
        compare(source->diff_id, facts->diff_id, "its tar", err) != 0)
        return -1;
    // A tar without an end mark may be a part of one: not when a digest says that it is all.
    bool is_whole = (source->digest || source->diff_id) && ctz_untar_is_between(&reader->untar);
    return source->events && !is_whole ? ctz_untar_finish(&reader->untar, err) : 0;
}

int ctz_layer_reader_finish(struct ctz_layer_reader *reader, struct ctz_layer_facts *facts,
                            struct ctz_error *err)
{
    memset(facts, 0, sizeof *facts);
    if (finish(reader, facts, err) != 0)
        return named(reader, err);
    facts->size_bytes = reader->size_bytes;
    facts->tar_bytes = reader->tar_bytes;
    facts->entries = reader->entries;
    facts->format = ctz_unpacker_format(reader->unpacker);
    return 0;
}

// --- a file ------------------------------------------------------------------------------------

static int fail(struct ctz_error *err, int error_number, const char *path)
{
    ctz_error_system(err, error_number, "read %s", path);
    ctz_error_target(err, path);
    return -1;
}

static int feed_file(struct ctz_layer_reader *reader, const char *path, int fd, char *slice,
                     bool (*stop)(void *context), void *context, struct ctz_error *err)
{
    for (;;) {
        if (stop && stop(context))
            return ctz_error_set(err, CTZ_ERROR_CANCELLED, "read %s: cancelled", path);
        int fault = CTZ_FAULT("read");
        ssize_t size = fault ? -1 : read(fd, slice, SLICE_BYTES);
        if (size < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (size < 0)
            return fail(err, fault ? fault : errno, path);
        if (size == 0)
            return 0;
        if (ctz_layer_reader_feed(reader, slice, (size_t)size, err) != 0)
            return -1;
    }
}

int ctz_layer_reader_file(struct ctz_layer_reader *reader, const char *path,
                          bool (*stop)(void *context), void *context, struct ctz_layer_facts *facts,
                          struct ctz_error *err)
{
    // O_NONBLOCK: a fifo in the file's place would hold the thread.
    int fault = CTZ_FAULT("open");
    int fd = fault ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, fault ? fault : errno, path);
    struct stat status;
    char *slice = ctz_malloc(SLICE_BYTES);
    int result = -1;
    if (!slice)
        ctz_error_set(err, CTZ_ERROR_IO, "read %s: out of memory", path);
    else if (fstat(fd, &status) != 0)
        fail(err, errno, path);
    else if (!S_ISREG(status.st_mode))
        ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "read %s: not a regular file", path);
    else
        result = feed_file(reader, path, fd, slice, stop, context, err);
    ctz_free(slice);
    close(fd);
    return result == 0 ? ctz_layer_reader_finish(reader, facts, err) : -1;
}
