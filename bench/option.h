/*
 * Values of options, for parsers written with argp. Each returns 0, or prints what is wrong and
 * ends the program with the exit code for wrong usage.
 */
#ifndef BENCH_OPTION_H
#define BENCH_OPTION_H

#include <weir/medium.h>

#include <argp.h>
#include <stddef.h>
#include <stdint.h>

error_t option_refuse(struct argp_state *state, const char *name, const char *value);

error_t option_count(struct argp_state *state, const char *name, const char *value, uint64_t least,
                     uint64_t most, uint64_t *ret_count);

/* "4k", "1MiB". */
error_t option_size(struct argp_state *state, const char *name, const char *value, uint64_t least,
                    uint64_t most, uint64_t *ret_bytes);

/* "2", "0.5": seconds, as they are for --seconds. */
error_t option_seconds(struct argp_state *state, const char *value, double *ret_seconds);

/* "100" or "20-400", bytes of a record, or "mixed" for 20-400. */
error_t option_record_size(struct argp_state *state, const char *value, size_t *ret_min,
                           size_t *ret_max);

struct option_word {
    const char *word;
    int value;
};

/* One of a list that ends with a NULL word. */
error_t option_choice(struct argp_state *state, const char *name, const char *value,
                      const struct option_word *words, int *ret_value);

/* What the options of a log take: "auto", "direct", ... and a size within the limits of segments.
 */
error_t option_medium(struct argp_state *state, const char *value, enum weir_medium_kind *ret_kind);
error_t option_io(struct argp_state *state, const char *value, enum weir_io_kind *ret_kind);
error_t option_segment_size(struct argp_state *state, const char *value, uint64_t *ret_bytes);

#endif
