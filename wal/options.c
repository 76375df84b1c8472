/*
 * Options: defaults, and refusing what does not fit together.
 */
#include "wal/options.h"

#include "wal/log.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_SEGMENT_BYTES ((uint64_t)64 << 20)
#define DEFAULT_RUN_AHEAD_BYTES ((uint64_t)16 << 20)
#define DEFAULT_IDLE_NS INT64_C(10000000)

/* The open segment's, the next one's, and that of one which is complete: it serves the next but
 * one, since the first touch of fresh memory costs more than filling it. */
#define WINDOW_SEGMENTS_MIN 3u
/* Where a window is the medium itself it takes no memory but its page tables, and to map one in the
 * middle of a stream of appends costs as much as some of them: what weir_prepare() made stays. */
#define WINDOW_SEGMENTS_OF_MEMORY 16u

#define ALL_FLAGS                                                                                  \
    (WEIR_LOG_READ_ONLY | WEIR_LOG_CREATE | WEIR_LOG_SINGLE_THREAD | WEIR_LOG_SERVICE_THREAD |     \
     WEIR_LOG_ALLOW_EMULATED_PMEM)

static int refuse(struct weir_error *why, int code, const char *text)
{
    return log_error(why, code, NULL, UINT64_MAX, "%s", text);
}

/* A caller's struct may be older (shorter) or newer (longer, with zeros that mean nothing yet). */
static int copy_options(const struct weir_log_options *given, struct weir_log_options *ret)
{
    size_t known = sizeof *ret;
    memset(ret, 0, known);
    if (given == NULL) {
        ret->flags = WEIR_LOG_CREATE;
        ret->size = known;
        return 0;
    }
    if (given->size < offsetof(struct weir_log_options, medium)) {
        return -EINVAL;
    }
    for (size_t i = known; i < given->size; i++) {
        if (((const uint8_t *)given)[i] != 0) {
            return -EINVAL;
        }
    }
    memcpy(ret, given, given->size < known ? given->size : known);
    ret->size = known;
    return 0;
}

int options_take(const struct weir_log_options *given, struct weir_log_options *ret_options,
                 struct weir_error *why)
{
    struct weir_log_options options;
    if (copy_options(given, &options) < 0) {
        return refuse(why, -EINVAL,
                      "the size member of the options is not set, or its tail is not 0");
    }
    ret_options->custom_medium = options.custom_medium; /* the log's from now on */
    if ((options.flags & ~ALL_FLAGS) != 0 || options.reserved != 0 ||
        options.medium > WEIR_MEDIUM_CUSTOM || options.io > WEIR_IO_SYNC ||
        options.witness > WEIR_WITNESS_STRICT || options.verify > WEIR_VERIFY_ALL) {
        return refuse(why, -EINVAL, "an option has a value that this version does not know");
    }
    bool reads = (options.flags & WEIR_LOG_READ_ONLY) != 0;
    bool service = (options.flags & WEIR_LOG_SERVICE_THREAD) != 0;
    bool single = (options.flags & WEIR_LOG_SINGLE_THREAD) != 0;
    if (reads && (options.flags & (WEIR_LOG_CREATE | WEIR_LOG_SERVICE_THREAD)) != 0) {
        return refuse(why, WEIR_E_SETTINGS, "a read-only log is neither created nor served");
    }
    if (service && single) {
        return refuse(why, WEIR_E_SETTINGS,
                      "a service thread makes two threads: not single_thread");
    }
    if (options.witness == WEIR_WITNESS_IDLE && !service && !reads) {
        return refuse(why, WEIR_E_SETTINGS, "witness = idle needs the service thread");
    }
    options.idle_ns = options.idle_ns == 0 ? DEFAULT_IDLE_NS : options.idle_ns;
    options.spare_segments = options.spare_segments == 0 ? 1 : options.spare_segments;
    *ret_options = options;
    return 0;
}

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

uint64_t options_largest_record(uint64_t group_bytes)
{
    return group_bytes - FORMAT_GROUP_HEADER_BYTES - 2 * FORMAT_RECORD_HEADER_BYTES;
}

int options_new_limits(const struct weir_log_options *options, struct control *control,
                       struct weir_error *why)
{
    uint64_t segment = options->segment_bytes != 0 ? options->segment_bytes : DEFAULT_SEGMENT_BYTES;
    uint64_t run_ahead = options->run_ahead_bytes;
    if (run_ahead == 0) {
        run_ahead = segment < DEFAULT_RUN_AHEAD_BYTES ? segment : DEFAULT_RUN_AHEAD_BYTES;
        uint64_t least = segment / FORMAT_RUN_AHEAD_SHARE;
        run_ahead = run_ahead < least ? least : run_ahead;
    }
    uint64_t group = options->group_bytes != 0 ? options->group_bytes : run_ahead / 4;
    uint64_t record =
        options->record_bytes != 0 ? options->record_bytes : options_largest_record(group);
    if (!is_power_of_two(segment) || segment < WEIR_SEGMENT_BYTES_MIN ||
        segment > WEIR_SEGMENT_BYTES_MAX) {
        return refuse(why, WEIR_E_SETTINGS,
                      "segment_bytes is not a power of two from 64 KiB to 1 GiB");
    }
    if (run_ahead > segment || run_ahead < segment / FORMAT_RUN_AHEAD_SHARE ||
        run_ahead % FORMAT_BLOCK != 0) {
        return refuse(
            why, WEIR_E_SETTINGS,
            "run_ahead_bytes is not a multiple of 4096 from an eighth of a segment to one");
    }
    if (group < WEIR_GROUP_BYTES_MIN || group > run_ahead / 4 || group % FORMAT_BLOCK != 0) {
        return refuse(why, WEIR_E_SETTINGS,
                      "group_bytes is not a multiple of 4096 from 16 KiB to run_ahead_bytes / 4");
    }
    if (record > options_largest_record(group)) {
        return refuse(why, WEIR_E_SETTINGS, "record_bytes is larger than group_bytes - 96");
    }
    control->segment_bytes = segment;
    control->run_ahead_bytes = run_ahead;
    control->group_bytes = group;
    control->record_bytes = record;
    return 0;
}

static bool differs(uint64_t asked, uint64_t is)
{
    return asked != 0 && asked != is;
}

int options_apply(const struct weir_log_options *options, const struct control *control,
                  const struct weir_medium_info *medium, struct wal_limits *ret_limits,
                  struct weir_error *why)
{
    if (differs(options->segment_bytes, control->segment_bytes) ||
        differs(options->run_ahead_bytes, control->run_ahead_bytes) ||
        differs(options->group_bytes, control->group_bytes) ||
        differs(options->record_bytes, control->record_bytes)) {
        return log_error(why, WEIR_E_SETTINGS, NULL, UINT64_MAX,
                         "sizes are fixed when a log is created; this one has segments of %llu, "
                         "run-ahead of %llu, groups of %llu, records of %llu bytes",
                         (unsigned long long)control->segment_bytes,
                         (unsigned long long)control->run_ahead_bytes,
                         (unsigned long long)control->group_bytes,
                         (unsigned long long)control->record_bytes);
    }
    bool reads = (options->flags & WEIR_LOG_READ_ONLY) != 0;
    if (!reads && medium->block_bytes > control->block_bytes) {
        return log_error(why, WEIR_E_MEDIUM, NULL, UINT64_MAX,
                         "the log was made on persistent memory, with groups aligned to %u bytes; "
                         "medium %s writes %u: mount its file system with -o dax as before, or "
                         "copy it by `weir backup LOG NEW`; it can be read as it is (%s)",
                         control->block_bytes, medium->name, medium->block_bytes, medium->reason);
    }
    uint64_t least = control->segment_bytes *
                     (medium->write_through ? WINDOW_SEGMENTS_OF_MEMORY : WINDOW_SEGMENTS_MIN);
    *ret_limits = (struct wal_limits){
        .segment_bytes = control->segment_bytes,
        .run_ahead_bytes = control->run_ahead_bytes,
        .group_bytes = control->group_bytes,
        .record_bytes = control->record_bytes,
        .window_bytes = options->window_bytes > least ? options->window_bytes : least,
        .segment_shift = (uint32_t)__builtin_ctzll(control->segment_bytes),
        .block_bytes = control->block_bytes,
        .spare_segments = (uint32_t)options->spare_segments,
    };
    return 0;
}
