// context_test.c: folders as tar streams, read back by libarchive.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bindings/context/context.h"
#include "tests/c/scratch.h"

struct stream {
    char *bytes;
    size_t size;
};

// All of the stream, read in pieces of `piece` bytes. -1 with err set.
static int read_all(const struct ctz_context_options *options, size_t piece, struct stream *stream,
                    struct ctz_error *err)
{
    struct ctz_context *context = ctz_context_new(options);
    char *out = malloc(piece);
    size_t filled = 1;
    int result = 0;
    *stream = (struct stream){0};
    while (result == 0 && filled > 0) {
        result = ctz_context_read(context, out, piece, &filled, NULL, NULL, err);
        stream->bytes = realloc(stream->bytes, stream->size + filled + 1);
        memcpy(stream->bytes + stream->size, out, filled);
        stream->size += filled;
    }
    free(out);
    ctz_context_free(context);
    return result;
}

static void put(char *list, const char *format, const char *a, const char *b)
{
    size_t length = strlen(list);
    snprintf(list + length, 4096 - length, format, a, b);
}

// "d dir/;f dir/a=text;l link>dir;h twin>dir/a;p fifo;" of a stream.
static void describe(const struct stream *stream, char list[4096])
{
    struct archive *archive = archive_read_new();
    struct archive_entry *entry;
    char content[256];
    *list = '\0';
    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_memory(archive, stream->bytes, stream->size), ARCHIVE_OK);
    while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
        const char *path = archive_entry_pathname(entry);
        la_ssize_t size = archive_read_data(archive, content, sizeof content - 1);
        content[size > 0 ? size : 0] = '\0';
        assert_int_equal(archive_entry_uid(entry), 0);
        if (archive_entry_hardlink(entry))
            put(list, "h %s>%s;", path, archive_entry_hardlink(entry));
        else if (archive_entry_filetype(entry) == AE_IFLNK)
            put(list, "l %s>%s;", path, archive_entry_symlink(entry));
        else if (archive_entry_filetype(entry) == AE_IFDIR)
            put(list, "d %s%s;", path, "");
        else if (archive_entry_filetype(entry) == AE_IFIFO)
            put(list, "p %s%s;", path, "");
        else
            put(list, "f %s=%s;", path, content);
    }
    assert_int_equal(archive_read_free(archive), ARCHIVE_OK);
}

static struct ctz_context_options options_of(const char *root)
{
    return (struct ctz_context_options){
        .root = root, .name = "", .max_entries = 1000, .follow = true};
}

static void expect(const struct ctz_context_options *options, const char *wanted)
{
    static const size_t pieces[] = {1, 7, 511, 512, 513, 65536};
    struct stream first = {0};
    for (size_t i = 0; i < CTZ_COUNT(pieces); i++) {
        struct ctz_error err = {0};
        struct stream stream;
        char list[4096];
        if (read_all(options, pieces[i], &stream, &err) != 0)
            fail_msg("%s", ctz_error_message(&err));
        assert_int_equal(stream.size % 512, 0);
        describe(&stream, list);
        assert_string_equal(list, wanted);
        if (i == 0) {
            first = stream;
            continue;
        }
        assert_int_equal(stream.size, first.size);
        assert_memory_equal(stream.bytes, first.bytes, first.size);
        free(stream.bytes);
    }
    free(first.bytes);
}

static void write_text(const char *path, const char *text)
{
    scratch_write(path, text, strlen(text));
}

static const char *below(void *state, const char *name)
{
    return scratch_path(state, name);
}

static void make_tree(void *state)
{
    assert_int_equal(mkdir(below(state, "b"), 0755), 0);
    assert_int_equal(mkdir(below(state, "b/empty"), 0700), 0);
    write_text(below(state, "b/x.txt"), "x");
    write_text(below(state, "b/y.log"), "y");
    write_text(below(state, "a"), "first");
    write_text(below(state, "b.c"), "");
    assert_int_equal(symlink("b/nowhere", below(state, "link")), 0);
}

TEST(a_folder_comes_sorted_with_its_links)
{
    make_tree(*state);
    assert_int_equal(link(below(*state, "a"), below(*state, "twin")), 0);
    assert_int_equal(mkfifo(below(*state, "fifo"), 0600), 0);
    struct ctz_context_options options = options_of(*state);
    expect(&options, "f a=first;d b/;d b/empty/;f b/x.txt=x;f b/y.log=y;f b.c=;p fifo;"
                     "l link>b/nowhere;h twin>a;");
}

TEST(sockets_are_left_out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", below(*state, "s"));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct ctz_context_options options = options_of(*state);
    expect(&options, "");
    close(fd);
}

TEST(a_name_is_put_before_all_paths)
{
    make_tree(*state);
    struct ctz_context_options options = options_of(*state);
    options.name = "top/in";
    expect(&options, "d top/in/;f top/in/a=first;d top/in/b/;d top/in/b/empty/;"
                     "f top/in/b/x.txt=x;f top/in/b/y.log=y;f top/in/b.c=;"
                     "l top/in/link>b/nowhere;");
}

TEST(a_single_file_has_the_name_that_is_given)
{
    make_tree(*state);
    struct ctz_context_options options = options_of(below(*state, "a"));
    options.name = "other";
    expect(&options, "f other=first;");
}

TEST(a_link_as_root_is_followed_only_when_told)
{
    make_tree(*state);
    assert_int_equal(symlink("a", below(*state, "to-a")), 0);
    struct ctz_context_options options = options_of(below(*state, "to-a"));
    options.name = "n";
    expect(&options, "f n=first;");
    options.follow = false;
    expect(&options, "l n>a;");
}

static struct ctz_ignore *ignore_of(const char *text)
{
    struct ctz_error err = {0};
    struct ctz_ignore *ignore = ctz_ignore_new(text, strlen(text), "x", &err);
    assert_non_null(ignore);
    return ignore;
}

TEST(ignored_files_are_left_out_and_exceptions_bring_their_folders)
{
    make_tree(*state);
    struct ctz_context_options options = options_of(*state);
    options.ignore = ignore_of("*\n!b/*.txt");
    expect(&options, "d b/;f b/x.txt=x;");
    ctz_ignore_release(options.ignore);
    options.ignore = ignore_of("**/*.log\nlink\nb/empty");
    expect(&options, "f a=first;d b/;f b/x.txt=x;f b.c=;");
    ctz_ignore_release(options.ignore);
}

TEST(what_is_always_sent_is_sent_although_ignored)
{
    make_tree(*state);
    static const char *const always[] = {"b/y.log", "b.c", "missing"};
    struct ctz_context_options options = options_of(*state);
    options.ignore = ignore_of("*");
    options.always = always;
    options.always_count = CTZ_COUNT(always);
    expect(&options, "d b/;f b/y.log=y;f b.c=;");
    ctz_ignore_release(options.ignore);
}

TEST(extra_files_come_first_and_replace_those_on_disk)
{
    make_tree(*state);
    static const struct ctz_context_extra extras[] = {{"b/x.txt", "new", 3, 0644},
                                                      {"Dockerfile", "FROM x", 6, 0600}};
    struct ctz_context_options options = options_of(*state);
    options.extras = extras;
    options.extra_count = CTZ_COUNT(extras);
    expect(&options, "f Dockerfile=FROM x;f b/x.txt=new;f a=first;d b/;d b/empty/;f b/y.log=y;"
                     "f b.c=;l link>b/nowhere;");
}

TEST(times_and_modes_are_those_of_the_files)
{
    write_text(below(*state, "f"), "text");
    assert_int_equal(chmod(below(*state, "f"), 04751), 0);
    struct timespec times[2] = {{.tv_sec = 1500000000}, {.tv_sec = 1600000000, .tv_nsec = 9}};
    assert_int_equal(utimensat(AT_FDCWD, below(*state, "f"), times, 0), 0);
    struct ctz_context_options options = options_of(*state);
    struct ctz_error err = {0};
    struct stream stream;
    struct archive_entry *entry;
    assert_int_equal(read_all(&options, 4096, &stream, &err), 0);
    struct archive *archive = archive_read_new();
    archive_read_support_format_tar(archive);
    archive_read_open_memory(archive, stream.bytes, stream.size);
    assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
    assert_int_equal(archive_entry_mtime(entry), 1600000000);
    assert_int_equal(archive_entry_perm(entry), 04751);
    archive_read_free(archive);
    free(stream.bytes);
}

TEST(a_tree_deeper_than_a_path_may_be_long_is_read)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    int fd = open(*state, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 30; i++) { // 7,680 bytes
        assert_int_equal(mkdirat(fd, name, 0755), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
    struct ctz_context_options options = options_of(*state);
    struct ctz_error err = {0};
    struct stream stream;
    assert_int_equal(read_all(&options, 4096, &stream, &err), 0);
    assert_true(stream.size > (size_t)30 * 512);
    free(stream.bytes);
    char command[256]; // the tear-down knows no paths of that length
    snprintf(command, sizeof command, "rm -rf '%s/%.1s'*", (const char *)*state, name);
    assert_int_equal(system(command), 0);
}

static void expect_error(const struct ctz_context_options *options, enum ctz_error_kind kind,
                         const char *text)
{
    struct ctz_error err = {0};
    struct stream stream;
    assert_int_equal(read_all(options, 4096, &stream, &err), -1);
    assert_string_equal(ctz_error_kind_name(err.kind), ctz_error_kind_name(kind));
    if (!strstr(ctz_error_message(&err), text))
        fail_msg("\"%s\" does not say \"%s\"", ctz_error_message(&err), text);
    ctz_error_clear(&err);
    free(stream.bytes);
}

TEST(what_cannot_be_read_is_named)
{
    struct ctz_context_options options = options_of(below(*state, "missing"));
    expect_error(&options, CTZ_ERROR_NOT_FOUND, "/missing");
    options.root = "/dev/null";
    expect_error(&options, CTZ_ERROR_UNSUPPORTED, "/dev/null is neither");
    write_text(below(*state, "f"), "");
    options.root = below(*state, "f");
    expect_error(&options, CTZ_ERROR_USAGE, "is not a folder");
    options = options_of(*state);
    options.max_entries = 0;
    expect_error(&options, CTZ_ERROR_SIZE, "more than 0 files");
}

// Reads the first piece, lets the file change, and reads on.
static void expect_change(void *state, off_t new_size, const char *how)
{
    struct ctz_error err = {0};
    char *piece = calloc(1, 100000);
    const char *path = below(state, "file");
    scratch_write(path, piece, 100000);
    struct ctz_context_options options = options_of(state);
    struct ctz_context *context = ctz_context_new(&options);
    size_t filled;
    assert_int_equal(ctz_context_read(context, piece, 5000, &filled, NULL, NULL, &err), 0);
    assert_int_equal(truncate(path, new_size), 0);
    int result = 0;
    while (result == 0 && filled > 0)
        result = ctz_context_read(context, piece, 5000, &filled, NULL, NULL, &err);
    assert_int_equal(result, -1);
    assert_int_equal(err.kind, CTZ_ERROR_CONFLICT);
    assert_non_null(strstr(ctz_error_message(&err), how));
    assert_string_equal(err.target, path);
    ctz_error_clear(&err);
    ctz_context_free(context);
    free(piece);
}

TEST(a_file_that_shrinks_while_it_is_read_is_an_error_that_names_it)
{
    expect_change(*state, 50000, "/file shrank while it was read");
}

TEST(a_file_that_grows_while_it_is_read_is_an_error_that_names_it)
{
    expect_change(*state, 150000, "/file grew while it was read");
}

static bool stop_at_once(void *owner)
{
    (void)owner;
    return true;
}

TEST(a_stopped_stream_ends_as_cancelled)
{
    struct ctz_context_options options = options_of(*state);
    struct ctz_context *context = ctz_context_new(&options);
    struct ctz_error err = {0};
    char piece[512];
    size_t filled;
    assert_int_equal(
        ctz_context_read(context, piece, sizeof piece, &filled, stop_at_once, NULL, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_CANCELLED);
    ctz_error_clear(&err);
    ctz_context_free(context);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(a_folder_comes_sorted_with_its_links),
        SCRATCH_TEST(sockets_are_left_out),
        SCRATCH_TEST(a_name_is_put_before_all_paths),
        SCRATCH_TEST(a_single_file_has_the_name_that_is_given),
        SCRATCH_TEST(a_link_as_root_is_followed_only_when_told),
        SCRATCH_TEST(ignored_files_are_left_out_and_exceptions_bring_their_folders),
        SCRATCH_TEST(what_is_always_sent_is_sent_although_ignored),
        SCRATCH_TEST(extra_files_come_first_and_replace_those_on_disk),
        SCRATCH_TEST(times_and_modes_are_those_of_the_files),
        SCRATCH_TEST(a_tree_deeper_than_a_path_may_be_long_is_read),
        SCRATCH_TEST(what_cannot_be_read_is_named),
        SCRATCH_TEST(a_file_that_shrinks_while_it_is_read_is_an_error_that_names_it),
        SCRATCH_TEST(a_file_that_grows_while_it_is_read_is_an_error_that_names_it),
        SCRATCH_TEST(a_stopped_stream_ends_as_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
