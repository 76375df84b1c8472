/*
 * The writer's side of the live page. The readers' side is reader_page.c.
 *
 * A crash of the writer leaves the page in place with the last values: all of them stay true, since
 * what is durable stays durable; LOCK tells readers that nobody moves it any more. The next writer
 * removes it before its epoch is in CONTROL, and puts a fresh page in its place.
 *
 * Invariants: durable_address, durable_lsn and submitted_address never go back; what is submitted
 * has been told before; epoch is set last and never changes.
 */
#include "wal/live.h"

#include "base/system.h"
#include "wal/log.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define LIVE_MODE 0644

static struct live_page *page_of(struct weir_log *log)
{
    return log->live.data;
}

static void store_durable(struct weir_log *log, struct live_page *page)
{
    /* Release pairs with the acquires in reader_page.c, in the opposite order. */
    atomic_store_explicit(&page->durable_address,
                          atomic_load_explicit(&log->marks.durable_address, memory_order_acquire),
                          memory_order_release);
    atomic_store_explicit(&page->durable_lsn, log_durable(log), memory_order_release);
}

static int make_page(struct weir_log *log, uint8_t boot_id[BASE_BOOT_ID_SIZE])
{
    int rc = base_boot_id(boot_id);
    rc = rc < 0 ? rc : base_shared_page_create(&log->live, log->control.uuid, LIVE_MODE);
    if (rc < 0) {
        /* One of a killed writer would keep its readers from looking elsewhere for a while. */
        (void)base_shared_page_remove(log->control.uuid);
    }
    return rc;
}

int live_forget(struct weir_log *log)
{
    return base_shared_page_remove(log->control.uuid);
}

/* What is copied into a window that is the file, or past the caches, is there without more. */
static bool tells_submitted(const struct weir_log *log)
{
    return !log->medium->info.window_is_file && log->medium->ops->copy == NULL;
}

int live_create(struct weir_log *log)
{
    if (base_system_is_alone()) {
        return -ENOSYS;
    }
    uint8_t boot_id[BASE_BOOT_ID_SIZE];
    int rc = make_page(log, boot_id);
    if (rc < 0) {
        return rc;
    }
    struct live_page *page = page_of(log);
    page->magic = LIVE_MAGIC;
    page->pid = base_process_id();
    page->seed = log->control.seed;
    memcpy(page->uuid, log->control.uuid, sizeof page->uuid);
    memcpy(page->boot_id, boot_id, sizeof boot_id);
    atomic_store_explicit(&page->earliest, log_earliest(log), memory_order_relaxed);
    atomic_store_explicit(&page->layout, log->control.layout, memory_order_relaxed);
    if (tells_submitted(log)) {
        atomic_store_explicit(
            &page->submitted_address,
            atomic_load_explicit(&log->commit.submitted_address, memory_order_acquire),
            memory_order_relaxed);
    }
    store_durable(log, page);
    /* Release pairs with the acquire in reader_page.c: who sees the epoch sees all above. */
    atomic_store_explicit(&page->epoch, log->control.epoch, memory_order_release);
    return 0;
}

static void wake_readers(struct live_page *page)
{
    /* Sequentially consistent, as is the reader's count and look: either the reader sees the new
     * sequence and does not sleep, or this sees the reader. */
    atomic_fetch_add_explicit(&page->sequence, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&page->waiters, memory_order_seq_cst) > 0) {
        base_wake(&page->sequence, INT_MAX, true);
    }
}

/* The store comes before the call that hands the group over, which nobody can see into. */
void live_submit(struct weir_log *log, uint64_t end_address)
{
    struct live_page *page = page_of(log);
    if (page != NULL && tells_submitted(log)) {
        atomic_store_explicit(&page->submitted_address, end_address, memory_order_release);
    }
}

void live_store(struct weir_log *log)
{
    struct live_page *page = page_of(log);
    if (page != NULL) {
        store_durable(log, page);
    }
}

void live_wake(struct weir_log *log)
{
    struct live_page *page = page_of(log);
    if (page != NULL) {
        wake_readers(page);
    }
}

void live_publish_layout(struct weir_log *log)
{
    struct live_page *page = page_of(log);
    if (page != NULL) {
        /* Release: CONTROL had the new first LSN before, so a reader that reads it finds it. */
        atomic_store_explicit(&page->earliest, log_earliest(log), memory_order_release);
        atomic_store_explicit(&page->layout, log->control.layout, memory_order_release);
        wake_readers(page);
    }
}

void live_close(struct weir_log *log)
{
    struct live_page *page = page_of(log);
    if (page != NULL) {
        atomic_store_explicit(&page->closed, 1, memory_order_release);
        wake_readers(page);
        base_shared_page_close(&log->live);
        /* LOCK is still held: this cannot be the page of the next writer. Left behind it is 4 KiB
         * until the next writer or boot. */
        (void)base_shared_page_remove(log->control.uuid);
    }
}
