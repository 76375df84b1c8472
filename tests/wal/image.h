/*
 * Hand-made logs: an encoder of its own that puts every byte where a test wants it, on the memory
 * medium, without the code that appends.
 *
 *     struct image image;
 *     image_begin(&image, 4096);              CONTROL with epoch 0, one empty segment
 *     image_new_epoch(&image);                as an open: CONTROL, then an epoch group
 *     image_data(&image, 2, 100, 0);          a group of two records, reported durable: none
 *     image_seal(&image);
 *     rc = recover_judge(image.medium, &image.control, &found, &why);
 */
#ifndef TESTS_WAL_IMAGE_H
#define TESTS_WAL_IMAGE_H

#include "tests/wal/support.h"

#include "wal/control.h"
#include "wal/group.h"
#include "wal/recover.h"
#include "wal/segment_header.h"

#define IMAGE_SEGMENT ((uint64_t)256 << 10)
#define IMAGE_WINDOW ((uint64_t)64 << 10) /* W */
#define IMAGE_GROUPS_MAX 512u

struct image_group {
    uint64_t address;
    uint64_t bytes; /* padded */
    weir_lsn first_lsn, durable_lsn;
    uint32_t records;
    uint16_t kind;
};

struct image {
    struct weir_medium *medium;
    struct control control;
    uint32_t uuid_seed;
    uint64_t ordinal; /* of the open segment */
    uint64_t offset;
    struct group_chain chain;
    struct group_chain start; /* of the open segment */
    uint64_t segment_records, segment_groups, segment_payload, segment_first_time_ns;
    uint64_t last_seal_offset;
    struct format_directory_entry entries[1024];
    uint32_t entry_count;
    weir_lsn durable; /* what headers report: raised by the test */
    struct image_group groups[IMAGE_GROUPS_MAX];
    uint32_t group_count;
};

void image_begin(struct image *image, uint32_t block_bytes);
void image_end(struct image *image);

/* CONTROL as it is in memory goes to the medium. */
void image_store_control(struct image *image);

/* As an open does: a new epoch in CONTROL, with the witness here, and an epoch group. */
void image_new_epoch(struct image *image);
void image_close_clean(struct image *image);

/* Appends a group of `records` payloads of payload_bytes; headers report image->durable. */
struct image_group *image_data(struct image *image, uint32_t records, uint32_t payload_bytes);
struct image_group *image_witness(struct image *image);

/* Seals the segment and goes on in the next, whose file is made. */
struct image_group *image_seal(struct image *image);

/* Data groups, each reported durable by the next one, up to this offset in the segment or a little
 * less; and the same with a seal at the end. */
void image_fill_to(struct image *image, uint64_t offset);
void image_fill_segment(struct image *image);

uint64_t image_address(const struct image *image);

/* Bytes at an address; the pointer stays valid. */
uint8_t *image_at(struct image *image, uint64_t address);
uint8_t *image_file(struct image *image, uint64_t ordinal);
void image_make_file(struct image *image, uint64_t ordinal);
void image_cut_file(struct image *image, uint64_t ordinal, uint64_t bytes);

/* Bytes that cannot be read, of each segment, until image_heal(). `bad` lives as long. */
struct image_bad {
    uint64_t from, to;
    unsigned reads; /* of segments, that failed and others */
};
void image_fail_reads(struct weir_medium *medium, struct image_bad *bad);
void image_heal(struct weir_medium *medium);

/* Judges; on success the caller frees what was found. */
int image_judge(struct image *image, struct recovery *ret_found, struct weir_error *why);

/* The same, and fails the test when it is refused. */
struct recovery image_judged(struct image *image);

/* Opens with this tail. */
void image_expect_tail(struct image *image, uint64_t address, weir_lsn next_lsn);

/* Is refused, with a text. */
struct weir_error image_expect_refusal(struct image *image, int code);

/* All steps of a writer between judging and its epoch group; fails the test on error. */
void image_recover(struct image *image);

#endif
