/*
 * The readers' side of the live page.
 *
 * Failure modes: there is no page, or none that may be believed (of another boot, of an earlier
 * writer, of a copy of this log in another directory): none of it is an error, the reader goes
 * without.
 */
#include "base/alloc.h"
#include "wal/reader.h"

#include <string.h>

bool reader_page_is_current(const struct reader_page *page, const struct control *control)
{
    const struct live_page *data = reader_page_data(page);
    /* Acquire pairs with the release in live_create(): what is read behind it is filled in. */
    uint64_t epoch = atomic_load_explicit(&data->epoch, memory_order_acquire);
    return epoch != 0 && epoch == control->epoch && data->seed == control->seed &&
           atomic_load_explicit(&data->closed, memory_order_acquire) == 0 &&
           data->magic == LIVE_MAGIC && memcmp(data->uuid, control->uuid, sizeof data->uuid) == 0;
}

static bool is_of_this_boot(const struct live_page *data)
{
    uint8_t boot_id[BASE_BOOT_ID_SIZE];
    return base_boot_id(boot_id) == 0 && memcmp(data->boot_id, boot_id, sizeof boot_id) == 0;
}

struct reader_page *reader_page_open(const struct control *control)
{
    struct reader_page *page = base_alloc_zero(sizeof *page);
    if (page == NULL) {
        return NULL;
    }
    if (base_shared_page_open(&page->shared, control->uuid) < 0) {
        base_free(page);
        return NULL;
    }
    page->users = 1;
    if (!reader_page_is_current(page, control) || !is_of_this_boot(reader_page_data(page))) {
        reader_page_release(page);
        return NULL;
    }
    return page;
}

/* Who could store into it could hide what a medium has lost, and take it away under who reads it:
 * it is looked at only when it is this user's. */
uint64_t live_submitted(const struct control *control)
{
    struct reader_page page = {.users = 1};
    uint64_t address = 0;
    if (base_shared_page_open(&page.shared, control->uuid) < 0) {
        return UINT64_MAX;
    }
    if (page.shared.own && reader_page_is_current(&page, control) &&
        is_of_this_boot(reader_page_data(&page))) {
        address =
            atomic_load_explicit(&reader_page_data(&page)->submitted_address, memory_order_acquire);
    }
    base_shared_page_close(&page.shared);
    return address != 0 ? address : UINT64_MAX;
}

void reader_page_release(struct reader_page *page)
{
    if (page != NULL && --page->users == 0) {
        base_shared_page_close(&page->shared);
        base_free(page);
    }
}
