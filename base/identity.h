/*
 * Which boot, machine and process this is: to tell a page or a lock of before a reboot from one of
 * now, and to name a process to a person.
 */
#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define BASE_BOOT_ID_SIZE 16

/*
 * The random number that the kernel drew when it booted.
 * Returns 0, -EPROTO (it has another form), or -errno (no /proc); the output is untouched then.
 */
int base_boot_id(uint8_t ret_boot_id[BASE_BOOT_ID_SIZE]);

/* The machine's name, "?" when it has none. Cut to size, always a C string. @param size > 0. */
void base_host_name(char *ret_name, size_t size);

/* As this process's namespace numbers it. */
uint32_t base_process_id(void);

#endif
