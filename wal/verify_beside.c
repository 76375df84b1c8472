/*
 * Verification of what lies beside the log: holds, and the state files of what is derived from it.
 *
 * Happy path: every hold has a slot that is valid, every state file passes its checksums.
 *
 * Failure modes: one that does not is a note. It costs no record, and opening does not care: a hold
 * can be set again, what is derived can be made again. But whoever asks whether all is well is to
 * hear of it before somebody needs it. What cannot be read is a note, too; only memory that is not
 * to be had ends the call.
 *
 * The engine's checkpoint is the engine's own: weir_checkpoint_check(). Whether a state fits this
 * log, and is what the log says, is asked with a handle and an engine (`weir verify --derived`).
 */
#include "wal/hold.h"
#include "wal/log.h"
#include "wal/salvage.h"
#include "wal/state.h"
#include "wal/verify.h"

#include <errno.h>
#include <stdio.h>

struct beside {
    struct verify *verify;
    const char *name; /* whose files are listed */
};

static int tell(struct verify *verify, const char *code, const char *path, const char *text)
{
    struct weir_finding finding = {.code = code, .offset = UINT64_MAX};
    (void)snprintf(finding.file, sizeof finding.file, "%s", path);
    (void)snprintf(finding.text, sizeof finding.text, "%s", text);
    verify_tell(verify, &finding, false);
    return verify->stopped;
}

/* Gone since it was listed: dropped, or replaced, by somebody who works beside this. */
static bool goes_on(int rc)
{
    return rc == 0 || rc == -ENOENT;
}

static int check_hold(void *context, const char *name)
{
    const struct beside *beside = context;
    struct verify *verify = beside->verify;
    struct weir_hold hold;
    char path[STATE_PATH_BYTES], text[STATE_PATH_BYTES + 240];
    if (!hold_name_is_valid(name)) {
        return 0;
    }
    int rc = salvage_read_hold(verify->medium, name, group_uuid_seed(verify->control.uuid), &hold);
    if (goes_on(rc) || rc == -ENOMEM) {
        return rc == -ENOMEM ? rc : 0;
    }
    const char *what =
        rc == WEIR_E_DAMAGED ? "neither of its two slots is valid" : weir_error_text(rc);
    (void)snprintf(path, sizeof path, HOLD_DIRECTORY "/%s", name);
    (void)snprintf(text, sizeof text,
                   "%s: %s; nothing can be dropped from the log, and its engine does not open for "
                   "writing, until the hold is set or dropped",
                   path, what);
    return tell(verify, "hold", path, text);
}

static int check_file(void *context, const char *file)
{
    const struct beside *beside = context;
    struct weir_error why = WEIR_ERROR_INIT;
    char path[STATE_PATH_BYTES];
    if (!state_file_is_valid(file)) {
        return 0; /* the lock, or one that is being written */
    }
    int rc = state_verify(beside->verify->medium, beside->name, file, &why);
    if (goes_on(rc) || rc == -ENOMEM) {
        return rc == -ENOMEM ? rc : 0;
    }
    state_path(beside->name, file, path);
    return tell(beside->verify, "state", path, why.text);
}

/* What came of a listing: one that cannot be made hides whatever is wrong in it. */
static int listed(struct verify *verify, const char *code, const char *directory, int rc)
{
    if (goes_on(rc) || rc > 0 || rc == -ENOMEM || rc == verify->stopped) {
        return rc == -ENOENT ? 0 : rc;
    }
    char text[STATE_PATH_BYTES + 160];
    (void)snprintf(text, sizeof text, "%s cannot be listed: %s", directory, weir_error_text(rc));
    return tell(verify, code, directory, text);
}

static int check_name(void *context, const char *name)
{
    struct beside beside = {.verify = ((struct beside *)context)->verify, .name = name};
    char directory[STATE_PATH_BYTES];
    if (!state_name_is_valid(name)) {
        return 0; /* the engine's, or not of this log */
    }
    (void)snprintf(directory, sizeof directory, STATE_DIRECTORY "/%s", name);
    struct weir_medium *medium = beside.verify->medium;
    int rc = medium->ops->list(medium, directory, check_file, &beside);
    return listed(beside.verify, "state", directory, rc);
}

int verify_beside(struct verify *verify)
{
    struct weir_medium *medium = verify->medium;
    struct beside beside = {.verify = verify};
    if (verify->control.segment_bytes == 0) {
        return 0; /* nothing says which log this is */
    }
    int rc = medium->ops->list(medium, HOLD_DIRECTORY, check_hold, &beside);
    rc = listed(verify, "hold", HOLD_DIRECTORY, rc);
    if (rc != 0 || medium->ops->list_directories == NULL) {
        return rc;
    }
    rc = medium->ops->list_directories(medium, STATE_DIRECTORY, check_name, &beside);
    return listed(verify, "state", STATE_DIRECTORY, rc);
}
