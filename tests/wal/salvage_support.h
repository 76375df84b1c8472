/*
 * Helpers for tests of salvage: what a log held before it was damaged, salvaging it into a disk of
 * its own, and comparing.
 */
#ifndef TESTS_WAL_SALVAGE_SUPPORT_H
#define TESTS_WAL_SALVAGE_SUPPORT_H

#include "tests/wal/image.h"

#define RECORDS_MAX 2048u
#define GAPS_MAX 256u

/* One record as it was; of LSN index + 1. */
struct memory_of_record {
    uint64_t time_ns;
    uint32_t size, crc, user;
    uint16_t type, flags;
};

struct memory_of_log {
    weir_lsn latest;
    struct memory_of_record records[RECORDS_MAX];
};

/* Reads the log without damage. */
void remember(struct image *image, struct memory_of_log *ret_log);

struct salvaged {
    int rc;
    struct weir_salvage_report report;
    struct weir_error why;
    struct weir_medium *keeper; /* of the new log's disk */
    struct weir_finding gaps[GAPS_MAX];
    uint32_t gap_count, note_count;
    struct weir_salvage_watch watch;                       /* none: gaps and notes are collected */
    struct sim_memory_faults source_faults, target_faults; /* set before salvage() */
};

/* Salvages to a fresh disk; salvaged->keeper is made when it is NULL. Checks that no byte of the
 * source has changed. */
void salvage(struct image *image, struct salvaged *salvaged);
void salvaged_free(struct salvaged *salvaged);

/* A log on that disk, for writing; fails the test when it does not open. */
struct weir_log *open_salvaged(struct salvaged *salvaged);

/* What weir_verify() says of the log that was, or is to be, salvaged. */
struct weir_verify_report verify_image(struct image *image);

/* Every LSN of [report.kept_from, report.kept_to] is there once: a record as it was remembered, or
 * a gap that was told. Then: verify has no finding but the gaps, and the next append gets the next
 * LSN. Returns how many records are whole. */
uint64_t expect_consistent(struct salvaged *salvaged, const struct memory_of_log *was);

/* The gap with this range, or the test fails. */
const struct weir_finding *expect_gap(const struct salvaged *salvaged, const char *code,
                                      weir_lsn from, weir_lsn to);
bool in_gap(const struct salvaged *salvaged, weir_lsn lsn);

/* One number over every name and byte of a disk. */
uint32_t disk_digest(struct weir_medium *medium);
uint32_t disk_files(struct weir_medium *medium);

struct image_group group_with(const struct image *image, weir_lsn lsn);

#endif
