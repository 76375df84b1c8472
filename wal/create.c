/*
 * Create: a directory becomes a log.
 *
 * Happy path, with LOCK held: nothing foreign is in the directory, and no segment of a log that
 * lost its CONTROL; remove what an interrupted creation left; write the first segment (so that a
 * full disk is met now); make holds/; put CONTROL in place as the last step.
 *
 * What a crash leaves: LOCK, and perhaps more, without CONTROL, which is an empty log; the next one
 * begins again. A directory that holds not even LOCK is no log: who only reads is told so.
 */
#include "base/random.h"
#include "wal/lock.h"
#include "wal/open.h"
#include "wal/options.h"
#include "wal/segment_header.h"

#include <errno.h>
#include <string.h>

/* Does a segment carry a header? Then it is one of a log, whose CONTROL was lost. 1, 0, -errno. */
static int has_header(struct weir_medium *medium, const char *name, uint64_t ordinal)
{
    uint8_t bytes[FORMAT_SEGMENT_HEADER_BYTES];
    struct segment_header header;
    struct weir_file *file;
    int rc = medium->ops->open(medium, name, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc;
    }
    size_t size = 0;
    rc = medium->ops->read(file, 0, bytes, sizeof bytes, &size);
    medium->ops->close(file);
    if (rc < 0 || size < sizeof bytes) {
        return rc; /* a creation that was cut off while it wrote zeros */
    }
    return segment_header_decode(bytes, NULL, ordinal, &header) != WEIR_E_NOT_A_LOG;
}

struct look {
    struct weir_medium *medium;
    struct weir_error *why;
    bool begun; /* something is here that a creation leaves */
};

/* An interrupted creation leaves LOCK, CONTROL.new and a first segment without a header. */
static int check_entry(void *context, const char *name)
{
    struct look *look = context;
    uint64_t ordinal;
    look->begun = true; /* or what is here is refused */
    if (strcmp(name, LOCK_NAME) == 0 || strcmp(name, CONTROL_NEW_NAME) == 0 ||
        strcmp(name, FORMAT_COMPACT_SPARE_NAME) == 0) {
        return 0;
    }
    if (!format_segment_ordinal(name, &ordinal)) {
        return log_error(look->why, WEIR_E_NOT_A_LOG, name, UINT64_MAX,
                         "the directory holds %s and no CONTROL, so it is not a log", name);
    }
    int rc = ordinal == FORMAT_FIRST_ORDINAL ? has_header(look->medium, name, ordinal) : 1;
    if (rc > 0) {
        return log_error(look->why, WEIR_E_CONTROL, name, UINT64_MAX,
                         "CONTROL is missing, and %s belongs to a log that had one", name);
    }
    return rc;
}

int create_check_unfinished(struct weir_medium *medium, struct weir_error *why)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, FORMAT_SALVAGE_NAME, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    medium->ops->close(file);
    return log_error(
        why, WEIR_E_NOT_A_LOG, FORMAT_SALVAGE_NAME, UINT64_MAX,
        "the directory holds what an interrupted salvage or backup wrote: remove it, then "
        "do that again");
}

static int look_at(struct look *look)
{
    int rc = create_check_unfinished(look->medium, look->why);
    return rc < 0 ? rc : look->medium->ops->list(look->medium, "", check_entry, look);
}

int create_check_directory(struct weir_medium *medium, struct weir_error *why)
{
    struct look look = {.medium = medium, .why = why};
    return look_at(&look);
}

int create_check_begun(struct weir_medium *medium, struct weir_error *why)
{
    struct look look = {.medium = medium, .why = why};
    int rc = look_at(&look);
    if (rc < 0 || look.begun) {
        return rc;
    }
    return log_error(why, -ENOENT, NULL, UINT64_MAX,
                     "there is no log in this directory: it holds neither CONTROL nor a segment, "
                     "nor the LOCK that creating one begins with");
}

/* After the check: what is there is a leftover. */
static int remove_leftover(void *context, const char *name)
{
    struct weir_medium *medium = context;
    return strcmp(name, LOCK_NAME) == 0 ? 0 : medium->ops->remove(medium, name);
}

static int write_first_segment(struct weir_medium *medium, uint64_t segment_bytes)
{
    char name[FORMAT_NAME_BYTES];
    struct weir_file *file;
    format_segment_name(FORMAT_FIRST_ORDINAL, name);
    int rc = medium->ops->create(medium, name, segment_bytes, &file);
    if (rc < 0) {
        return rc;
    }
    rc = medium->ops->sync(file);
    medium->ops->close(file);
    return rc;
}

static int new_control(struct weir_medium *medium, const struct weir_log_options *options,
                       struct control *control, struct weir_error *why)
{
    *control = (struct control){
        .layout = 1,
        .first_lsn = 1,
        .first_ordinal = FORMAT_FIRST_ORDINAL,
        .block_bytes = medium->info.block_bytes,
    };
    int rc = options_new_limits(options, control, why);
    if (rc < 0) {
        return rc;
    }
    control->witness_address =
        FORMAT_FIRST_ORDINAL * control->segment_bytes + FORMAT_SEGMENT_HEADER_BYTES;
    rc = base_random_bytes(control->uuid, sizeof control->uuid);
    return rc < 0 ? rc : base_random_bytes(&control->seed, sizeof control->seed);
}

int create_log(struct weir_medium *medium, const struct weir_log_options *options,
               struct weir_error *why)
{
    struct control control;
    int rc = new_control(medium, options, &control, why);
    if (rc == 0) {
        rc = create_check_directory(medium, why);
    }
    if (rc < 0) {
        return rc;
    }
    rc = medium->ops->list(medium, "", remove_leftover, medium);
    if (rc == 0) {
        rc = write_first_segment(medium, control.segment_bytes);
    }
    if (rc == 0) {
        rc = medium->ops->make_directory(medium, "holds");
    }
    if (rc == 0) { /* CONTROL must not be there without the names before it */
        rc = medium->ops->sync_directory(medium, "");
    }
    if (rc == 0) {
        rc = control_create(medium, &control);
    }
    if (rc < 0) {
        return log_error(why, rc, NULL, UINT64_MAX, "the log cannot be created: %s",
                         weir_error_text(rc));
    }
    return 0;
}
