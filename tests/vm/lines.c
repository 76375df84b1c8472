/* A plugin of qemu's TCG: which cache lines of an NVDIMM are durable, and as of when.
 *
 *     -plugin liblines.so,live=FILE,durable=FILE,control=FILE
 *
 * `live` is the NVDIMM's file, which shows every store. `durable` gets a line only as the processor
 * promises it: with the content that it had at its CLWB or CLFLUSHOPT, or behind a non-temporal
 * store, once this CPU has passed a fence (SFENCE, MFENCE, a locked instruction); with CLFLUSH at
 * once. What the guest's kernel does is seen as well. `control` is memory that the test shares: see
 * struct control.
 *
 * QEMU 7.2 tells a plugin neither registers nor the place in RAM of an access. Both are taken from
 * where they are: the generated code keeps the CPU's state in rbp, whose first 16 words are the
 * general registers, current while every block is one instruction (`singlestep on`); and the handle
 * of an access holds the address on the host. So this works with 7.2 on x86-64 only.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- of the plugin interface, version 1, what is needed here ---- */

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*insn_fn)(unsigned cpu, void *context);
typedef void (*access_fn)(unsigned cpu, uint32_t info, uint64_t address, void *context);
typedef void (*translate_fn)(uint64_t id, struct qemu_plugin_tb *block);
enum { NO_REGISTERS = 0, WRITES = 2 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, translate_fn fn);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, insn_fn fn, int flags,
                                            void *context);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, access_fn fn, int flags,
                                      int rw, void *context);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(uint32_t info);
void *qemu_plugin_get_hwaddr(uint32_t info, uint64_t address);
bool qemu_plugin_hwaddr_is_io(const void *handle);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv);

/* ---- state ---- */

#define LINE ((uint64_t)64)
#define PAGE_BITS 12
#define PENDING_MOST 65536u
#define PAGES ((size_t)1 << 20) /* of the table from pages of the guest to pages of the file */
#define CPUS 8u

struct control {
    uint64_t armed; /* set by the test, with the guest stopped and `durable` equal to `live` */
    uint64_t stores, flushes, fences, lines;
    uint64_t unknown;  /* flushes of what nobody has stored to: of other memory */
    uint64_t overflow; /* flushes that found no room: must stay 0 */
    uint64_t cut_at;   /* at that many stores and flushes: sets frozen, and waits while it is 1 */
    uint64_t frozen;   /* nothing is stored, nor made durable; an acknowledgement on its way goes
                          on, and is one of what is durable here */
};

struct pending {
    uint64_t line, order;
    bool streamed; /* a non-temporal store: its content is taken at the fence */
    uint64_t content[LINE / 8];
};

static struct control *control;
static uint8_t *live, *durable;
static uint64_t size_bytes;
static uint64_t *orders; /* of each line: the moment that `durable` shows */
static uint64_t order;
static struct pending *pending[CPUS];
static unsigned pending_count[CPUS];
static struct {
    uint64_t virtual_page, file_page;
} * pages;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void copy_line(uint64_t *to, const void *from)
{
    for (unsigned i = 0; i < LINE / 8; i++) {
        to[i] = ((const volatile uint64_t *)from)[i];
    }
}

/* An older content never replaces a newer one that another CPU has made durable. */
static void make_durable(const struct pending *it)
{
    if (it->order > orders[it->line]) {
        orders[it->line] = it->order;
        copy_line((uint64_t *)(void *)(durable + it->line * LINE), it->content);
        control->lines++;
    }
}

static void add_pending(unsigned cpu, uint64_t line, bool streamed)
{
    if (pending_count[cpu] == PENDING_MOST) {
        control->overflow++;
        return;
    }
    struct pending *it = &pending[cpu][pending_count[cpu]++];
    it->line = line;
    it->streamed = streamed;
    it->order = ++order;
    copy_line(it->content, live + line * LINE);
}

static void pass_fence(unsigned cpu)
{
    control->fences++;
    for (unsigned i = 0; i < pending_count[cpu]; i++) {
        struct pending *it = &pending[cpu][i];
        if (it->streamed) {
            it->order = ++order;
            copy_line(it->content, live + it->line * LINE);
        }
        make_durable(it);
    }
    pending_count[cpu] = 0;
}

/* ---- what the CPUs do ---- */

/* With the mutex held, so that whoever stores or passes a fence waits as well. */
static void cut_if_due(void)
{
    volatile struct control *shared = control;
    if (shared->cut_at != 0 && shared->stores + shared->flushes >= shared->cut_at) {
        shared->cut_at = 0;
        __atomic_store_n(&control->frozen, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&control->frozen, __ATOMIC_SEQ_CST) != 0) {
            usleep(1000);
        }
    }
}

static void on_store(unsigned cpu, uint32_t info, uint64_t address, void *context)
{
    void *handle = qemu_plugin_get_hwaddr(info, address);
    if (control->armed == 0 || handle == NULL || qemu_plugin_hwaddr_is_io(handle)) {
        return;
    }
    uint8_t *host = ((uint8_t **)handle)[1];
    if (host < live || host >= live + size_bytes) {
        return;
    }
    uint64_t offset = (uint64_t)(host - live), page = address >> PAGE_BITS;
    uint64_t last = offset + ((uint64_t)1 << qemu_plugin_mem_size_shift(info)) - 1;
    pthread_mutex_lock(&mutex);
    control->stores++;
    pages[page % PAGES].virtual_page = page;
    pages[page % PAGES].file_page = offset >> PAGE_BITS;
    for (uint64_t line = offset / LINE; context != NULL && line <= last / LINE; line++) {
        add_pending(cpu, line, true);
    }
    cut_if_due();
    pthread_mutex_unlock(&mutex);
}

static void on_fence(unsigned cpu, void *context)
{
    (void)context;
    if (control->armed != 0) {
        pthread_mutex_lock(&mutex);
        pass_fence(cpu);
        pthread_mutex_unlock(&mutex);
    }
}

/* The operand of an instruction that flushes a line. */
struct operand {
    int base, index, scale; /* registers, -1 for none */
    int64_t offset;
    bool at_once; /* CLFLUSH */
};

__attribute__((used)) static void flush_line(unsigned cpu, void *context, const uint64_t *registers)
{
    const struct operand *operand = context;
    if (control->armed == 0) {
        return;
    }
    uint64_t address = (uint64_t)operand->offset;
    address += operand->base >= 0 ? registers[operand->base] : 0;
    address += operand->index >= 0 ? registers[operand->index] << operand->scale : 0;
    uint64_t page = address >> PAGE_BITS;
    pthread_mutex_lock(&mutex);
    control->flushes++;
    if (pages[page % PAGES].virtual_page == page) {
        uint64_t offset = pages[page % PAGES].file_page << PAGE_BITS;
        add_pending(cpu, (offset + address % (1 << PAGE_BITS)) / LINE, false);
        if (operand->at_once && pending_count[cpu] > 0) {
            make_durable(&pending[cpu][--pending_count[cpu]]);
        }
    } else {
        control->unknown++;
    }
    cut_if_due();
    pthread_mutex_unlock(&mutex);
}

/* Called from generated code, which has the CPU's state in rbp. */
void on_flush(unsigned cpu, void *context) __attribute__((visibility("hidden")));
__asm__(".text\n.globl on_flush\n.hidden on_flush\n.type on_flush, @function\n"
        "on_flush:\n\tmovq %rbp, %rdx\n\tjmp flush_line\n");

/* ---- which instructions these are ---- */

struct decoded {
    bool operand_size, locked;
    uint8_t rex;
    unsigned map; /* 0: one byte; 1: behind 0F, or the map of a VEX prefix */
    const uint8_t *opcode, *end;
};

static struct decoded decode(const uint8_t *at, size_t size)
{
    struct decoded it = {.end = at + size};
    for (; at < it.end; at++) {
        if (*at == 0x66) {
            it.operand_size = true;
        } else if (*at == 0xf0) {
            it.locked = true;
        } else if (*at != 0xf2 && *at != 0xf3 && *at != 0x3e && *at != 0x2e) {
            break;
        }
    }
    if (at + 2 < it.end && *at == 0xc5) { /* VEX of two bytes: map 1 */
        it.map = 1;
        it.opcode = at + 2;
        return it;
    }
    if (at + 3 < it.end && *at == 0xc4) {
        it.map = at[1] & 0x1f;
        it.opcode = at + 3;
        return it;
    }
    if (at < it.end && (*at & 0xf0) == 0x40) {
        it.rex = *at++;
    }
    if (at + 1 < it.end && *at == 0x0f) {
        it.map = 1;
        at++;
    }
    it.opcode = at;
    return it;
}

static bool is_streaming(const struct decoded *it)
{
    return it->map == 1 && it->opcode < it->end &&
           (*it->opcode == 0xe7 || *it->opcode == 0x2b || *it->opcode == 0xc3);
}

static bool is_fence(const struct decoded *it)
{
    if (it->opcode + 1 >= it->end) {
        return it->locked;
    }
    uint8_t modrm = it->opcode[1];
    bool fence = it->map == 1 && *it->opcode == 0xae && (modrm >= 0xf0); /* MFENCE, SFENCE */
    bool exchange = it->map == 0 && (*it->opcode & 0xfe) == 0x86 && modrm < 0xc0;
    return fence || exchange || it->locked;
}

/* NULL when it flushes nothing. Never given back: qemu keeps translated code. */
static struct operand *flushed(const struct decoded *it, uint64_t next)
{
    if (it->map != 1 || it->opcode + 1 >= it->end || *it->opcode != 0xae) {
        return NULL;
    }
    const uint8_t *at = it->opcode + 1;
    unsigned mode = *at >> 6, kind = (*at >> 3) & 7, memory = *at & 7;
    at++;
    if (mode == 3 || !(kind == 7 || (kind == 6 && it->operand_size))) {
        return NULL; /* kind 6 without 66 is XSAVEOPT */
    }
    struct operand *operand = calloc(1, sizeof *operand);
    *operand = (struct operand){.base = (int)(memory | (it->rex & 1u) << 3),
                                .index = -1,
                                .at_once = kind == 7 && !it->operand_size};
    if (memory == 4) { /* a SIB byte */
        unsigned index = (*at >> 3 & 7u) | (it->rex & 2u) << 2;
        operand->index = index == 4 ? -1 : (int)index;
        operand->scale = *at >> 6;
        operand->base = (*at & 7) == 5 && mode == 0 ? -1 : (int)((*at & 7u) | (it->rex & 1u) << 3);
        at++;
    } else if (mode == 0 && memory == 5) { /* relative to the next instruction */
        operand->base = -1;
        operand->offset = (int64_t)next;
    }
    int32_t wide = 0;
    if (mode == 1) {
        operand->offset += (int8_t)*at;
    } else if (mode == 2 || operand->base == -1) {
        memcpy(&wide, at, sizeof wide);
        operand->offset += wide;
    }
    return operand;
}

static void translate(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        size_t size = qemu_plugin_insn_size(insn);
        struct decoded it = decode(qemu_plugin_insn_data(insn), size);
        qemu_plugin_register_vcpu_mem_cb(insn, on_store, NO_REGISTERS, WRITES,
                                         is_streaming(&it) ? control : NULL);
        struct operand *operand = flushed(&it, qemu_plugin_insn_vaddr(insn) + size);
        if (operand != NULL) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_flush, NO_REGISTERS, operand);
        }
        if (is_fence(&it)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_fence, NO_REGISTERS, NULL);
        }
    }
}

/* ---- start ---- */

static void *map_file(const char *path, uint64_t *ret_size)
{
    struct stat status;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        return NULL;
    }
    void *at = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    *ret_size = (uint64_t)status.st_size;
    return at == MAP_FAILED ? NULL : at;
}

/* Where qemu itself has mapped the NVDIMM, once it has. */
static uint8_t *find_mapping(const char *path)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4400];
    unsigned long begin, end, biggest = 0;
    uint8_t *found = NULL;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, path) != NULL && sscanf(line, "%lx-%lx", &begin, &end) == 2 &&
            end - begin > biggest) {
            biggest = end - begin;
            found = (uint8_t *)begin;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

static const char *live_path;

static void translate_first(uint64_t id, struct qemu_plugin_tb *block)
{
    if (live == NULL && (live = find_mapping(live_path)) == NULL) {
        fprintf(stderr, "lines: %s is not mapped\n", live_path);
        exit(1);
    }
    translate(id, block);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    uint64_t control_size = 0;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=') + 1;
        if (strncmp(argv[i], "live=", 5) == 0) {
            live_path = value;
        } else if (strncmp(argv[i], "durable=", 8) == 0) {
            durable = map_file(value, &size_bytes);
        } else {
            control = map_file(value, &control_size);
        }
    }
    pages = calloc(PAGES, sizeof *pages);
    orders = calloc(size_bytes / LINE + 1, sizeof *orders);
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        pending[cpu] = calloc(PENDING_MOST, sizeof *pending[cpu]);
    }
    if (live_path == NULL || durable == NULL || control == NULL || pages == NULL) {
        fprintf(stderr, "lines: arguments are missing\n");
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate_first);
    return 0;
}
