// files.c: the entries of one layer as a list sorted by path, with whiteouts told apart.
// SPDX-License-Identifier: MIT
// Source: OCI image-spec v1.1, layer.md; AUFS metadata (.wh..wh.*) is passed over, as in
// containerd.
#include "bindings/image/files.h"

#include <stdlib.h>
#include <string.h>

#include "host/alloc.h"

#define WHITEOUT    ".wh."
#define METADATA    ".wh..wh."
#define OPAQUE      ".wh..wh..opq"
#define CHUNK_BYTES (64 * 1024)
#define MAX_FILES   UINT32_MAX

// Strings stand in chunks, so that they never move.
struct ctz_file_chunk {
    struct ctz_file_chunk *next;
    size_t used, size;
    char bytes[];
};

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "list a layer: out of memory");
}

static char *reserve(struct ctz_file_list *list, size_t size)
{
    struct ctz_file_chunk *chunk = list->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = ctz_malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        chunk->next = list->chunks;
        chunk->used = 0;
        chunk->size = room;
        list->chunks = chunk;
    }
    char *bytes = chunk->bytes + chunk->used;
    chunk->used += size;
    return bytes;
}

static const char *keep(struct ctz_file_list *list, const char *bytes, size_t size)
{
    char *copy = reserve(list, size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

static struct ctz_file *add(struct ctz_file_list *list, struct ctz_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct ctz_file *files =
            capacity < MAX_FILES ? ctz_realloc(list->files, capacity * sizeof *files) : NULL;
        if (!files) {
            no_memory(err);
            return NULL;
        }
        list->files = files;
        list->capacity = capacity;
    }
    struct ctz_file *file = &list->files[list->count++];
    memset(file, 0, sizeof *file);
    file->layer = list->layer;
    return file;
}

// --- paths -------------------------------------------------------------------------------------

// Writes the path without ".", doubled slashes and those at its ends; its length, or -1: it has
// "..".
static ptrdiff_t clean(char *out, const char *path)
{
    size_t length = 0;
    while (*(path += strspn(path, "/"))) {
        size_t size = strcspn(path, "/");
        if (size == 2 && path[0] == '.' && path[1] == '.')
            return -1;
        if (size != 1 || *path != '.') {
            if (length)
                out[length++] = '/';
            memmove(out + length, path, size);
            length += size;
        }
        path += size;
    }
    out[length] = '\0';
    return (ptrdiff_t)length;
}

static const char *keep_clean(struct ctz_file_list *list, const char *path, uint32_t *size,
                              struct ctz_error *err)
{
    size_t room = strlen(path) + 1;
    char *out = reserve(list, room);
    ptrdiff_t length = out ? clean(out, path) : -1;
    if (!out)
        no_memory(err);
    else if (length < 0)
        ctz_error_set(err, CTZ_ERROR_PROTOCOL, "it holds \"%.200s\", which leads out of the image",
                      path);
    if (length < 0)
        return NULL;
    list->chunks->used -= room - (size_t)length - 1; // what was not needed
    *size = (uint32_t)length;
    return out;
}

static uint32_t parent_bytes(const char *path, uint32_t size)
{
    const char *slash = size ? memrchr(path, '/', size) : NULL;
    return slash ? (uint32_t)(slash - path) : 0;
}

// The folders that the path lies in, unless they are those of the path before.
static int add_parents(struct ctz_file_list *list, const char *path, uint32_t size, uint32_t order,
                       struct ctz_error *err)
{
    uint32_t parent = parent_bytes(path, size);
    if (size == 0 || (list->last_parent && list->last_parent_bytes == parent &&
                      memcmp(list->last_parent, path, parent) == 0))
        return 0;
    list->last_parent = (char *)path;
    list->last_parent_bytes = parent;
    for (uint32_t at = parent;; at = parent_bytes(path, at)) {
        struct ctz_file *file = add(list, err);
        if (!file)
            return -1;
        file->path = path;
        file->path_bytes = at;
        file->order = order;
        file->type = '5';
        file->mode = 0755;
        file->kind = CTZ_FILE_IMPLIED;
        if (at == 0)
            return 0;
    }
}

// --- entries -----------------------------------------------------------------------------------

static int odd_whiteout(const char *path, struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "it holds \"%.200s\", a whiteout of nothing",
                         path);
}

// Turns the path ".../.wh.NAME" into ".../NAME", or into the folder when it is an opaque one.
static int read_whiteout(struct ctz_file_list *list, struct ctz_file *file, struct ctz_error *err)
{
    uint32_t parent = parent_bytes(file->path, file->path_bytes);
    const char *name = file->path + parent + (parent > 0);
    if (strcmp(name, OPAQUE) == 0) {
        file->path_bytes = parent;
        file->kind = CTZ_FILE_OPAQUE;
        file->type = '5';
        file->mode = 0755;
        return 0;
    }
    const char *hidden = name + sizeof WHITEOUT - 1;
    if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return odd_whiteout(file->path, err);
    size_t size = strlen(hidden);
    char *path = reserve(list, parent + 1 + size + 1);
    if (!path)
        return no_memory(err);
    memcpy(path, file->path, parent);
    path[parent] = '/';
    uint32_t begin = parent ? parent + 1 : 0;
    memcpy(path + begin, hidden, size + 1);
    file->path = path;
    file->path_bytes = begin + (uint32_t)size;
    file->kind = CTZ_FILE_WHITEOUT;
    return 0;
}

// Below a folder of AUFS's own, or such a thing itself.
static bool is_metadata(const char *path)
{
    for (const char *at = path; (at = strstr(at, METADATA)); at++) {
        bool begins = at == path || at[-1] == '/';
        if (begins && strcmp(at, OPAQUE) != 0)
            return true;
    }
    return false;
}

static bool is_whiteout(const struct ctz_file *file)
{
    uint32_t parent = parent_bytes(file->path, file->path_bytes);
    const char *name = file->path + parent + (parent > 0);
    return strncmp(name, WHITEOUT, sizeof WHITEOUT - 1) == 0;
}

static int read_strings(struct ctz_file_list *list, struct ctz_file *file,
                        const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    uint32_t ignored;
    file->path = keep_clean(list, entry->path, &file->path_bytes, err);
    if (!file->path)
        return -1;
    if (entry->type == '1' && !(file->link = keep_clean(list, entry->link, &ignored, err)))
        return -1;
    if (entry->type == '2' && !(file->link = keep(list, entry->link, strlen(entry->link))))
        return no_memory(err);
    if (!entry->xattrs_bytes)
        return 0;
    file->xattrs = keep(list, entry->xattrs, entry->xattrs_bytes);
    file->xattrs_bytes = (uint32_t)entry->xattrs_bytes;
    return file->xattrs ? 0 : no_memory(err);
}

static int on_entry(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    struct ctz_file_list *list = owner;
    struct ctz_file file = {.size_bytes = entry->size,
                            .mtime_s = entry->mtime_s,
                            .uid = entry->uid,
                            .gid = entry->gid,
                            .mode = entry->mode,
                            .major = entry->major,
                            .minor = entry->minor,
                            .order = (uint32_t)list->entries++,
                            .layer = list->layer,
                            .type = entry->type};
    if (read_strings(list, &file, entry, err) != 0)
        return -1;
    if (file.path_bytes == 0 && file.type != '5')
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "its root is not a folder");
    const char *path = file.path;
    uint32_t path_bytes = file.path_bytes;
    if (is_metadata(path))
        return 0;
    if (is_whiteout(&file) && read_whiteout(list, &file, err) != 0)
        return -1;
    struct ctz_file *slot = add(list, err);
    if (!slot)
        return -1;
    *slot = file;
    return add_parents(list, path, path_bytes, file.order, err);
}

CTZ_API const struct ctz_untar_events ctz_file_list_events = {.entry = on_entry};

// --- the list ----------------------------------------------------------------------------------

int ctz_file_compare_paths(const char *left, size_t left_bytes, const char *right,
                           size_t right_bytes)
{
    size_t least = left_bytes < right_bytes ? left_bytes : right_bytes;
    for (size_t i = 0; i < least; i++) {
        if (left[i] == right[i])
            continue;
        if (left[i] == '/' || right[i] == '/')
            return left[i] == '/' ? -1 : 1;
        return (unsigned char)left[i] < (unsigned char)right[i] ? -1 : 1;
    }
    return left_bytes == right_bytes ? 0 : left_bytes < right_bytes ? -1 : 1;
}

bool ctz_file_is_below(const struct ctz_file *file, const char *folder, size_t folder_bytes)
{
    return file->path_bytes >= folder_bytes && memcmp(file->path, folder, folder_bytes) == 0 &&
           (folder_bytes == 0 || file->path_bytes == folder_bytes ||
            file->path[folder_bytes] == '/');
}

// By path, then as in the stream.
static int by_path(const void *left, const void *right)
{
    const struct ctz_file *a = left, *b = right;
    int order = ctz_file_compare_paths(a->path, a->path_bytes, b->path, b->path_bytes);
    return order ? order : a->order < b->order ? -1 : a->order > b->order;
}

// Folders on the way to the path that is looked at: in them, what came before min_order is gone,
// because something else stood in the folder's place meanwhile.
struct frame {
    const char *path;
    uint32_t path_bytes, min_order;
};

struct frames {
    struct frame *at; // owned
    size_t count, capacity;
};

static int push_frame(struct frames *frames, const struct ctz_file *file, uint32_t min_order,
                      struct ctz_error *err)
{
    if (frames->count == frames->capacity) {
        size_t capacity = frames->capacity ? frames->capacity * 2 : 32;
        struct frame *at = ctz_realloc(frames->at, capacity * sizeof *at);
        if (!at)
            return no_memory(err);
        frames->at = at;
        frames->capacity = capacity;
    }
    frames->at[frames->count++] = (struct frame){file->path, file->path_bytes, min_order};
    return 0;
}

static uint32_t min_order_of(struct frames *frames, const struct ctz_file *file)
{
    while (frames->count) {
        const struct frame *top = &frames->at[frames->count - 1];
        if (ctz_file_is_below(file, top->path, top->path_bytes))
            return top->min_order;
        frames->count--;
    }
    return 0;
}

static size_t run_length(const struct ctz_file_list *list, size_t at)
{
    size_t end = at + 1;
    const struct ctz_file *first = &list->files[at];
    while (end < list->count && list->files[end].path_bytes == first->path_bytes &&
           memcmp(list->files[end].path, first->path, first->path_bytes) == 0)
        end++;
    return end - at;
}

// One path: the records of a run become what stands there in the end, behind the content that stood
// there before (hard links may need it).
struct head {
    struct ctz_file file;
    bool exists, whiteout, opaque;
    uint32_t min_order; // of what is below it
};

// Takes one record; true: what it holds is kept as a thing of the past at *past.
static bool take_record(struct head *head, const struct ctz_file *file, uint32_t min_order,
                        struct ctz_file *past)
{
    if (file->kind == CTZ_FILE_WHITEOUT) {
        head->whiteout = true;
        return false;
    }
    head->opaque |= file->kind == CTZ_FILE_OPAQUE;
    bool is_folder = file->type == '5', was_folder = head->exists && head->file.type == '5';
    if (file->order < min_order) {
        *past = *file;
        return !is_folder;
    }
    if (was_folder && file->kind != CTZ_FILE_ENTRY)
        return false;
    bool has_past = head->exists && !was_folder;
    if (has_past)
        *past = head->file;
    head->exists = true;
    head->file = *file;
    if (file->kind == CTZ_FILE_OPAQUE)
        head->file.kind = CTZ_FILE_IMPLIED;
    if (!is_folder)
        head->min_order = file->order + 1;
    return has_past;
}

// Thins out the run at `from` to `to`; how many records are left.
static size_t thin_run(struct ctz_file_list *list, size_t from, size_t length, size_t to,
                       struct head *head)
{
    struct ctz_file past, first = list->files[from];
    size_t kept = to;
    uint32_t min_order = head->min_order;
    for (size_t i = 0; i < length; i++)
        if (take_record(head, &list->files[from + i], min_order, &past)) {
            past.kind = CTZ_FILE_PAST;
            list->files[kept++] = past;
        }
    if (!head->exists && !head->whiteout)
        return kept - to;
    if (!head->exists) {
        head->file = first;
        head->file.kind = CTZ_FILE_WHITEOUT;
    }
    head->file.opaque = head->opaque || head->whiteout;
    list->files[kept++] = head->file;
    return kept - to;
}

static int thin(struct ctz_file_list *list, struct frames *frames, struct ctz_error *err)
{
    size_t to = 0, length;
    for (size_t from = 0; from < list->count; from += length) {
        struct head head = {.min_order = min_order_of(frames, &list->files[from])};
        length = run_length(list, from);
        to += thin_run(list, from, length, to, &head);
        if (head.exists && push_frame(frames, &head.file, head.min_order, err) != 0)
            return -1;
    }
    list->count = to;
    return 0;
}

static int index_order(struct ctz_file_list *list, struct ctz_error *err)
{
    list->order = ctz_calloc(list->entries ? list->entries : 1, sizeof(struct ctz_file *));
    if (!list->order)
        return no_memory(err);
    for (size_t i = 0; i < list->count; i++) {
        struct ctz_file *file = &list->files[i];
        if (file->kind == CTZ_FILE_ENTRY || file->kind == CTZ_FILE_PAST)
            list->order[file->order] = file;
    }
    return 0;
}

int ctz_file_list_finish(struct ctz_file_list *list, struct ctz_error *err)
{
    struct frames frames = {0};
    if (list->count)
        qsort(list->files, list->count, sizeof *list->files, by_path);
    int result = thin(list, &frames, err);
    ctz_free(frames.at);
    return result == 0 ? index_order(list, err) : -1;
}

void ctz_file_list_clear(struct ctz_file_list *list)
{
    while (list->chunks) {
        struct ctz_file_chunk *next = list->chunks->next;
        ctz_free(list->chunks);
        list->chunks = next;
    }
    ctz_free(list->files);
    ctz_free(list->order);
    memset(list, 0, sizeof *list);
}

// The first record of that path or behind it.
static size_t lower_bound(const struct ctz_file_list *list, const char *path, size_t size)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ctz_file *file = &list->files[middle];
        if (ctz_file_compare_paths(file->path, file->path_bytes, path, size) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct ctz_file *ctz_file_list_find(const struct ctz_file_list *list, const char *path, size_t size,
                                    uint32_t before)
{
    struct ctz_file *found = NULL;
    for (size_t i = lower_bound(list, path, size); i < list->count; i++) {
        struct ctz_file *file = &list->files[i];
        if (file->path_bytes != size || memcmp(file->path, path, size) != 0)
            break;
        if (file->order < before || file->kind == CTZ_FILE_WHITEOUT)
            found = file;
    }
    return found;
}
