/*
 * weir_verify(): what it finds, with exact LSN ranges, and what it lets pass.
 */
#include "tests/wal/image.h"

#include "base/crc32c.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINDINGS_MAX 64u

struct findings {
    uint32_t count;
    struct weir_finding list[FINDINGS_MAX];
};

static int keep(void *context, const struct weir_finding *finding)
{
    struct findings *findings = context;
    assert_in_range(findings->count, 0, FINDINGS_MAX - 1);
    assert_true(strlen(finding->text) > 10);
    assert_ptr_equal(finding->advice, weir_finding_advice(finding->code));
    assert_string_not_equal(finding->advice, "");
    assert_non_null(strstr(finding->text, finding->file));
    findings->list[findings->count++] = *finding;
    return 0;
}

static struct weir_verify_report verified(struct image *image, struct findings *ret_findings)
{
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct sim_memory_options memory = {
        .disk = sim_memory_disk(image->medium),
        .block_bytes = image->control.block_bytes,
        .read_only = true,
    };
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&memory, &options.custom_medium), 0);
    ret_findings->count = 0;
    assert_int_equal(weir_verify("", &options, keep, ret_findings, &report, NULL), 0);
    assert_int_equal(report.findings, ret_findings->count);
    return report;
}

static void expect_finding(const struct findings *findings, const char *code, weir_lsn from,
                           weir_lsn to)
{
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct weir_finding *finding = &findings->list[i];
        if (strcmp(finding->code, code) == 0 && finding->from_lsn == from &&
            finding->to_lsn == to) {
            return;
        }
    }
    for (uint32_t i = 0; i < findings->count; i++) {
        const struct weir_finding *finding = &findings->list[i];
        print_message("found %s %lu to %lu at %s %lu: %s\n", finding->code,
                      (unsigned long)finding->from_lsn, (unsigned long)finding->to_lsn,
                      finding->file, (unsigned long)finding->offset, finding->text);
    }
    fail_msg("no finding %s %lu to %lu", code, (unsigned long)from, (unsigned long)to);
}

static void make_log(struct image *image, uint32_t segments)
{
    image_begin(image, 4096);
    image_new_epoch(image);
    for (uint32_t i = 0; i < segments; i++) {
        image_fill_segment(image);
    }
    image_data(image, 3, 100);
    image->durable = image->chain.next_lsn - 1;
    image_data(image, 2, 100);
    image_close_clean(image);
}

static struct image_group group_with(const struct image *image, weir_lsn lsn)
{
    for (uint32_t g = 0; g < image->group_count; g++) {
        const struct image_group *group = &image->groups[g];
        if (lsn >= group->first_lsn && lsn < group->first_lsn + group->records) {
            return *group;
        }
    }
    fail_msg("no group with LSN %lu", (unsigned long)lsn);
    return image->groups[0];
}

static void a_whole_log_has_no_findings_and_all_records(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(findings.count, 0);
    assert_int_equal(report.earliest, 1);
    assert_int_equal(report.latest, image.chain.next_lsn - 1);
    assert_int_equal(report.records, image.chain.next_lsn - 1);
    assert_int_equal(report.groups, image.group_count);
    assert_int_equal(report.segments, 4);
    assert_int_equal(report.payload_bytes, (report.records - 5) * 4000 + 500);
    image_end(&image);
}

static void an_empty_log_is_whole(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    image_begin(&image, 4096);
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(report.earliest, 0);
    assert_int_equal(report.latest, 0);
    image_end(&image);
}

static void a_torn_tail_is_no_finding(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 3, 100);
    struct image_group torn = *image_data(&image, 2, 3000);
    image_at(&image, torn.address)[5000] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(findings.count, 0);
    assert_int_equal(report.records, 3);
    assert_int_equal(report.cut_bytes, torn.bytes);
    image_end(&image);
}

static void a_damaged_payload_costs_exactly_its_record(void **state)
{
    (void)state;
    for (weir_lsn lsn = 4; lsn <= 6; lsn++) {
        struct image image;
        struct findings findings;
        make_log(&image, 3);
        struct image_group group = group_with(&image, lsn);
        uint64_t record = FORMAT_GROUP_HEADER_BYTES + (lsn - group.first_lsn) * (4000 + 16);
        image_at(&image, group.address)[record + 16 + 7] ^= 1;
        struct weir_verify_report report = verified(&image, &findings);
        assert_false(report.ok);
        assert_int_equal(findings.count, 1);
        expect_finding(&findings, "record-crc", lsn, lsn);
        assert_int_equal(findings.list[0].offset, group.address % IMAGE_SEGMENT + record);
        assert_int_equal(report.records, image.chain.next_lsn - 2);
        image_end(&image);
    }
}

static void damaged_record_headers_cost_their_group(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    struct image_group group = group_with(&image, 5);
    image_at(&image, group.address)[FORMAT_GROUP_HEADER_BYTES + 12] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    expect_finding(&findings, "body-crc", group.first_lsn, group.first_lsn + 2);
    assert_int_equal(findings.count, 1);
    assert_int_equal(report.records, image.chain.next_lsn - 4);
    image_end(&image);
}

static void damaged_group_headers_end_where_the_next_group_begins(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    struct image_group one = group_with(&image, 5);
    struct image_group two = group_with(&image, 8);
    struct image_group other = group_with(&image, 60);
    image_at(&image, one.address)[9] ^= 1;
    memset(image_at(&image, two.address), 0, 4096);
    image_at(&image, other.address)[0] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    assert_int_equal(findings.count, 2);
    expect_finding(&findings, "group-crc", one.first_lsn, two.first_lsn + two.records - 1);
    expect_finding(&findings, "group-crc", other.first_lsn, other.first_lsn + other.records - 1);
    assert_int_equal(report.records, image.chain.next_lsn - 1 - 9);
    image_end(&image);
}

static void a_misdirected_group_is_found_by_its_address(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 2);
    struct image_group target = group_with(&image, 5);
    struct image_group source = group_with(&image, 20);
    memcpy(image_at(&image, target.address), image_at(&image, source.address), target.bytes);
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    assert_int_equal(findings.count, 1);
    expect_finding(&findings, "group-address", target.first_lsn,
                   target.first_lsn + target.records - 1);
    image_end(&image);
}

static void a_missing_segment_costs_exactly_its_records(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    weir_lsn first = 0, last = 0;
    for (uint32_t g = 0; g < image.group_count; g++) {
        const struct image_group *group = &image.groups[g];
        if (group->address / IMAGE_SEGMENT == 2 && group->records > 0) {
            first = first == 0 ? group->first_lsn : first;
            last = group->first_lsn + group->records - 1;
        }
    }
    char name[FORMAT_NAME_BYTES];
    format_segment_name(2, name);
    assert_int_equal(image.medium->ops->remove(image.medium, name), 0);
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    assert_int_equal(findings.count, 1);
    expect_finding(&findings, "segment-missing", first, last);
    assert_int_equal(report.records, image.chain.next_lsn - 1 - (last - first + 1));
    image_end(&image);
}

static void a_segment_cut_short_costs_what_is_cut_off(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    weir_lsn base = 0;
    for (uint32_t g = 0; g < image.group_count && base == 0; g++) {
        base = image.groups[g].address / IMAGE_SEGMENT == 3 ? image.groups[g].first_lsn : 0;
    }
    struct image_group cut = group_with(&image, 20);
    assert_int_equal(cut.address / IMAGE_SEGMENT, 1);
    image_cut_file(&image, 1, cut.address % IMAGE_SEGMENT + 4096);
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    struct segment_header header;
    assert_int_equal(segment_header_decode(image_file(&image, 2), image.control.uuid, 2, &header),
                     0);
    expect_finding(&findings, "cut-short", cut.first_lsn, header.base_lsn - 1);
    image_end(&image);
}

static void what_was_acknowledged_last_and_is_witnessed_by_control_is_named(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 1);
    struct image_group last = image.groups[image.group_count - 1];
    memset(image_at(&image, last.address), 0, last.bytes);
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    assert_int_equal(findings.count, 1);
    expect_finding(&findings, "group-crc", last.first_lsn, last.first_lsn + 1);
    image_end(&image);
}

static void a_lost_segment_header_costs_nothing_while_the_chain_leads_on(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    image_file(&image, 2)[60] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    expect_finding(&findings, "segment-header", 0, 0);
    image_file(&image, 2)[4096 + 61] ^= 1;
    report = verified(&image, &findings);
    assert_false(report.ok); /* no record is lost, but the log does not open */
    assert_int_equal(report.records, image.chain.next_lsn - 1);
    image_end(&image);
}

static void notes_about_what_exists_twice_leave_the_log_ok(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 2);
    uint64_t size;
    sim_memory_bytes(image.medium, "CONTROL", false, &size)[4096 + 100] ^= 1;
    struct image_group seal = {0};
    for (uint32_t g = 0; g < image.group_count; g++) {
        seal = image.groups[g].kind == FORMAT_GROUP_SEAL ? image.groups[g] : seal;
    }
    image_at(&image, seal.address)[FORMAT_GROUP_HEADER_BYTES + 66] ^= 1;
    struct weir_file *file;
    assert_int_equal(image.medium->ops->create(image.medium, "notes.txt", 0, &file), 0);
    image.medium->ops->close(file);
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(findings.count, 3);
    expect_finding(&findings, "control-copy", 0, 0);
    expect_finding(&findings, "seal", 0, 0);
    expect_finding(&findings, "foreign-file", 0, 0);
    image_end(&image);
}

static void without_control_every_record_is_still_counted(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 3);
    uint64_t size;
    uint8_t *control = sim_memory_bytes(image.medium, "CONTROL", false, &size);
    for (uint64_t copy = 0; copy < 4; copy++) {
        control[copy * 4096 + 20 + copy] ^= 1;
    }
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    expect_finding(&findings, "control", 0, 0);
    assert_int_equal(report.records, image.chain.next_lsn - 1);
    assert_int_equal(image.medium->ops->remove(image.medium, "CONTROL"), 0);
    report = verified(&image, &findings);
    assert_false(report.ok);
    expect_finding(&findings, "control", 0, 0);
    assert_int_equal(report.records, image.chain.next_lsn - 1);
    struct image_group group = group_with(&image, 5);
    image_at(&image, group.address)[9] ^= 1;
    report = verified(&image, &findings);
    expect_finding(&findings, "group-crc", group.first_lsn, group.first_lsn + 2);
    image_end(&image);
}

static void a_damaged_epoch_group_costs_no_record(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    image_begin(&image, 4096);
    image_new_epoch(&image);
    image_data(&image, 3, 100);
    image_recover(&image);
    struct image_group epoch = image.groups[image.group_count - 1];
    image_data(&image, 3, 100);
    image.durable = 6;
    image_data(&image, 3, 100);
    image_at(&image, epoch.address)[70] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok); /* opening refuses */
    expect_finding(&findings, "body-crc", 0, 0);
    assert_int_equal(report.records, 9);
    image_end(&image);
}

static void a_rolled_back_control_is_a_finding(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 1);
    uint64_t size;
    uint8_t old[FORMAT_CONTROL_BYTES];
    memcpy(old, sim_memory_bytes(image.medium, "CONTROL", false, &size), sizeof old);
    image_recover(&image);
    image_data(&image, 2, 100);
    memcpy(sim_memory_bytes(image.medium, "CONTROL", false, &size), old, sizeof old);
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    expect_finding(&findings, "epoch", 0, 0);
    assert_int_equal(report.records, image.chain.next_lsn - 1);
    image_end(&image);
}

static void damage_below_the_first_lsn_costs_nothing(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 2);
    image.control.first_lsn = 11;
    image_store_control(&image);
    struct image_group group = group_with(&image, 5);
    image_at(&image, group.address)[9] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(report.earliest, 11);
    assert_int_equal(report.records, image.chain.next_lsn - 11);
    expect_finding(&findings, "group-crc", 0, 0);
    image_end(&image);
}

static void what_opening_refuses_is_never_ok_and_what_it_accepts_is(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 2);
    for (uint32_t g = 0; g < image.group_count; g++) {
        for (uint64_t at = 0; at < image.groups[g].bytes; at += 331) {
            uint8_t *byte = image_at(&image, image.groups[g].address) + at;
            *byte ^= 0x10;
            struct recovery found;
            struct weir_error why;
            int rc = image_judge(&image, &found, &why);
            struct weir_verify_report report = verified(&image, &findings);
            assert_true(findings.count > 0);
            assert_true(rc == 0 || !report.ok);
            if (rc == 0) {
                recover_free(&found);
            }
            *byte ^= 0x10;
        }
    }
    image_end(&image);
}

/* Random bytes into a header, under a right checksum: what only a program that knows the seed
 * can write, and what the checks behind the checksum are for. */
static void forge_header(struct image *image, struct base_prng *prng)
{
    uint32_t g = (uint32_t)base_prng_below(prng, image->group_count);
    uint8_t *bytes = image_at(image, image->groups[g].address);
    bytes[4 + base_prng_below(prng, 60)] = (uint8_t)base_prng_next(prng);
    bool epoch = le16_load(&((struct format_group *)bytes)->kind) == FORMAT_GROUP_EPOCH;
    uint32_t seed = epoch ? image->uuid_seed : image->control.seed;
    le32_store(&((struct format_group *)bytes)->crc, base_crc32c(seed, bytes + 4, 60));
}

static void damage_at_random(struct image *image, struct base_prng *prng)
{
    uint64_t ordinal = 1 + base_prng_below(prng, 3);
    uint64_t other = 1 + base_prng_below(prng, 3);
    uint64_t block = base_prng_below(prng, IMAGE_SEGMENT / 4096) * 4096;
    uint64_t source = base_prng_below(prng, IMAGE_SEGMENT / 4096) * 4096;
    uint8_t *bytes = image_file(image, ordinal) + block;
    switch (base_prng_below(prng, 4)) {
    case 0:
        bytes[base_prng_below(prng, 4096)] = (uint8_t)base_prng_next(prng);
        break;
    case 1:
        memset(bytes, 0, 4096);
        break;
    case 2:
        memmove(bytes, image_file(image, other) + source, 4096);
        break;
    default:
        forge_header(image, prng);
        break;
    }
}

static void no_damage_makes_recovery_or_verification_stumble(void **state)
{
    (void)state;
    struct image image;
    struct findings *findings = malloc(sizeof *findings);
    uint8_t *saved = malloc(3 * IMAGE_SEGMENT);
    assert_non_null(findings);
    assert_non_null(saved);
    make_log(&image, 2);
    for (uint64_t i = 0; i < 3; i++) {
        memcpy(saved + i * IMAGE_SEGMENT, image_file(&image, i + 1), IMAGE_SEGMENT);
    }
    for (uint64_t seed = 1; seed <= 800; seed++) {
        struct base_prng prng;
        base_prng_seed(&prng, seed);
        for (uint64_t edits = 1 + base_prng_below(&prng, 6); edits > 0; edits--) {
            damage_at_random(&image, &prng);
        }
        image.control.clean = seed % 2 == 0;
        struct recovery found;
        struct weir_error why;
        int rc = image_judge(&image, &found, &why);
        assert_true(rc == 0 || rc <= WEIR_E_NOT_A_LOG);
        if (rc == 0) {
            int all = recover_verify_all(image.medium, &image.control, &found, &why);
            assert_true(all == 0 || all <= WEIR_E_NOT_A_LOG);
            recover_free(&found);
        }
        (void)verified(&image, findings);
        for (uint64_t i = 0; i < 3; i++) {
            memcpy(image_file(&image, i + 1), saved + i * IMAGE_SEGMENT, IMAGE_SEGMENT);
        }
    }
    image_end(&image);
    free(saved);
    free(findings);
}

static void a_torn_copy_of_the_newest_header_is_no_finding(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 2);
    image.control.clean = false; /* the writer was killed */
    image_store_control(&image);
    image_file(&image, 3)[4096 + 60] ^= 1;
    struct weir_verify_report report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(findings.count, 0);
    image_file(&image, 2)[60] ^= 1; /* not the newest: nobody was writing it */
    report = verified(&image, &findings);
    assert_true(report.ok);
    assert_int_equal(report.notes, 1);
    expect_finding(&findings, "segment-header", 0, 0);
    assert_true(findings.list[0].note);
    image_end(&image);
}

static void files_of_two_copies_are_told_apart(void **state)
{
    (void)state;
    struct image image;
    struct findings findings;
    make_log(&image, 2);
    uint8_t *other = malloc(IMAGE_SEGMENT);
    assert_non_null(other);
    struct image copy; /* the same uuid and seed, written apart */
    image_begin(&copy, 4096);
    image_new_epoch(&copy);
    image_fill_to(&copy, IMAGE_SEGMENT - 65536);
    image_seal(&copy);
    image_fill_segment(&copy);
    memcpy(other, image_file(&copy, 2), IMAGE_SEGMENT);
    image_end(&copy);
    memcpy(image_file(&image, 2), other, IMAGE_SEGMENT);
    free(other);
    struct weir_verify_report report = verified(&image, &findings);
    assert_false(report.ok);
    expect_finding(&findings, "overlap", 0, 0);
    assert_true(report.records < image.chain.next_lsn); /* none is counted twice */
    image_end(&image);
}

static void what_was_never_begun_is_no_log_and_what_was_interrupted_is_empty(void **state)
{
    (void)state;
    for (int begun = 0; begun <= 1; begun++) {
        struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
        struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
        struct sim_memory_options memory = {.block_bytes = 4096};
        struct weir_error why = WEIR_ERROR_INIT;
        struct weir_file *lock;
        options.medium = WEIR_MEDIUM_CUSTOM;
        assert_int_equal(sim_memory_open(&memory, &options.custom_medium), 0);
        if (begun == 1) {
            const struct weir_medium_ops *ops = options.custom_medium->ops;
            assert_int_equal(ops->create(options.custom_medium, "LOCK", 0, &lock), 0);
            ops->close(lock);
        }
        int rc = weir_verify("", &options, NULL, NULL, &report, &why);
        assert_int_equal(rc, begun == 1 ? 0 : -ENOENT);
        assert_true(begun == 1 ? report.ok : strstr(why.text, "no log in this directory") != NULL);
    }
}

static void a_failure_says_what_it_was(void **state)
{
    (void)state;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_verify("no-such-directory", NULL, NULL, NULL, &report, &why), -ENOENT);
    assert_int_equal(why.code, -ENOENT);
    assert_non_null(strstr(why.text, "no-such-directory"));
    assert_string_equal(weir_finding_meaning("no-such-code"), "");
    assert_string_equal(weir_finding_advice("no-such-code"), "");
}

static int stop_at_once(void *context, const struct weir_finding *finding)
{
    (void)context;
    (void)finding;
    return 7;
}

static void the_callback_can_stop_it(void **state)
{
    (void)state;
    struct image image;
    make_log(&image, 2);
    image_at(&image, group_with(&image, 5).address)[9] ^= 1;
    struct weir_verify_report report = WEIR_VERIFY_REPORT_INIT;
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct sim_memory_options memory = {.disk = sim_memory_disk(image.medium)};
    options.medium = WEIR_MEDIUM_CUSTOM;
    assert_int_equal(sim_memory_open(&memory, &options.custom_medium), 0);
    assert_int_equal(weir_verify("", &options, stop_at_once, NULL, &report, NULL), 7);
    image_end(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_has_no_findings_and_all_records),
        cmocka_unit_test(an_empty_log_is_whole),
        cmocka_unit_test(a_torn_tail_is_no_finding),
        cmocka_unit_test(a_damaged_payload_costs_exactly_its_record),
        cmocka_unit_test(damaged_record_headers_cost_their_group),
        cmocka_unit_test(damaged_group_headers_end_where_the_next_group_begins),
        cmocka_unit_test(a_misdirected_group_is_found_by_its_address),
        cmocka_unit_test(a_missing_segment_costs_exactly_its_records),
        cmocka_unit_test(a_segment_cut_short_costs_what_is_cut_off),
        cmocka_unit_test(what_was_acknowledged_last_and_is_witnessed_by_control_is_named),
        cmocka_unit_test(a_lost_segment_header_costs_nothing_while_the_chain_leads_on),
        cmocka_unit_test(notes_about_what_exists_twice_leave_the_log_ok),
        cmocka_unit_test(without_control_every_record_is_still_counted),
        cmocka_unit_test(a_damaged_epoch_group_costs_no_record),
        cmocka_unit_test(a_rolled_back_control_is_a_finding),
        cmocka_unit_test(damage_below_the_first_lsn_costs_nothing),
        cmocka_unit_test(what_opening_refuses_is_never_ok_and_what_it_accepts_is),
        cmocka_unit_test(no_damage_makes_recovery_or_verification_stumble),
        cmocka_unit_test(a_torn_copy_of_the_newest_header_is_no_finding),
        cmocka_unit_test(files_of_two_copies_are_told_apart),
        cmocka_unit_test(what_was_never_begun_is_no_log_and_what_was_interrupted_is_empty),
        cmocka_unit_test(a_failure_says_what_it_was),
        cmocka_unit_test(the_callback_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
