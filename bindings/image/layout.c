// layout.c: files of an OCI layout folder (OCI image-spec 1.0, image-layout.md), each written
// beside its place and renamed when it is whole and on the disk. SPDX-License-Identifier: MIT
#include "bindings/image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"

#define TEMPORARY       ".ctz-" // and 16 hex digits
#define LAYOUT_FILE     "oci-layout"
#define LAYOUT_TEXT     "{\"imageLayoutVersion\":\"1.0.0\"}"
#define LAYOUT_VERSION  "\"1.0.0\""
#define LAYOUT_MAX      4096 // bytes of an oci-layout file
#define BLOB_FOLDER     "blobs/sha256"
#define TEMPORARY_TRIES 16

static int no_memory(struct ctz_error *err, const char *path)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "write %s: out of memory", path);
}

static int fail(struct ctz_error *err, int error_number, const char *path)
{
    ctz_error_system(err, error_number, "write %s", path);
    ctz_error_target(err, path);
    if (error_number == ENOSPC || error_number == EDQUOT)
        ctz_error_hint(err, "free some space on that disk; what stood there before is intact");
    return -1;
}

// --- a new file and its place ------------------------------------------------------------------
//
// A new file has no name where the system can do that (O_TMPFILE): then nothing is left of it
// however the process ends. Elsewhere it is a temporary file in the same folder.

// The next random name for a temporary file; yours to free.
static char *temporary_name(const char *folder, struct ctz_error *err)
{
    unsigned long long number;
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
        fail(err, errno, folder);
        return NULL;
    }
    char *path = ctz_asprintf("%s/" TEMPORARY "%016llx", folder, number);
    if (!path)
        no_memory(err, folder);
    return path;
}

static int open_nameless(const char *folder)
{
    if (CTZ_FAULT("tmpfile") || access("/proc/self/fd", X_OK) != 0) // what give_name goes through
        return -1;
    return open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
}

// A new file in the folder; *path is its name, yours to free, or NULL when it has none.
static int open_new(const char *folder, char **path, struct ctz_error *err)
{
    *path = NULL;
    int fault = CTZ_FAULT("open");
    int fd = fault ? -1 : open_nameless(folder);
    for (int i = 0; fd < 0 && i < TEMPORARY_TRIES; i++) {
        *path = temporary_name(folder, err);
        if (!*path)
            return -1;
        fd = fault ? -1 : open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd >= 0)
            return fd;
        int error_number = fault ? fault : errno;
        ctz_free(*path);
        *path = NULL;
        if (error_number != EEXIST)
            return fail(err, error_number, folder);
    }
    return fd < 0 ? fail(err, EEXIST, folder) : fd;
}

static int link_as(int fd, const char *path)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

// Something stands in the file's place: it gets a temporary name, so that it can replace it.
static int give_name(int fd, char **path, const char *folder, struct ctz_error *err)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        *path = temporary_name(folder, err);
        if (!*path || link_as(fd, *path) == 0)
            return *path ? 0 : -1;
        int error_number = errno;
        ctz_free(*path);
        *path = NULL;
        if (error_number != EEXIST)
            return fail(err, error_number, folder);
    }
    return fail(err, EEXIST, folder);
}

static int write_all(int fd, const char *path, const char *bytes, size_t size,
                     struct ctz_error *err)
{
    while (size > 0) {
        int fault = CTZ_FAULT("write");
        ssize_t written = fault ? -1 : write(fd, bytes, size);
        if (written < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (written < 0)
            return fail(err, fault ? fault : errno, path);
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

static int sync_file(int fd, const char *path, struct ctz_error *err)
{
    int fault = CTZ_FAULT("fsync");
    if (fault || fsync(fd) != 0)
        return fail(err, fault ? fault : errno, path);
    return 0;
}

// A rename is on the disk once its folder is. EINVAL: the file system has no such thing.
static int sync_folder(const char *folder, struct ctz_error *err)
{
    int fault = CTZ_FAULT("fsync_folder");
    int fd = fault ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, fault ? fault : errno, folder);
    int error_number = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error_number && error_number != EINVAL ? fail(err, error_number, folder) : 0;
}

// Puts a whole file into its place. *temporary is its name until then, NULL when it has none.
static int place(int fd, char **temporary, const char *path, const char *folder,
                 struct ctz_error *err)
{
    int fault = CTZ_FAULT("rename");
    if (fault)
        return fail(err, fault, path);
    if (!*temporary) {
        if (link_as(fd, path) == 0)
            return sync_folder(folder, err);
        if (errno != EEXIST)
            return fail(err, errno, path);
        if (give_name(fd, temporary, folder, err) != 0)
            return -1;
    }
    if (rename(*temporary, path) != 0)
        return fail(err, errno, path);
    ctz_free(*temporary);
    *temporary = NULL;
    return sync_folder(folder, err);
}

static void remove_temporary(char **temporary)
{
    if (*temporary)
        unlink(*temporary);
    ctz_free(*temporary);
    *temporary = NULL;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ctz_strdup(".");
    return ctz_memdup(path, slash == path ? 1 : (size_t)(slash - path));
}

int ctz_file_replace(const char *path, const void *bytes, size_t size, struct ctz_error *err)
{
    char *folder = folder_of(path), *temporary = NULL;
    if (!folder)
        return no_memory(err, path);
    int fd = open_new(folder, &temporary, err);
    int result = fd < 0 ? -1 : write_all(fd, path, bytes, size, err);
    if (result == 0)
        result = sync_file(fd, path, err);
    if (result == 0)
        result = place(fd, &temporary, path, folder, err);
    if (fd >= 0)
        close(fd);
    remove_temporary(&temporary);
    ctz_free(folder);
    return result;
}

// --- the folder --------------------------------------------------------------------------------

// mkdir -p; `path` is changed while it works and whole again afterwards.
static int make_folders(char *path, struct ctz_error *err)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char end = *at;
        *at = '\0';
        int fault = CTZ_FAULT("mkdir");
        int failed = fault || (mkdir(path, 0777) != 0 && errno != EEXIST);
        if (failed)
            fail(err, fault ? fault : errno, path);
        *at = end;
        if (failed)
            return -1;
        if (!end)
            return 0;
    }
}

static int check_version(const char *path, const char *text, struct ctz_error *err)
{
    const char *at = strstr(text, "\"imageLayoutVersion\"");
    if (at) {
        at += strlen("\"imageLayoutVersion\"");
        at += strspn(at, " \t\r\n:");
        if (strncmp(at, LAYOUT_VERSION, sizeof LAYOUT_VERSION - 1) == 0)
            return 0;
    }
    ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "%s: not an OCI layout of version 1.0.0", path);
    ctz_error_target(err, path);
    return -1;
}

// 1: an OCI layout; 0: there is no oci-layout file; -1: an error.
static int read_layout_file(const char *path, struct ctz_error *err)
{
    char text[LAYOUT_MAX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return ctz_error_system(err, errno, "read %s", path);
    ssize_t size = read(fd, text, LAYOUT_MAX);
    int error_number = errno;
    close(fd);
    if (size < 0)
        return ctz_error_system(err, error_number, "read %s", path);
    text[size] = '\0';
    return check_version(path, text, err) == 0 ? 1 : -1;
}

// A folder with other files in it was hardly meant. What another process is just making of it
// begins with TEMPORARY.
static int check_empty(const char *folder, struct ctz_error *err)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return ctz_error_system(err, errno, "read %s", folder);
    const struct dirent *entry;
    while ((entry = readdir(stream))) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            strncmp(name, TEMPORARY, sizeof TEMPORARY - 1) == 0)
            continue;
        ctz_error_set(err, CTZ_ERROR_CONFLICT, "%s holds other files (%s) and is no OCI layout",
                      folder, name);
        ctz_error_target(err, folder);
        ctz_error_hint(err, "name a new folder, or one that holds an oci-layout file");
        break;
    }
    closedir(stream);
    return entry ? -1 : 0;
}

static int begin_layout(const char *folder, const char *file, struct ctz_error *err)
{
    if (check_empty(folder, err) == 0)
        return ctz_file_replace(file, LAYOUT_TEXT, sizeof LAYOUT_TEXT - 1, err);
    struct ctz_error again = {0};
    if (read_layout_file(file, &again) == 1) { // another process was quicker
        ctz_error_clear(err);
        return 0;
    }
    ctz_error_clear(&again);
    return -1;
}

int ctz_layout_prepare(const char *folder, struct ctz_error *err)
{
    char *blobs = ctz_asprintf("%s/" BLOB_FOLDER, folder);
    char *file = ctz_asprintf("%s/" LAYOUT_FILE, folder);
    int result = blobs && file ? 0 : no_memory(err, folder);
    if (result == 0) {
        blobs[strlen(folder)] = '\0';
        result = make_folders(blobs, err);
        blobs[strlen(folder)] = '/';
    }
    int known = result == 0 ? read_layout_file(file, err) : -1;
    if (known == 0)
        known = begin_layout(folder, file, err) == 0 ? 1 : -1;
    if (known > 0)
        result = make_folders(blobs, err);
    if (known > 0 && result == 0)
        ctz_partial_sweep(folder);
    ctz_free(blobs);
    ctz_free(file);
    return known > 0 ? result : -1;
}

// --- blobs -------------------------------------------------------------------------------------

int ctz_blob_open(struct ctz_blob *blob, const char *layout, struct ctz_error *err)
{
    memset(blob, 0, sizeof *blob);
    blob->fd = -1;
    blob->layout = layout;
    if (ctz_digest_init(&blob->digest, err) != 0)
        return -1;
    if (!layout)
        return 0;
    char *folder = ctz_asprintf("%s/" BLOB_FOLDER, layout);
    if (!folder)
        return no_memory(err, layout);
    blob->fd = open_new(folder, &blob->temporary, err);
    ctz_free(folder);
    return blob->fd < 0 ? -1 : 0;
}

int ctz_blob_write(struct ctz_blob *blob, const void *bytes, size_t size, struct ctz_error *err)
{
    if (ctz_digest_update(&blob->digest, bytes, size, err) != 0)
        return -1;
    blob->size_bytes += size;
    return blob->layout ? write_all(blob->fd, blob->layout, bytes, size, err) : 0;
}

static bool is_there(const char *path, uint64_t size_bytes)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == size_bytes;
}

static int place_blob(struct ctz_blob *blob, const char *path, const char *folder,
                      struct ctz_error *err)
{
    if (is_there(path, blob->size_bytes))
        return 0; // ours goes with ctz_blob_clear
    if (sync_file(blob->fd, path, err) != 0)
        return -1;
    return place(blob->fd, &blob->temporary, path, folder, err);
}

int ctz_blob_commit(struct ctz_blob *blob, char digest[CTZ_DIGEST_BYTES], struct ctz_error *err)
{
    if (ctz_digest_final(&blob->digest, digest, err) != 0)
        return -1;
    if (!blob->layout)
        return 0;
    char *folder = ctz_asprintf("%s/" BLOB_FOLDER, blob->layout);
    char *path = folder ? ctz_asprintf("%s/%s", folder, strchr(digest, ':') + 1) : NULL;
    int result = path ? place_blob(blob, path, folder, err) : no_memory(err, blob->layout);
    ctz_free(path);
    ctz_free(folder);
    return result;
}

void ctz_blob_clear(struct ctz_blob *blob)
{
    if (blob->fd >= 0)
        close(blob->fd);
    remove_temporary(&blob->temporary);
    ctz_digest_clear(&blob->digest);
    blob->fd = -1;
}
