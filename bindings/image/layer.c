// layer.c: entries become one layer: tar, diff id, compression, digest and file in one pass.
// SPDX-License-Identifier: MIT
#include "bindings/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/limits.h"

#define SLICE_BYTES      (256 * CTZ_KIB) // read at once, between two looks at stop
#define HEADER_MAX_BYTES (1 * CTZ_MIB)

struct writer {
    const struct ctz_layer_options *options;
    struct ctz_digest diff;
    struct ctz_packer *packer; // owned
    struct ctz_blob blob;
    struct ctz_buffer header;
    char *slice; // owned, SLICE_BYTES
    uint64_t tar_bytes;
};

static int to_blob(void *blob, const void *bytes, size_t size, struct ctz_error *err)
{
    return ctz_blob_write(blob, bytes, size, err);
}

static int put(struct writer *writer, const void *bytes, size_t size, struct ctz_error *err)
{
    if (ctz_digest_update(&writer->diff, bytes, size, err) != 0)
        return -1;
    writer->tar_bytes += size;
    return ctz_packer_write(writer->packer, bytes, size, err);
}

static int put_zeros(struct writer *writer, size_t size, struct ctz_error *err)
{
    static const char zeros[2 * CTZ_TAR_BLOCK];
    return put(writer, zeros, size, err);
}

static int put_header(struct writer *writer, const struct ctz_tar_entry *entry,
                      struct ctz_error *err)
{
    ctz_buffer_shift(&writer->header, writer->header.length);
    if (ctz_tar_header(&writer->header, entry, err) != 0)
        return -1;
    return put(writer, writer->header.bytes, writer->header.length, err);
}

static int check_stop(const struct writer *writer, const char *path, struct ctz_error *err)
{
    const struct ctz_layer_options *options = writer->options;
    if (!options->stop || !options->stop(options->context))
        return 0;
    return ctz_error_set(err, CTZ_ERROR_CANCELLED, "layer: cancelled at /%s", path);
}

// --- files -------------------------------------------------------------------------------------

static int fail(struct ctz_error *err, int error_number, const char *path)
{
    ctz_error_system(err, error_number, "read %s", path);
    ctz_error_target(err, path);
    return -1;
}

static int changed(struct ctz_error *err, const char *path, const char *how)
{
    ctz_error_set(err, CTZ_ERROR_CONFLICT, "%s %s while it was read", path, how);
    ctz_error_target(err, path);
    ctz_error_hint(err, "end or wait for the program that writes to it");
    return -1;
}

// Reads `size` bytes, fewer only at the end of the file: the slices, and with them the packed
// bytes, do not depend on how a read was cut. -1 on failure.
static ssize_t read_full(int fd, char *bytes, size_t size, const char *path, struct ctz_error *err)
{
    size_t filled = 0;
    while (filled < size) {
        int fault = CTZ_FAULT("read");
        ssize_t part = fault ? -1 : read(fd, bytes + filled, size - filled);
        if (part < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (part < 0)
            return fail(err, fault ? fault : errno, path);
        if (part == 0)
            break;
        filled += (size_t)part;
    }
    return (ssize_t)filled;
}

static int put_content(struct writer *writer, const struct ctz_layer_entry *entry, int fd,
                       uint64_t size_bytes, struct ctz_error *err)
{
    for (uint64_t left = size_bytes; left > 0;) {
        size_t want = left < SLICE_BYTES ? (size_t)left : SLICE_BYTES;
        ssize_t size = read_full(fd, writer->slice, want, entry->source, err);
        if (size < 0)
            return -1;
        if ((size_t)size < want)
            return changed(err, entry->source, "shrank");
        if (check_stop(writer, entry->tar.path, err) != 0 ||
            put(writer, writer->slice, want, err) != 0)
            return -1;
        left -= want;
        if (writer->options->read)
            writer->options->read(writer->options->context, want);
    }
    return 0;
}

static int check_unchanged(int fd, const char *path, const struct stat *before, char *byte,
                           struct ctz_error *err)
{
    ssize_t more = read_full(fd, byte, 1, path, err);
    if (more != 0)
        return more < 0 ? -1 : changed(err, path, "grew");
    struct stat after;
    if (fstat(fd, &after) != 0)
        return fail(err, errno, path);
    if (after.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        after.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
        return changed(err, path, "changed");
    return 0;
}

static int put_open_file(struct writer *writer, const struct ctz_layer_entry *entry, int fd,
                         struct ctz_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return fail(err, errno, entry->source);
    if (!S_ISREG(status.st_mode)) {
        ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "read %s: not a regular file", entry->source);
        ctz_error_target(err, entry->source);
        return -1;
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    struct ctz_tar_entry tar = entry->tar;
    tar.size_bytes = (uint64_t)status.st_size;
    if (put_header(writer, &tar, err) != 0 ||
        put_content(writer, entry, fd, tar.size_bytes, err) != 0 ||
        check_unchanged(fd, entry->source, &status, writer->slice, err) != 0)
        return -1;
    return put_zeros(writer, ctz_tar_padding(tar.size_bytes), err);
}

static int put_file(struct writer *writer, const struct ctz_layer_entry *entry,
                    struct ctz_error *err)
{
    // O_NONBLOCK: a fifo in the file's place would hold the thread.
    int fault = CTZ_FAULT("open");
    int fd =
        fault ? -1 : open(entry->source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, fault ? fault : errno, entry->source);
    int result = put_open_file(writer, entry, fd, err);
    close(fd);
    return result;
}

static int put_text(struct writer *writer, const struct ctz_layer_entry *entry,
                    struct ctz_error *err)
{
    const struct ctz_tar_entry *tar = &entry->tar;
    if (put_header(writer, tar, err) != 0 ||
        (tar->size_bytes && put(writer, entry->text, (size_t)tar->size_bytes, err) != 0))
        return -1;
    return put_zeros(writer, ctz_tar_padding(tar->size_bytes), err);
}

// --- the layer ---------------------------------------------------------------------------------

static int put_entry(struct writer *writer, const struct ctz_layer_entry *entry,
                     struct ctz_error *err)
{
    if (check_stop(writer, entry->tar.path, err) != 0)
        return -1;
    if (entry->tar.type != CTZ_TAR_FILE)
        return put_header(writer, &entry->tar, err);
    return entry->source ? put_file(writer, entry, err) : put_text(writer, entry, err);
}

static int by_path(const void *left, const void *right)
{
    return strcmp(((const struct ctz_layer_entry *)left)->tar.path,
                  ((const struct ctz_layer_entry *)right)->tar.path);
}

static int sort_entries(struct ctz_layer_entry *entries, size_t count, struct ctz_error *err)
{
    if (count)
        qsort(entries, count, sizeof *entries, by_path);
    for (size_t i = 1; i < count; i++)
        if (by_path(&entries[i - 1], &entries[i]) == 0)
            return ctz_error_set(err, CTZ_ERROR_USAGE, "the layer has two entries for /%s",
                                 entries[i].tar.path);
    return 0;
}

static int begin(struct writer *writer, const struct ctz_layer_options *options,
                 struct ctz_error *err)
{
    memset(writer, 0, sizeof *writer);
    writer->options = options;
    writer->blob.fd = -1;
    ctz_buffer_init(&writer->header, HEADER_MAX_BYTES);
    writer->slice = ctz_malloc(SLICE_BYTES);
    if (!writer->slice)
        return ctz_error_set(err, CTZ_ERROR_IO, "layer: out of memory");
    if (ctz_digest_init(&writer->diff, err) != 0 ||
        ctz_blob_open(&writer->blob, options->layout, err) != 0)
        return -1;
    writer->packer = ctz_packer_new(options->compression, to_blob, &writer->blob, err);
    return writer->packer ? 0 : -1;
}

static int end(struct writer *writer, struct ctz_layer_result *result, struct ctz_error *err)
{
    if (put_zeros(writer, 2 * CTZ_TAR_BLOCK, err) != 0 ||
        ctz_packer_end(writer->packer, err) != 0 ||
        ctz_digest_final(&writer->diff, result->diff_id, err) != 0 ||
        ctz_blob_commit(&writer->blob, result->digest, err) != 0)
        return -1;
    result->size_bytes = writer->blob.size_bytes;
    result->tar_bytes = writer->tar_bytes;
    return 0;
}

static void clear(struct writer *writer)
{
    ctz_packer_free(writer->packer);
    ctz_blob_clear(&writer->blob);
    ctz_digest_clear(&writer->diff);
    ctz_buffer_clear(&writer->header);
    ctz_free(writer->slice);
}

int ctz_layer_write(struct ctz_layer_entry *entries, size_t count,
                    const struct ctz_layer_options *options, struct ctz_layer_result *result,
                    struct ctz_error *err)
{
    struct writer writer;
    memset(result, 0, sizeof *result);
    if (sort_entries(entries, count, err) != 0)
        return -1;
    int status = begin(&writer, options, err);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = put_entry(&writer, &entries[i], err);
    if (status == 0)
        status = end(&writer, result, err);
    clear(&writer);
    result->entries = count;
    return status;
}
