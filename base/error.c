/*
 * Errors in words: the table of <weir/error.h> and strerror() behind one set of functions.
 */
#include <errno.h>
#include <string.h>
#include <weir/error.h>

/* The kernel's codes are 1 to this; negating an arbitrary int could overflow. */
#define SYSTEM_CODES 4095

struct error_entry {
    int code;
    const char *name, *sentence, *advice;
};

#define ERROR_ENTRY(name, value, sentence, advice) {value, #name, sentence, advice},
static const struct error_entry entries[] = {WEIR_ERRORS(ERROR_ENTRY)};
#undef ERROR_ENTRY

/* What a person can do about the errors of the operating system that a log meets most. */
static const struct error_entry system_entries[] = {
    {-ENOSPC, "ENOSPC", "", "free space on the device, or compact or truncate the log"},
    {-EDQUOT, "EDQUOT", "", "raise the quota, or compact or truncate the log"},
    {-EIO, "EIO", "", "look at the kernel's messages: the device failed to read or write"},
    {-EACCES, "EACCES", "", "check the permissions of the directory and of its files"},
    {-EPERM, "EPERM", "", "check the permissions of the directory and of its files"},
    {-EROFS, "EROFS", "", "the file system is read-only: open the log read-only"},
    {-ENOENT, "ENOENT", "", "check the path"},
    {-ENOTDIR, "ENOTDIR", "", "name a directory: a file is there, or on the way to it"},
    {-EDEADLK, "EDEADLK", "", "publish or cancel this thread's reservation first"},
    {-EBUSY, "EBUSY", "", "close the cursors, pins and reservations first"},
    {-EINVAL, "EINVAL", "", "see the comment of the call in its header"},
    {-ENOMEM, "ENOMEM", "", "make memory available, or open with smaller windows"},
    {-EMFILE, "EMFILE", "", "raise the limit of open files (ulimit -n)"},
    {-ENOTEMPTY, "ENOTEMPTY", "", "name a directory that is new or empty"},
    {-ETIMEDOUT, "ETIMEDOUT", "", "somebody else holds the lock: try again"},
};

static const struct error_entry *find(const struct error_entry *table, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code) {
            return &table[i];
        }
    }
    return NULL;
}

static const struct error_entry *find_ours(int code)
{
    return find(entries, sizeof entries / sizeof entries[0], code);
}

static const struct error_entry *find_system(int code)
{
    return find(system_entries, sizeof system_entries / sizeof system_entries[0], code);
}

const char *weir_error_text(int code)
{
    const struct error_entry *entry = find_ours(code);
    if (entry != NULL) {
        return entry->sentence;
    }
    if (code >= 0) {
        return "success";
    }
    const char *text = code >= -SYSTEM_CODES ? strerrordesc_np(-code) : NULL;
    return text != NULL ? text : "unknown error";
}

const char *weir_error_advice(int code)
{
    const struct error_entry *entry = find_ours(code);
    if (entry == NULL) {
        entry = find_system(code);
    }
    return entry != NULL ? entry->advice : "";
}

const char *weir_error_name(int code)
{
    const struct error_entry *entry = find_ours(code);
    if (entry == NULL) {
        entry = find_system(code);
    }
    if (entry != NULL) {
        return entry->name;
    }
    const char *name = code < 0 && code >= -SYSTEM_CODES ? strerrorname_np(-code) : NULL;
    return name != NULL ? name : "UNKNOWN";
}
