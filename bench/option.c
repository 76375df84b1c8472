/* Checking what people typed; argp_error prints it with a hint and does not return. */
#include "bench/option.h"

#include "base/text.h"

#include <weir/log.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX ((uint64_t)1 << 20)
#define MIXED_MIN 20
#define MIXED_MAX 400

error_t option_refuse(struct argp_state *state, const char *name, const char *value)
{
    argp_error(state, "%s: '%s' is not a value it takes", name, value);
    return EINVAL;
}

error_t option_count(struct argp_state *state, const char *name, const char *value, uint64_t least,
                     uint64_t most, uint64_t *ret_count)
{
    uint64_t count;
    if (base_parse_u64(value, &count) < 0 || count < least || count > most) {
        argp_error(state, "%s takes a number from %llu to %llu, not '%s'", name,
                   (unsigned long long)least, (unsigned long long)most, value);
        return EINVAL;
    }
    *ret_count = count;
    return 0;
}

error_t option_size(struct argp_state *state, const char *name, const char *value, uint64_t least,
                    uint64_t most, uint64_t *ret_bytes)
{
    uint64_t bytes;
    if (base_parse_size(value, &bytes) < 0 || bytes < least || bytes > most) {
        char range[64];
        struct base_text text;
        base_text_init(&text, range, sizeof range);
        base_text_append_size(&text, least);
        base_text_append(&text, " to ");
        base_text_append_size(&text, most);
        argp_error(state, "%s takes a size from %s, not '%s'", name, range, value);
        return EINVAL;
    }
    *ret_bytes = bytes;
    return 0;
}

error_t option_seconds(struct argp_state *state, const char *value, double *ret_seconds)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end != '\0' || !isfinite(seconds) || seconds <= 0.0 || seconds > 86400.0) {
        return option_refuse(state, "--seconds", value);
    }
    *ret_seconds = seconds;
    return 0;
}

error_t option_record_size(struct argp_state *state, const char *value, size_t *ret_min,
                           size_t *ret_max)
{
    if (strcmp(value, "mixed") == 0) {
        *ret_min = MIXED_MIN;
        *ret_max = MIXED_MAX;
        return 0;
    }
    char first[32];
    const char *dash = strchr(value, '-');
    size_t length = dash != NULL ? (size_t)(dash - value) : strlen(value);
    uint64_t least;
    uint64_t most;
    if (length >= sizeof first) {
        return option_refuse(state, "--size", value);
    }
    (void)snprintf(first, sizeof first, "%.*s", (int)length, value);
    if (base_parse_size(first, &least) < 0 ||
        base_parse_size(dash != NULL ? dash + 1 : first, &most) < 0 || least == 0 || most < least ||
        most > RECORD_MAX) {
        return option_refuse(state, "--size", value);
    }
    *ret_min = (size_t)least;
    *ret_max = (size_t)most;
    return 0;
}

error_t option_choice(struct argp_state *state, const char *name, const char *value,
                      const struct option_word *words, int *ret_value)
{
    for (; words->word != NULL; words++) {
        if (strcmp(words->word, value) == 0) {
            *ret_value = words->value;
            return 0;
        }
    }
    return option_refuse(state, name, value);
}

error_t option_medium(struct argp_state *state, const char *value, enum weir_medium_kind *ret_kind)
{
    static const struct option_word words[] = {
        {"auto", WEIR_MEDIUM_AUTO},
        {"pmem", WEIR_MEDIUM_PMEM},
        {"direct", WEIR_MEDIUM_DIRECT},
        {"mapped", WEIR_MEDIUM_MAPPED},
        {NULL, 0},
    };
    int chosen = 0;
    error_t error = option_choice(state, "--medium", value, words, &chosen);
    *ret_kind = (enum weir_medium_kind)chosen;
    return error;
}

error_t option_io(struct argp_state *state, const char *value, enum weir_io_kind *ret_kind)
{
    static const struct option_word words[] = {
        {"auto", WEIR_IO_AUTO}, {"uring", WEIR_IO_URING}, {"sync", WEIR_IO_SYNC}, {NULL, 0}};
    int chosen = 0;
    error_t error = option_choice(state, "--io", value, words, &chosen);
    *ret_kind = (enum weir_io_kind)chosen;
    return error;
}

error_t option_segment_size(struct argp_state *state, const char *value, uint64_t *ret_bytes)
{
    uint64_t bytes;
    if (base_parse_size(value, &bytes) < 0 || bytes < WEIR_SEGMENT_BYTES_MIN ||
        bytes > WEIR_SEGMENT_BYTES_MAX || (bytes & (bytes - 1)) != 0) {
        argp_error(state, "--segment-size is a power of two from 64KiB to 1GiB, not '%s'", value);
        return EINVAL;
    }
    *ret_bytes = bytes;
    return 0;
}
