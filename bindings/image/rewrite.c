// rewrite.c: layers streamed once more, by what their lists say of each entry: kept as it stands,
// dropped, or with another path or link. Into a new layer, or below a folder.
// SPDX-License-Identifier: MIT
#include "bindings/image/files.h"

#include <string.h>

#include "bindings/image/extract.h"
#include "host/alloc.h"

#define HEADER_MAX_BYTES (4 * 1024 * 1024)

// --- what becomes of each entry ----------------------------------------------------------------

struct replay {
    const struct ctz_rewrite_options *options;
    const struct ctz_file_list *list; // of the layer that is read
    struct ctz_layer_reader *reader;  // owned
    size_t next;                      // entry of the stream
    bool dropped;                     // the entry that is read
    /// raw: the entry's headers as they stand there; NULL: it was changed.
    int (*entry)(void *to, const struct ctz_untar_entry *entry, const struct ctz_buffer *raw,
                 struct ctz_error *err);
    int (*content)(void *to, const char *bytes, size_t size, struct ctz_error *err);
    int (*end)(void *to, struct ctz_error *err);
    void *to;
};

// Changes the entry where that is needed; false: it is dropped.
static bool adapt(const struct ctz_file *file, struct ctz_untar_entry *entry, bool *changed)
{
    if (!file->alive) {
        *changed = true;
        entry->path = file->heir ? file->heir->path : NULL;
        return file->heir;
    }
    if (file->type != '1' || !file->data)
        return true;
    const struct ctz_file *data = file->data->alive ? file->data : file->data->heir;
    if (strcmp(data->path, file->link) != 0) {
        *changed = true;
        entry->link = data->path;
    }
    return data != file;
}

static int on_entry(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    struct replay *replay = owner;
    struct ctz_untar_entry adapted = *entry;
    bool changed = false;
    if (replay->next >= replay->list->entries)
        return ctz_error_set(err, CTZ_ERROR_CONFLICT, "it changed since it was listed");
    const struct ctz_file *file = replay->list->order[replay->next++];
    replay->dropped = file ? !adapt(file, &adapted, &changed) : replay->options->flatten;
    if (replay->dropped)
        return 0;
    return replay->entry(replay->to, &adapted,
                         changed ? NULL : ctz_layer_reader_raw(replay->reader), err);
}

static int on_content(void *owner, const char *bytes, size_t size, struct ctz_error *err)
{
    struct replay *replay = owner;
    return replay->dropped ? 0 : replay->content(replay->to, bytes, size, err);
}

static int on_end(void *owner, struct ctz_error *err)
{
    struct replay *replay = owner;
    return replay->dropped ? 0 : replay->end(replay->to, err);
}

static const struct ctz_untar_events events = {on_entry, on_content, on_end};

static struct ctz_layer_source source_of(const struct ctz_rewrite_options *options,
                                         const struct ctz_layer_place *place)
{
    return (struct ctz_layer_source){.name = place->digest ? NULL : place->path,
                                     .digest = place->digest,
                                     .diff_id = place->diff_id,
                                     .size_bytes = place->size_bytes,
                                     .max_entries = options->max_entries,
                                     .limits = options->limits};
}

static int replay_layer(struct replay *replay, const struct ctz_layer_place *place,
                        struct ctz_error *err)
{
    struct ctz_layer_facts facts;
    struct ctz_layer_source source = source_of(replay->options, place);
    source.events = &events;
    source.owner = replay;
    source.keep_raw = true;
    replay->list = place->list;
    replay->next = 0;
    replay->reader = ctz_layer_reader_new(&source, err);
    if (!replay->reader)
        return -1;
    int result = ctz_layer_reader_file(replay->reader, place->path, replay->options->stop,
                                       replay->options->context, &facts, err);
    ctz_layer_reader_free(replay->reader);
    replay->reader = NULL;
    return result;
}

// --- into a layer ------------------------------------------------------------------------------

struct writer {
    const struct ctz_rewrite_options *options;
    struct ctz_blob blob;
    struct ctz_packer *packer; // owned
    struct ctz_digest tar;
    struct ctz_buffer header;
    uint64_t tar_bytes, entries;
    size_t padding; // behind the content that is written
};

static int to_blob(void *to, const void *bytes, size_t size, struct ctz_error *err)
{
    return ctz_blob_write(to, bytes, size, err);
}

static int put(void *to, const void *bytes, size_t size, struct ctz_error *err)
{
    struct writer *writer = to;
    writer->tar_bytes += size;
    return ctz_digest_update(&writer->tar, bytes, size, err) == 0
               ? ctz_packer_write(writer->packer, bytes, size, err)
               : -1;
}

static int put_changed(struct writer *writer, const struct ctz_untar_entry *entry,
                       struct ctz_error *err)
{
    const char *path = entry->path + strspn(entry->path, "/");
    struct ctz_tar_entry tar = {.path = path,
                                .link = entry->type == '0' ? NULL : entry->link,
                                .size_bytes = entry->size,
                                .mtime_s = entry->mtime_s < 0 ? 0 : (uint64_t)entry->mtime_s,
                                .uid = entry->uid,
                                .gid = entry->gid,
                                .mode = entry->mode,
                                .major = entry->major,
                                .minor = entry->minor,
                                .type = (enum ctz_tar_type)entry->type,
                                .xattrs = entry->xattrs,
                                .xattrs_bytes = entry->xattrs_bytes};
    writer->header.length = 0;
    return ctz_tar_header(&writer->header, &tar, err) == 0
               ? put(writer, writer->header.bytes, writer->header.length, err)
               : -1;
}

static int write_entry(void *to, const struct ctz_untar_entry *entry, const struct ctz_buffer *raw,
                       struct ctz_error *err)
{
    struct writer *writer = to;
    writer->entries++;
    writer->padding = ctz_tar_padding(entry->size);
    return raw ? put(writer, raw->bytes, raw->length, err) : put_changed(writer, entry, err);
}

static int write_content(void *to, const char *bytes, size_t size, struct ctz_error *err)
{
    return put(to, bytes, size, err);
}

static int write_end(void *to, struct ctz_error *err)
{
    static const char zeros[CTZ_TAR_BLOCK];
    struct writer *writer = to;
    return writer->padding ? put(writer, zeros, writer->padding, err) : 0;
}

static int begin(struct writer *writer, const struct ctz_rewrite_options *options,
                 struct ctz_error *err)
{
    memset(writer, 0, sizeof *writer);
    writer->options = options;
    writer->blob.fd = -1;
    ctz_buffer_init(&writer->header, HEADER_MAX_BYTES);
    if (ctz_digest_init(&writer->tar, err) != 0 ||
        ctz_blob_open(&writer->blob, options->layout, err) != 0)
        return -1;
    writer->packer = ctz_packer_new(options->compression, to_blob, &writer->blob, err);
    return writer->packer ? 0 : -1;
}

// The tar as it is: what is packed anew has the same diff id.
static int copy_layer(struct writer *writer, const struct ctz_layer_place *place,
                      struct ctz_error *err)
{
    const struct ctz_rewrite_options *options = writer->options;
    struct ctz_layer_facts facts;
    struct ctz_layer_source source = source_of(options, place);
    source.tar = put;
    source.tar_to = writer;
    struct ctz_layer_reader *reader = ctz_layer_reader_new(&source, err);
    int result = reader ? ctz_layer_reader_file(reader, place->path, options->stop,
                                                options->context, &facts, err)
                        : -1;
    ctz_layer_reader_free(reader);
    return result;
}

static int write_layers(struct writer *writer, struct ctz_error *err)
{
    static const char zeros[2 * CTZ_TAR_BLOCK];
    const struct ctz_rewrite_options *options = writer->options;
    struct replay replay = {.options = options,
                            .entry = write_entry,
                            .content = write_content,
                            .end = write_end,
                            .to = writer};
    if (options->count == 1 && !options->layers[0].list)
        return copy_layer(writer, &options->layers[0], err);
    for (size_t i = 0; i < options->count; i++)
        if (replay_layer(&replay, &options->layers[i], err) != 0)
            return -1;
    return put(writer, zeros, sizeof zeros, err);
}

static int end(struct writer *writer, struct ctz_layer_result *result, struct ctz_error *err)
{
    if (ctz_packer_end(writer->packer, err) != 0 ||
        ctz_digest_final(&writer->tar, result->diff_id, err) != 0 ||
        ctz_blob_commit(&writer->blob, result->digest, err) != 0)
        return -1;
    result->size_bytes = writer->blob.size_bytes;
    result->tar_bytes = writer->tar_bytes;
    result->entries = writer->entries;
    return 0;
}

int ctz_rewrite_layers(const struct ctz_rewrite_options *options, struct ctz_layer_result *result,
                       struct ctz_error *err)
{
    struct writer writer;
    memset(result, 0, sizeof *result);
    int status = begin(&writer, options, err);
    if (status == 0)
        status = write_layers(&writer, err);
    if (status == 0)
        status = end(&writer, result, err);
    ctz_packer_free(writer.packer);
    ctz_blob_clear(&writer.blob);
    ctz_digest_clear(&writer.tar);
    ctz_buffer_clear(&writer.header);
    return status;
}

// --- below a folder ----------------------------------------------------------------------------

static int extract_entry(void *to, const struct ctz_untar_entry *entry,
                         const struct ctz_buffer *raw, struct ctz_error *err)
{
    (void)raw;
    return ctz_extract_events.entry(to, entry, err);
}

int ctz_rewrite_extract(const struct ctz_rewrite_options *options,
                        struct ctz_extract_counts *counts, struct ctz_error *err)
{
    struct ctz_extract_options to = {
        .path = options->folder, .keep_owner = options->keep_owner, .max_entries = UINT64_MAX};
    struct ctz_extract *extract = ctz_extract_new(&to);
    struct ctz_rewrite_options seen = *options;
    seen.flatten = true; // no whiteouts
    struct replay replay = {.options = &seen,
                            .entry = extract_entry,
                            .content = ctz_extract_events.content,
                            .end = ctz_extract_events.end,
                            .to = extract};
    if (!extract)
        return ctz_error_set(err, CTZ_ERROR_IO, "extract an image: out of memory");
    int result = ctz_extract_begin(extract, err);
    for (size_t i = 0; result == 0 && i < options->count; i++)
        result = replay_layer(&replay, &options->layers[i], err);
    if (result == 0)
        result = ctz_extract_settle(extract, err);
    *counts = *ctz_extract_counts(extract);
    ctz_extract_free(extract);
    return result;
}

// --- one file ----------------------------------------------------------------------------------

struct picker {
    uint32_t wanted, next;
    bool inside, done;
    struct ctz_buffer *content; // borrowed
};

static int pick_entry(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    struct picker *picker = owner;
    picker->inside = picker->next++ == picker->wanted;
    if (!picker->inside || entry->size <= picker->content->max_bytes)
        return 0;
    ctz_error_set(err, CTZ_ERROR_SIZE, "%s has %llu bytes", entry->path,
                  (unsigned long long)entry->size);
    ctz_error_hint(err, "raise the limit with --limit file_bytes=N, or extract the image");
    return -1;
}

static int pick_content(void *owner, const char *bytes, size_t size, struct ctz_error *err)
{
    struct picker *picker = owner;
    if (!picker->inside || ctz_buffer_append(picker->content, bytes, size) == 0)
        return 0;
    return ctz_error_set(err, CTZ_ERROR_IO, "read a file of a layer: out of memory");
}

// What follows is of no interest: the digests were compared when the layer was listed.
static int pick_end(void *owner, struct ctz_error *err)
{
    struct picker *picker = owner;
    picker->done = picker->inside;
    return picker->done ? ctz_error_set(err, CTZ_ERROR_CANCELLED, "found") : 0;
}

int ctz_rewrite_read(const struct ctz_rewrite_options *options, uint32_t order,
                     struct ctz_buffer *content, struct ctz_error *err)
{
    static const struct ctz_untar_events picking = {pick_entry, pick_content, pick_end};
    struct picker picker = {.wanted = order, .content = content};
    struct ctz_layer_facts facts;
    struct ctz_layer_source source = source_of(options, options->layers);
    source.events = &picking;
    source.owner = &picker;
    struct ctz_layer_reader *reader = ctz_layer_reader_new(&source, err);
    if (!reader)
        return -1;
    int result = ctz_layer_reader_file(reader, options->layers->path, options->stop,
                                       options->context, &facts, err);
    ctz_layer_reader_free(reader);
    if (picker.done)
        ctz_error_clear(err);
    else if (result == 0)
        ctz_error_set(err, CTZ_ERROR_CONFLICT, "%s changed since it was listed",
                      options->layers->path);
    return picker.done ? 0 : -1;
}
