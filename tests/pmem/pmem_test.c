/* When persistent memory is refused, and how its emulation is labelled. */
#include "pmem/pmem.h"

#include "tests/medium/fixture.h"

#include <weir/weir.h>

#include <errno.h>

#define BLOCK ((size_t)4096)

struct context {
    char directory[256];
};

static int set_up(void **state)
{
    struct context *context = calloc(1, sizeof *context);
    assert_non_null(context);
    *state = context;
    (void)unsetenv("PMEM_NO_FLUSH");
    (void)unsetenv("PMEM_IS_PMEM_FORCE");
    return fixture_make_directory(context->directory, NULL);
}

static int tear_down(void **state)
{
    struct context *context = *state;
    fixture_remove_directory(context->directory);
    free(context);
    return 0;
}

static int open_pmem(struct context *context, bool emulated, bool read_only,
                     struct weir_medium **ret_medium, char reason[256])
{
    struct pmem_options options = {
        .directory = context->directory,
        .read_only = read_only,
        .allow_emulated = emulated,
    };
    return pmem_medium_open(&options, ret_medium, reason, 256);
}

static void a_variable_that_takes_durability_away_is_refused_by_name(void **state)
{
    static const char *const names[] = {"PMEM_NO_FLUSH", "PMEM_IS_PMEM_FORCE"};
    struct context *context = *state;
    for (size_t i = 0; i < 2; i++) {
        struct weir_medium *medium = NULL;
        char reason[256] = "";
        assert_int_equal(setenv(names[i], "1", 1), 0);
        int rc = open_pmem(context, false, false, &medium, reason);
        assert_int_equal(unsetenv(names[i]), 0);
        assert_int_equal(rc, WEIR_E_EMULATED);
        assert_null(medium);
        assert_non_null(strstr(reason, names[i]));
    }
}

static void a_variable_is_shown_where_emulation_is_allowed(void **state)
{
    static const char *const names[] = {"PMEM_NO_FLUSH", "PMEM_IS_PMEM_FORCE"};
    struct context *context = *state;
    for (size_t i = 0; i < 2; i++) {
        struct weir_medium *medium = NULL;
        char reason[256] = "";
        assert_int_equal(setenv(names[i], "1", 1), 0);
        int rc = open_pmem(context, true, false, &medium, reason);
        assert_int_equal(unsetenv(names[i]), 0);
        assert_int_equal(rc, 0);
        assert_non_null(strstr(medium->info.reason, names[i]));
        assert_true(medium->info.emulated && !medium->info.durable);
        medium->ops->destroy(medium);
    }
}

/* On a machine with DAX in $WEIR_TEST_DIR both open; tests/vm runs there. */
static bool is_dax(struct context *context)
{
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    bool dax = open_pmem(context, false, false, &medium, reason) == 0;
    if (dax) {
        medium->ops->destroy(medium);
    }
    return dax;
}

static void a_directory_that_is_not_dax_is_refused_with_its_file_system(void **state)
{
    struct context *context = *state;
    if (is_dax(context)) {
        skip();
    }
    struct weir_medium *medium = NULL;
    char reason[256] = "", emulated_reason[256] = "";
    assert_int_equal(open_pmem(context, false, false, &medium, reason), WEIR_E_MEDIUM);
    assert_null(medium);
    assert_non_null(strstr(reason, "DAX"));
    /* Read-only, an empty directory proves nothing: `auto` must not take it for DAX. */
    assert_int_equal(open_pmem(context, false, true, &medium, reason), WEIR_E_MEDIUM);
    assert_null(medium);
    assert_int_equal(open_pmem(context, true, false, &medium, emulated_reason), 0);
    assert_non_null(strstr(reason, medium->info.file_system));
    medium->ops->close(create_file(medium, "a", BLOCK));
    medium->ops->destroy(medium);
    medium = NULL;
    assert_int_equal(open_pmem(context, false, true, &medium, reason), WEIR_E_MEDIUM);
    assert_null(medium);
}

static void emulation_is_labelled_and_never_durable(void **state)
{
    struct context *context = *state;
    if (is_dax(context)) {
        skip();
    }
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    assert_int_equal(open_pmem(context, true, false, &medium, reason), 0);
    const struct weir_medium_info *info = &medium->info;
    assert_string_equal(info->name, "pmem");
    assert_string_equal(info->io, "cpu");
    assert_int_equal(info->block_bytes, 64);
    assert_true(info->emulated && !info->durable && !info->asynchronous && info->window_is_file);
    assert_non_null(strstr(info->reason, "emulated"));
    assert_non_null(strstr(info->reason, "not durable"));
    medium->ops->destroy(medium);
}

/* Where auto passes persistent memory over, its report says why. */
static void a_block_medium_that_auto_has_chosen_says_why_it_is_not_pmem(void **state)
{
    struct context *context = *state;
    struct weir_medium_info info;
    if (!is_dax(context)) {
        assert_int_equal(
            weir_medium_probe(context->directory, WEIR_MEDIUM_AUTO, WEIR_IO_AUTO, &info), 0);
        assert_non_null(strstr(info.reason, "MAP_SYNC"));
    }
    assert_int_equal(setenv("PMEM_NO_FLUSH", "1", 1), 0);
    int rc = weir_medium_probe(context->directory, WEIR_MEDIUM_AUTO, WEIR_IO_AUTO, &info);
    assert_int_equal(unsetenv("PMEM_NO_FLUSH"), 0);
    assert_int_equal(rc, 0);
    assert_int_not_equal(info.kind, WEIR_MEDIUM_PMEM);
    assert_non_null(strstr(info.reason, "PMEM_NO_FLUSH"));
}

/* Its groups are smaller than what a block medium writes. */
static void a_log_of_pmem_that_only_a_block_medium_can_open_says_why(void **state)
{
    struct context *context = *state;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_log *log = NULL;
    options.flags = WEIR_LOG_CREATE | WEIR_LOG_ALLOW_EMULATED_PMEM;
    options.medium = WEIR_MEDIUM_PMEM;
    options.segment_bytes = WEIR_SEGMENT_BYTES_MIN;
    assert_int_equal(weir_log_open(context->directory, &options, &log, &why), 0);
    assert_int_equal(weir_log_close(log), 0);
    assert_int_equal(setenv("PMEM_NO_FLUSH", "1", 1), 0);
    int rc = weir_log_open(context->directory, NULL, &log, &why);
    assert_int_equal(unsetenv("PMEM_NO_FLUSH"), 0);
    assert_int_equal(rc, WEIR_E_MEDIUM);
    assert_non_null(strstr(why.text, "aligned to 64"));
    assert_non_null(strstr(why.text, "PMEM_NO_FLUSH"));
}

static void a_missing_directory_is_said_to_be_missing(void **state)
{
    (void)state;
    struct pmem_options options = {.directory = "./does/not/exist", .allow_emulated = true};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    assert_int_equal(pmem_medium_open(&options, &medium, reason, sizeof reason), -ENOENT);
    assert_non_null(strstr(reason, "cannot be opened"));
    assert_null(medium);
}

/* Each length and place: heads and tails of lines take another way through libpmem. */
static void a_copy_of_any_length_to_any_place_is_exact(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    assert_int_equal(open_pmem(context, true, false, &medium, reason), 0);
    struct weir_file *file = create_file(medium, "a", 4 * BLOCK);
    struct weir_window *window = open_window(medium, file, 4 * BLOCK);
    uint8_t payload[700];
    for (size_t size = 1; size < sizeof payload; size += 37) {
        for (size_t place = 100; place < 165; place++) {
            memset(window->base, 0, 1024);
            fill(payload, size, (unsigned)place);
            medium->ops->copy(window, place, payload, size);
            expect_zeros(window->base, place);
            expect_fill(window->base + place, size, (unsigned)place);
            expect_zeros(window->base + place + size, 1024 - place - size);
        }
    }
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_variable_that_takes_durability_away_is_refused_by_name),
        TEST(a_variable_is_shown_where_emulation_is_allowed),
        TEST(a_directory_that_is_not_dax_is_refused_with_its_file_system),
        TEST(emulation_is_labelled_and_never_durable),
        TEST(a_block_medium_that_auto_has_chosen_says_why_it_is_not_pmem),
        TEST(a_log_of_pmem_that_only_a_block_medium_can_open_says_why),
        TEST(a_missing_directory_is_said_to_be_missing),
        TEST(a_copy_of_any_length_to_any_place_is_exact),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
