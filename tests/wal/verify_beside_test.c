/*
 * weir_verify() and what lies beside the log: damaged holds and state files are notes, whatever is
 * wrong with them, and nothing else is.
 */
#include "support.h"

#include "wal/format.h"
#include "wal/state.h"

#include <errno.h>
#include <string.h>

#define HOLD "holds/billing"
#define STATE "derived/by_section/state"

struct notes {
    uint32_t count;
    int stop_with; /* 0: not at all */
    struct weir_finding last;
};

static int keep(void *context, const struct weir_finding *finding)
{
    struct notes *notes = context;
    assert_true(finding->note);
    assert_int_equal(finding->from_lsn, 0);
    assert_non_null(strstr(finding->text, finding->file));
    assert_true(strlen(finding->advice) > 10);
    notes->last = *finding;
    notes->count++;
    return notes->stop_with;
}

static int verify(struct test_disk *disk, const struct sim_memory_faults *faults,
                  struct notes *notes)
{
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct sim_memory_options memory = disk->options;
    memory.read_only = true;
    if (faults != NULL) {
        memory.faults = *faults;
    }
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&memory, &options.custom_medium), 0);
    int stop_with = notes->stop_with;
    *notes = (struct notes){.stop_with = stop_with};
    int rc = weir_verify("", &options, keep, notes, &report, NULL);
    if (rc == 0) {
        assert_true(report.ok); /* all of it can be made again */
        assert_int_equal(report.records, 9);
        assert_int_equal(report.findings, notes->count);
        assert_int_equal(report.notes, notes->count);
    }
    return rc;
}

static void save(struct weir_log *log, const char *file, size_t size)
{
    static uint8_t bytes[STATE_BLOCK_ROOM + 5000];
    struct weir_state_writer *writer;
    assert_true(size <= sizeof bytes);
    memset(bytes, 0x5a, size);
    assert_int_equal(weir_state_create(log, "by_section", file, &writer), 0);
    assert_int_equal(weir_state_write(writer, bytes, size), 0);
    assert_int_equal(weir_state_commit(writer, "index", 1, 6, NULL), 0);
}

/* Nine records, two holds, and a state of two blocks with its definition. */
static struct test_disk disk_with_all(void)
{
    struct test_disk disk = disk_new();
    struct weir_log *log = open_log(&disk, NULL);
    for (int i = 0; i < 9; i++) {
        append_text(log, "record", WEIR_EACH);
    }
    assert_int_equal(weir_hold_set(log, "billing", 4), 0);
    assert_int_equal(weir_hold_set(log, "by_section", 7), 0);
    save(log, "state", STATE_BLOCK_ROOM + 5000);
    save(log, "definition", 100);
    close_log(log);
    return disk;
}

static void expect_note(struct test_disk *disk, const struct sim_memory_faults *faults,
                        const char *code, const char *file, const char *text)
{
    struct notes notes = {0};
    assert_int_equal(verify(disk, faults, &notes), 0);
    if (notes.count != 1) {
        fail_msg("%u notes, the last is %s", notes.count, notes.last.text);
    }
    assert_string_equal(notes.last.code, code);
    assert_string_equal(notes.last.file, file);
    assert_non_null(strstr(notes.last.text, text));
}

static void expect_none(struct test_disk *disk, const struct sim_memory_faults *faults)
{
    struct notes notes = {0};
    assert_int_equal(verify(disk, faults, &notes), 0);
    if (notes.count != 0) {
        fail_msg("%s", notes.last.text);
    }
}

static uint8_t *bytes_of(struct test_disk *disk, const char *path, uint64_t *ret_size)
{
    uint8_t *bytes = sim_memory_bytes(disk->keeper, path, false, ret_size);
    assert_non_null(bytes);
    return bytes;
}

static void create(struct test_disk *disk, const char *path)
{
    struct weir_file *file;
    assert_int_equal(disk->keeper->ops->create(disk->keeper, path, 4096, &file), 0);
    disk->keeper->ops->close(file);
}

static void what_is_whole_is_no_note_and_neither_is_what_is_being_made(void **state)
{
    (void)state;
    struct test_disk disk = disk_with_all();
    expect_none(&disk, NULL);
    create(&disk, "holds/.new_one.new");
    create(&disk, "derived/by_section/.state.new");
    assert_int_equal(disk.keeper->ops->make_directory(disk.keeper, "derived/engine"), 0);
    create(&disk, "derived/engine/checkpoint"); /* the engine's own */
    expect_none(&disk, NULL);
    disk_free(&disk);
}

static void a_hold_without_a_valid_slot_is_a_note(void **state)
{
    (void)state;
    struct test_disk disk = disk_with_all();
    uint64_t size;
    uint8_t *bytes = bytes_of(&disk, HOLD, &size);
    bytes[FORMAT_BLOCK + 20] ^= 1;
    expect_none(&disk, NULL); /* the other slot counts */
    bytes[20] ^= 1;
    expect_note(&disk, NULL, "hold", HOLD, "neither of its two slots is valid");
    disk_free(&disk);
}

static void a_flipped_bit_anywhere_in_a_state_file_is_a_note(void **state)
{
    (void)state;
    struct test_disk disk = disk_with_all();
    uint64_t size;
    uint8_t *bytes = bytes_of(&disk, STATE, &size);
    for (uint64_t at = 0; at < size; at += 1009) {
        bytes[at] ^= 0x10;
        expect_note(&disk, NULL, "state", STATE, "");
        bytes[at] ^= 0x10;
    }
    expect_none(&disk, NULL);
    bytes = bytes_of(&disk, "derived/by_section/definition", &size);
    bytes[size - 1] ^= 1;
    expect_note(&disk, NULL, "state", "derived/by_section/definition", "fails its checksum");
    disk_free(&disk);
}

/* Beside a log whose CONTROL is lost, too: the segments say which log it was. */
static void without_control_they_are_looked_at_as_well(void **state)
{
    (void)state;
    struct test_disk disk = disk_with_all();
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    uint64_t size;
    assert_int_equal(disk.keeper->ops->remove(disk.keeper, "CONTROL"), 0);
    memset(bytes_of(&disk, HOLD, &size), 0, 2 * FORMAT_BLOCK);
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&disk.options, &options.custom_medium), 0);
    assert_int_equal(weir_verify("", &options, NULL, NULL, &report, NULL), 0);
    assert_false(report.ok);
    assert_int_equal(report.findings, 2);
    assert_int_equal(report.notes, 1);
    disk_free(&disk);
}

struct fault {
    const char *call, *name;
    int error;
};

static int fail_call(void *context, const char *call, const char *name, uint64_t offset,
                     size_t size)
{
    const struct fault *fault = context;
    (void)offset;
    (void)size;
    bool hit = strcmp(call, fault->call) == 0 && strcmp(name, fault->name) == 0;
    return hit ? fault->error : 0;
}

static void what_cannot_be_read_is_a_note_and_what_has_gone_is_none(void **state)
{
    (void)state;
    static const struct {
        struct fault fault;
        const char *code, *file;
    } cases[] = {
        {{"open", HOLD, -EACCES}, "hold", HOLD},
        {{"read", HOLD, -EIO}, "hold", HOLD},
        {{"open", STATE, -EACCES}, "state", STATE},
        {{"read", STATE, -EIO}, "state", STATE},
        {{"list", "holds", -EACCES}, "hold", "holds"},
        {{"list", "derived/by_section", -EACCES}, "state", "derived/by_section"},
        {{"list_directories", "derived", -EIO}, "state", "derived"},
    };
    struct test_disk disk = disk_with_all();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault fault = cases[i].fault;
        struct sim_memory_faults faults = {.before = fail_call, .context = &fault};
        struct notes notes = {0};
        expect_note(&disk, &faults, cases[i].code, cases[i].file, "");
        if (strcmp(fault.call, "read") != 0) {
            fault.error = -ENOENT; /* dropped meanwhile */
            expect_none(&disk, &faults);
        }
        fault.error = -ENOMEM;
        assert_int_equal(verify(&disk, &faults, &notes), -ENOMEM);
    }
    disk_free(&disk);
}

static void the_callback_can_stop_it(void **state)
{
    (void)state;
    struct test_disk disk = disk_with_all();
    uint64_t size;
    bytes_of(&disk, STATE, &size)[9] ^= 1;
    bytes_of(&disk, "derived/by_section/definition", &size)[9] ^= 1;
    static const int results[] = {5, -EINTR};
    for (size_t i = 0; i < 2; i++) {
        struct notes notes = {.stop_with = results[i]};
        assert_int_equal(verify(&disk, NULL, &notes), results[i]);
        assert_int_equal(notes.count, 1);
    }
    disk_free(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_no_note_and_neither_is_what_is_being_made),
        cmocka_unit_test(a_hold_without_a_valid_slot_is_a_note),
        cmocka_unit_test(a_flipped_bit_anywhere_in_a_state_file_is_a_note),
        cmocka_unit_test(without_control_they_are_looked_at_as_well),
        cmocka_unit_test(what_cannot_be_read_is_a_note_and_what_has_gone_is_none),
        cmocka_unit_test(the_callback_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
