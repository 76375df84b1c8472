/*
 * LOCK and the waiting for locks.
 *
 * Happy path of a writer: make LOCK if there is none, open it, lock it, write one line of text.
 *
 * Waiting: the medium's lock never waits (a lock call that sleeps in the kernel cannot be given a
 * timeout), so it is tried, then tried again after a short sleep, until the deadline.
 *
 * Failure modes: somebody else has it: WEIR_E_LOCKED with the line that was found; the line cannot
 * be written (a full or failing device): ignored, it only serves people. A crash leaves a line of a
 * process that is gone: the lock decides, never the line.
 */
#include "wal/lock.h"

#include "base/clock.h"
#include "base/identity.h"
#include "base/sync.h"
#include "base/text.h"
#include "wal/format.h"
#include "wal/log.h"

#include <errno.h>
#include <string.h>

#define LOCK_WAIT_DEFAULT_NS (INT64_C(2) * (int64_t)BASE_NS_PER_S)
#define LOCK_MOMENT_NS ((int64_t)BASE_NS_PER_S)
#define LOCK_RETRY_NS ((int64_t)BASE_NS_PER_MS)

int64_t lock_wait_from_option(int64_t option_ns)
{
    if (option_ns == 0) {
        return LOCK_WAIT_DEFAULT_NS;
    }
    return option_ns == WEIR_NO_WAIT ? 0 : option_ns;
}

int64_t lock_wait_a_moment(int64_t wait_ns)
{
    return wait_ns >= 0 && wait_ns < LOCK_MOMENT_NS ? LOCK_MOMENT_NS : wait_ns;
}

void lock_sleep(int64_t duration_ns)
{
    _Atomic uint32_t never = 0;
    (void)base_wait(&never, 0, duration_ns, false);
}

int lock_file(struct weir_medium *medium, struct weir_file *file, enum weir_lock_mode mode,
              int64_t wait_ns)
{
    uint64_t start = base_clock_monotonic_ns();
    for (;;) {
        int rc = medium->ops->lock(file, mode);
        if (rc != -EAGAIN) {
            return rc;
        }
        int64_t left = wait_ns - (int64_t)(base_clock_monotonic_ns() - start);
        if (wait_ns >= 0 && left <= 0) {
            return -EAGAIN;
        }
        lock_sleep(wait_ns >= 0 && left < LOCK_RETRY_NS ? left : LOCK_RETRY_NS);
    }
}

static void write_holder(struct weir_medium *medium, struct weir_file *file)
{
    char block[FORMAT_BLOCK] = {0};
    char host[80];
    struct base_text text;
    base_host_name(host, sizeof host);
    base_text_init(&text, block, LOCK_HOLDER_BYTES);
    base_text_append_format(&text, "process %u on %s since ", base_process_id(), host);
    base_text_append_time(&text, base_clock_realtime_ns());
    base_text_append_char(&text, '\n');
    (void)medium->ops->write(file, 0, block, sizeof block);
}

void lock_read_holder(struct weir_medium *medium, char ret_line[LOCK_HOLDER_BYTES])
{
    char block[FORMAT_BLOCK];
    struct weir_file *file;
    size_t size = 0;
    ret_line[0] = '\0';
    if (medium->ops->open(medium, LOCK_NAME, WEIR_FILE_READ, &file) < 0) {
        return;
    }
    int rc = medium->ops->read(file, 0, block, sizeof block, &size);
    medium->ops->close(file);
    if (rc < 0) {
        return;
    }
    size_t length = 0;
    while (length < size && length + 1 < LOCK_HOLDER_BYTES && block[length] >= ' ' &&
           block[length] <= '~') {
        ret_line[length] = block[length];
        length++;
    }
    ret_line[length] = '\0';
}

static int explain_locked(struct weir_medium *medium, int64_t wait_ns, struct weir_error *why)
{
    char holder[LOCK_HOLDER_BYTES];
    char waited[32];
    struct base_text text;
    lock_read_holder(medium, holder);
    base_text_init(&text, waited, sizeof waited);
    base_text_append_duration(&text, wait_ns > 0 ? (uint64_t)wait_ns : 0);
    return log_error(why, WEIR_E_LOCKED, LOCK_NAME, 0,
                     "the log is in use, by %s as LOCK says; waited %s",
                     holder[0] != '\0' ? holder : "an unnamed process", waited);
}

static int open_lock(struct weir_medium *medium, enum weir_lock_mode mode,
                     struct weir_file **ret_file)
{
    if (mode != WEIR_LOCK_EXCLUSIVE) {
        return medium->ops->open(medium, LOCK_NAME, WEIR_FILE_READ, ret_file);
    }
    int rc = medium->ops->open(medium, LOCK_NAME, WEIR_FILE_WRITE, ret_file);
    if (rc != -ENOENT) {
        return rc;
    }
    rc = medium->ops->create(medium, LOCK_NAME, FORMAT_BLOCK, ret_file);
    /* Another opener was faster: its file is as good. */
    return rc == -EEXIST ? medium->ops->open(medium, LOCK_NAME, WEIR_FILE_WRITE, ret_file) : rc;
}

int lock_take(struct weir_medium *medium, enum weir_lock_mode mode, int64_t wait_ns,
              struct weir_file **ret_file, struct weir_error *why)
{
    struct weir_file *file;
    int rc = open_lock(medium, mode, &file);
    if (rc == -ENOENT) {
        return rc;
    }
    if (rc < 0) {
        return log_error(why, rc, LOCK_NAME, UINT64_MAX, "LOCK cannot be opened: %s",
                         weir_error_text(rc));
    }
    rc = lock_file(medium, file, mode, wait_ns);
    if (rc < 0) {
        medium->ops->close(file);
        return rc == -EAGAIN ? explain_locked(medium, wait_ns, why)
                             : log_error(why, rc, LOCK_NAME, UINT64_MAX,
                                         "LOCK cannot be locked: %s", weir_error_text(rc));
    }
    if (mode == WEIR_LOCK_EXCLUSIVE) {
        write_holder(medium, file);
    }
    *ret_file = file;
    return 0;
}

void lock_drop(struct weir_medium *medium, struct weir_file **file)
{
    if (*file != NULL) {
        /* Closing is not enough while a child of fork() has a copy of the descriptor. */
        (void)medium->ops->lock(*file, WEIR_LOCK_NONE);
        medium->ops->close(*file);
        *file = NULL;
    }
}

int lock_writer_is_alive(struct weir_medium *medium)
{
    struct weir_file *file;
    int rc = medium->ops->open(medium, LOCK_NAME, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = medium->ops->lock(file, WEIR_LOCK_SHARED);
    medium->ops->close(file);
    return rc == -EAGAIN ? 1 : rc;
}

/* ---- I/O of a process that was killed ---- */

struct waiting {
    struct weir_medium *medium;
    uint64_t first_ordinal;
    uint64_t start_ns;
    int64_t wait_ns;
    struct weir_error *why;
};

static int64_t wait_left(const struct waiting *self)
{
    if (self->wait_ns < 0) {
        return self->wait_ns;
    }
    int64_t gone = (int64_t)(base_clock_monotonic_ns() - self->start_ns);
    return gone < self->wait_ns ? self->wait_ns - gone : 0;
}

static int wait_for_segment(void *context, const char *name)
{
    const struct waiting *self = context;
    uint64_t ordinal;
    if (!format_segment_ordinal(name, &ordinal) || ordinal < self->first_ordinal) {
        return 0;
    }
    struct weir_file *file;
    int rc = self->medium->ops->open(self->medium, name, WEIR_FILE_READ, &file);
    if (rc < 0) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = lock_file(self->medium, file, WEIR_LOCK_SHARED, wait_left(self));
    self->medium->ops->close(file);
    if (rc == -EAGAIN) {
        return log_error(self->why, WEIR_E_LOCKED, name, UINT64_MAX,
                         "writes of a process that has ended are still in flight to %s", name);
    }
    return rc;
}

int lock_wait_for_io(struct weir_medium *medium, uint64_t first_ordinal, int64_t wait_ns,
                     struct weir_error *why)
{
    struct waiting context = {
        .medium = medium,
        .first_ordinal = first_ordinal,
        .start_ns = base_clock_monotonic_ns(),
        .wait_ns = wait_ns,
        .why = why,
    };
    return medium->ops->list(medium, "", wait_for_segment, &context);
}
