/*
 * Boot id from /proc, host name and process number from the system.
 */
#include "base/identity.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_TEXT 36 /* 32 digits in five groups: 8-4-4-4-12 */

static int read_text(const char *path, char *ret_text, size_t size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return -errno;
    }
    ssize_t count;
    do {
        count = read(file, ret_text, size);
    } while (count < 0 && errno == EINTR);
    int result = count < 0 ? -errno : (int)count;
    close(file);
    return result;
}

int base_boot_id(uint8_t ret_boot_id[BASE_BOOT_ID_SIZE])
{
    char text[BOOT_ID_TEXT];
    int size = read_text(BOOT_ID_PATH, text, sizeof text);
    if (size < 0) {
        return size;
    }
    char digits[2 * BASE_BOOT_ID_SIZE + 1];
    size_t count = 0;
    for (int i = 0; i < size; i++) {
        if (text[i] != '-' && count + 1 < sizeof digits) {
            digits[count++] = text[i];
        }
    }
    digits[count] = '\0';
    return base_parse_hex(digits, ret_boot_id, BASE_BOOT_ID_SIZE) == 0 ? 0 : -EPROTO;
}

void base_host_name(char *ret_name, size_t size)
{
    if (gethostname(ret_name, size) != 0 && errno != ENAMETOOLONG) {
        ret_name[0] = '\0';
    }
    ret_name[size - 1] = '\0';
    if (ret_name[0] == '\0') {
        strncpy(ret_name, "?", size - 1);
    }
}

uint32_t base_process_id(void)
{
    return (uint32_t)getpid();
}
