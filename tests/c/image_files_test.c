// image_files_test.c: lists of layers and the tree that they make, and of noise.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "bindings/image/files.h"

static int add(struct ctz_file_list *list, char type, const char *path, const char *link,
               struct ctz_error *err)
{
    struct ctz_untar_entry entry = {.path = path, .link = link, .type = type, .mode = 0644};
    return ctz_file_list_events.entry(list, &entry, err);
}

// "path:layer" of each file that is seen.
static void assert_seen(const struct ctz_squash *squash, const char *wanted)
{
    char text[4096] = "";
    for (size_t i = 0; i < squash->count; i++) {
        const struct ctz_file *file = squash->files[i];
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%.*s:%d ", (int)file->path_bytes, file->path,
                 file->layer);
    }
    assert_string_equal(text, wanted);
}

static void a_folder_s_content_stands_behind_it_whatever_sorts_between(void **state)
{
    (void)state;
    struct ctz_error err = {0};
    struct ctz_file_list list = {0};
    struct ctz_squash squash;
    static const char *const paths[] = {"a.b", "a/x", "a-b", "a", "a/x/y"};
    for (size_t i = 0; i < CTZ_COUNT(paths); i++)
        assert_int_equal(add(&list, i == 3 || i == 1 ? '5' : '0', paths[i], "", &err), 0);
    assert_int_equal(ctz_file_list_finish(&list, &err), 0);
    assert_int_equal(ctz_squash_make(&squash, &list, 1, &err), 0);
    assert_seen(&squash, ":0 a:0 a/x:0 a/x/y:0 a-b:0 a.b:0 ");
    assert_non_null(ctz_squash_find(&squash, "a/x/y", 5));
    assert_null(ctz_squash_find(&squash, "a/", 2));
    ctz_squash_clear(&squash);
    ctz_file_list_clear(&list);
}

static void content_goes_to_the_first_link_that_is_left(void **state)
{
    (void)state;
    struct ctz_error err = {0};
    struct ctz_file_list list = {0};
    static const char *const paths[] = {"a"};
    add(&list, '0', "a/data", "", &err);
    add(&list, '1', "b", "a/data", &err);
    add(&list, '1', "c", "b", &err);
    assert_int_equal(ctz_file_list_finish(&list, &err), 0);
    assert_int_equal(ctz_file_list_strip(&list, paths, 1), 1);
    assert_false(list.order[0]->alive);
    assert_ptr_equal(list.order[0]->heir, list.order[1]);
    assert_ptr_equal(list.order[2]->data, list.order[0]);
    ctz_file_list_clear(&list);
}

static void noise_never_harms(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", ".wh.a", ".wh..wh..opq", "..", ".", "", "c.d"};
    srand(7);
    for (int round = 0; round < 3000; round++) {
        struct ctz_error err = {0};
        struct ctz_file_list lists[3] = {{0}, {.layer = 1}, {.layer = 2}};
        struct ctz_squash squash = {0};
        int result = 0;
        for (int layer = 0; layer < 3; layer++) {
            for (int i = 0; i < 12; i++) {
                char path[64], link[64];
                snprintf(path, sizeof path, "%s/%s/%s", names[rand() % 8], names[rand() % 8],
                         names[rand() % 8]);
                snprintf(link, sizeof link, "%s/%s", names[rand() % 8], names[rand() % 8]);
                if (add(&lists[layer], (char)('0' + rand() % 7), path, link, &err) != 0)
                    assert_int_equal(err.kind, CTZ_ERROR_PROTOCOL);
                ctz_error_clear(&err);
            }
            result |= ctz_file_list_finish(&lists[layer], &err);
        }
        assert_int_equal(result, 0);
        if (ctz_squash_make(&squash, lists, 3, &err) != 0)
            assert_int_equal(err.kind, CTZ_ERROR_PROTOCOL);
        for (size_t i = 1; i < squash.count; i++) // no path twice, none below what is no folder
            assert_true(
                ctz_file_compare_paths(squash.files[i - 1]->path, squash.files[i - 1]->path_bytes,
                                       squash.files[i]->path, squash.files[i]->path_bytes) < 0);
        for (size_t i = 1; i < squash.count; i++) {
            const char *path = squash.files[i]->path;
            const char *slash = memrchr(path, '/', squash.files[i]->path_bytes);
            const struct ctz_file *parent =
                ctz_squash_find(&squash, path, slash ? (size_t)(slash - path) : 0);
            assert_non_null(parent);
            assert_int_equal(parent->type, '5');
        }
        ctz_error_clear(&err);
        ctz_squash_clear(&squash);
        for (int layer = 0; layer < 3; layer++)
            ctz_file_list_clear(&lists[layer]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_s_content_stands_behind_it_whatever_sorts_between),
        cmocka_unit_test(content_goes_to_the_first_link_that_is_left),
        cmocka_unit_test(noise_never_harms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
