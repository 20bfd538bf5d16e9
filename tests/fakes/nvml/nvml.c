/* A small library that speaks NVML's symbols and shows what a text file describes (described.py writes it).
 *
 * FAKE_NVML_FILE names the file; it is read at nvmlInit. One statement a line, words apart by tabs:
 *
 *   driver 560.35.03        init_error 9
 *   card                    begins the next card; what follows describes it
 *   name, uuid, bus, cc, total, reserved, used, mig, ecc, pcie, cpu, temperature, power, util, lost
 *   process pid bytes instance kind name
 *   instance id bytes used compute-slices name
 *   nvlink link peer        the link of this card that ends at another card, by number; 100 and more is a switch
 *
 * Left out: everything that Bitwright does not ask for. A symbol is made to be missing at compile time with
 * -D<symbol>=absent_<n>.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long u64;
typedef int ret_t;
enum { OK = 0, UNINITIALIZED = 1, BAD_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15 };
#define CARDS 16
#define PARTS 16
#define LINKS 18
#define SWITCHES 100
#define TEXT 128

typedef struct { unsigned pid; u64 bytes; unsigned instance; char kind; char name[TEXT]; } process_t;

typedef struct device {
    struct device *parent;
    char name[TEXT], uuid[TEXT], bus[32];
    int number, major, minor, mig, ecc, generation, width, numa, temperature, power, util, is_lost;
    u64 total, reserved, used;
    unsigned instance, slices;
    int process_count, part_count, peer[LINKS];
    process_t processes[PARTS];
    struct device *parts;
} device_t;

static device_t cards[CARDS], parts[CARDS][PARTS];
static int card_count = 0, is_open = 0, init_error = 0, cuda = 12060;
static char driver[TEXT] = "560.35.03";

static void put(char *into, const char *text) { snprintf(into, TEXT, "%s", text ? text : ""); }

static void begin_card(void) {
    device_t *card = &cards[card_count];
    memset(card, 0, sizeof *card);
    card->number = card_count;
    card->mig = card->ecc = -1;
    card->parts = parts[card_count++];
    for (int link = 0; link < LINKS; link++) card->peer[link] = -2;
}

static void add_process(device_t *card, char *rest) {
    process_t *made = &card->processes[card->process_count++];
    int at = 0;
    sscanf(rest, "%u\t%llu\t%u\t%c\t%n", &made->pid, &made->bytes, &made->instance, &made->kind, &at);
    put(made->name, rest + at);
}

static void add_part(device_t *card, char *rest) {
    device_t *part = &card->parts[card->part_count];
    int at = 0;
    *part = *card;
    part->parent = card;
    part->number = card->part_count++;
    sscanf(rest, "%u\t%llu\t%llu\t%u\t%n", &part->instance, &part->total, &part->used, &part->slices, &at);
    part->reserved = 0;
    put(part->name, rest + at);
    snprintf(part->uuid, TEXT, "MIG-%.100s-%u", card->uuid + 4, part->instance);
}

static void read_line(char *line) {
    char *rest = strchr(line, '\t');
    if (rest) *rest++ = 0; else rest = line + strlen(line);
    if (!strcmp(line, "driver")) { put(driver, rest); return; }
    if (!strcmp(line, "cuda")) { cuda = atoi(rest); return; }
    if (!strcmp(line, "init_error")) { init_error = atoi(rest); return; }
    if (!strcmp(line, "card")) { if (card_count < CARDS) begin_card(); return; }
    if (!card_count) return;
    device_t *card = &cards[card_count - 1];
    int link = 0, peer = 0;
    if (!strcmp(line, "name")) put(card->name, rest);
    else if (!strcmp(line, "uuid")) put(card->uuid, rest);
    else if (!strcmp(line, "bus")) snprintf(card->bus, 32, "%s", rest);
    else if (!strcmp(line, "cc")) sscanf(rest, "%d.%d", &card->major, &card->minor);
    else if (!strcmp(line, "total")) card->total = strtoull(rest, NULL, 10);
    else if (!strcmp(line, "reserved")) card->reserved = strtoull(rest, NULL, 10);
    else if (!strcmp(line, "used")) card->used = strtoull(rest, NULL, 10);
    else if (!strcmp(line, "mig")) card->mig = atoi(rest);
    else if (!strcmp(line, "ecc")) card->ecc = atoi(rest);
    else if (!strcmp(line, "pcie")) sscanf(rest, "%d\t%d", &card->generation, &card->width);
    else if (!strcmp(line, "cpu")) card->numa = atoi(rest);
    else if (!strcmp(line, "temperature")) card->temperature = atoi(rest);
    else if (!strcmp(line, "power")) card->power = atoi(rest);
    else if (!strcmp(line, "util")) card->util = atoi(rest);
    else if (!strcmp(line, "lost")) card->is_lost = 1;
    else if (!strcmp(line, "process") && card->process_count < PARTS) add_process(card, rest);
    else if (!strcmp(line, "instance") && card->part_count < PARTS) add_part(card, rest);
    else if (!strcmp(line, "nvlink") && sscanf(rest, "%d\t%d", &link, &peer) == 2 && link < LINKS)
        card->peer[link] = peer;
}

static ret_t open_library(void) {
    const char *path = getenv("FAKE_NVML_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[512];
    card_count = 0;
    if (file) {
        while (fgets(line, sizeof line, file)) { line[strcspn(line, "\r\n")] = 0; read_line(line); }
        fclose(file);
    }
    is_open = !init_error;
    return init_error;
}

static ret_t check(device_t *device) {
    if (!is_open) return UNINITIALIZED;
    if (!device) return BAD_ARGUMENT;
    return device->is_lost ? LOST : OK;
}
#define CHECK(device) do { ret_t found = check(device); if (found) return found; } while (0)
static ret_t give(char *into, unsigned size, const char *text) {
    return snprintf(into, size, "%s", text) < (int)size ? OK : TOO_SMALL;
}

ret_t nvmlInit_v2(void) { return open_library(); }
ret_t nvmlInitWithFlags(unsigned flags) { (void)flags; return open_library(); }
ret_t nvmlShutdown(void) { is_open = 0; return OK; }
const char *nvmlErrorString(ret_t code) {
    switch (code) {
    case OK: return "The operation was successful";
    case UNINITIALIZED: return "Uninitialized";
    case BAD_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case TOO_SMALL: return "Insufficient Size";
    case 9: return "Driver Not Loaded";
    case LOST: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}
ret_t nvmlSystemGetDriverVersion(char *into, unsigned size) { return give(into, size, driver); }
ret_t nvmlSystemGetNVMLVersion(char *into, unsigned size) {
    char text[TEXT + 3];
    snprintf(text, sizeof text, "12.%s", driver);
    return give(into, size, text);
}
ret_t nvmlSystemGetCudaDriverVersion(int *into) { *into = cuda; return OK; }
ret_t nvmlSystemGetCudaDriverVersion_v2(int *into) { *into = cuda; return OK; }
ret_t nvmlSystemGetProcessName(unsigned pid, char *into, unsigned size) {
    for (int card = 0; card < card_count; card++)
        for (int at = 0; at < cards[card].process_count; at++)
            if (cards[card].processes[at].pid == pid) return give(into, size, cards[card].processes[at].name);
    return NOT_FOUND;
}

ret_t nvmlDeviceGetCount_v2(unsigned *into) { *into = card_count; return is_open ? OK : UNINITIALIZED; }
ret_t nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **into) {
    if (index >= (unsigned)card_count) return BAD_ARGUMENT;
    *into = &cards[index];
    return check(*into);
}
ret_t nvmlDeviceGetHandleByUUID(const char *uuid, device_t **into) {
    for (int card = 0; card < card_count; card++)
        if (!strcmp(cards[card].uuid, uuid)) { *into = &cards[card]; return check(*into); }
    return NOT_FOUND;
}
ret_t nvmlDeviceGetIndex(device_t *device, unsigned *into) { CHECK(device); *into = device->number; return OK; }
ret_t nvmlDeviceGetName(device_t *device, char *into, unsigned size) {
    CHECK(device);
    return give(into, size, device->name);
}
ret_t nvmlDeviceGetUUID(device_t *device, char *into, unsigned size) {
    CHECK(device);
    return give(into, size, device->uuid);
}

typedef struct { u64 total, free, used; } memory_t;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2_t;
ret_t nvmlDeviceGetMemoryInfo(device_t *device, memory_t *into) {
    CHECK(device);
    if (!device->total) return NOT_SUPPORTED;
    /* The first version counts what the driver keeps as used. */
    into->total = device->total;
    into->used = device->used + device->reserved;
    into->free = device->total - into->used;
    return OK;
}
ret_t nvmlDeviceGetMemoryInfo_v2(device_t *device, memory_v2_t *into) {
    CHECK(device);
    if (!device->total) return NOT_SUPPORTED;
    if (into->version != 0x2000028) return 25;
    into->total = device->total;
    into->reserved = device->reserved;
    into->used = device->used;
    into->free = device->total - device->used - device->reserved;
    return OK;
}
ret_t nvmlDeviceGetCudaComputeCapability(device_t *device, int *major, int *minor) {
    CHECK(device);
    *major = device->major;
    *minor = device->minor;
    return OK;
}
typedef struct { unsigned gpu, memory; } utilization_t;
ret_t nvmlDeviceGetUtilizationRates(device_t *device, utilization_t *into) {
    CHECK(device);
    if (device->mig == 1) return NOT_SUPPORTED;
    into->gpu = into->memory = device->util;
    return OK;
}

typedef struct { unsigned pid; u64 bytes; unsigned gpu_instance, compute_instance; } process_info_t;
static ret_t list_processes(device_t *device, char kind, unsigned *count, process_info_t *into) {
    CHECK(device);
    device_t *card = device->parent ? device->parent : device;
    unsigned room = into ? *count : 0, found = 0;
    for (int at = 0; at < card->process_count; at++) {
        process_t *process = &card->processes[at];
        if (process->kind != kind || (device->parent && process->instance != device->instance)) continue;
        if (found < room) {
            into[found].pid = process->pid;
            into[found].bytes = process->bytes;
            into[found].gpu_instance = device->mig == 1 ? process->instance : 0xFFFFFFFF;
            into[found].compute_instance = 0xFFFFFFFF;
        }
        found++;
    }
    *count = found;
    return found > room ? TOO_SMALL : OK;
}
ret_t nvmlDeviceGetComputeRunningProcesses_v3(device_t *device, unsigned *count, process_info_t *into) {
    return list_processes(device, 'c', count, into);
}
ret_t nvmlDeviceGetGraphicsRunningProcesses_v3(device_t *device, unsigned *count, process_info_t *into) {
    return list_processes(device, 'g', count, into);
}

ret_t nvmlDeviceGetMigMode(device_t *device, unsigned *current, unsigned *pending) {
    CHECK(device);
    if (device->mig < 0) return NOT_SUPPORTED;
    *current = *pending = device->mig;
    return OK;
}
ret_t nvmlDeviceGetMaxMigDeviceCount(device_t *device, unsigned *into) {
    CHECK(device);
    *into = device->mig < 0 ? 0 : 7;
    return OK;
}
ret_t nvmlDeviceGetMigDeviceHandleByIndex(device_t *device, unsigned index, device_t **into) {
    CHECK(device);
    if (device->mig != 1 || index >= (unsigned)device->part_count) return NOT_FOUND;
    *into = &device->parts[index];
    return OK;
}
ret_t nvmlDeviceGetGpuInstanceId(device_t *device, unsigned *into) {
    CHECK(device);
    *into = device->instance;
    return device->parent ? OK : NOT_SUPPORTED;
}
typedef struct { unsigned sms, copy, decoder, encoder, jpeg, ofa, gpu_slices, compute_slices; u64 mib; } attributes_t;
ret_t nvmlDeviceGetAttributes_v2(device_t *device, attributes_t *into) {
    CHECK(device);
    if (!device->parent) return NOT_SUPPORTED;
    memset(into, 0, sizeof *into);
    into->gpu_slices = into->compute_slices = device->slices;
    into->mib = device->total >> 20;
    return OK;
}
ret_t nvmlDeviceGetEccMode(device_t *device, unsigned *current, unsigned *pending) {
    CHECK(device);
    if (device->ecc < 0) return NOT_SUPPORTED;
    *current = *pending = device->ecc;
    return OK;
}

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char text[32]; } pci_t;
ret_t nvmlDeviceGetPciInfo_v3(device_t *device, pci_t *into) {
    CHECK(device);
    memset(into, 0, sizeof *into);
    sscanf(device->bus, "%x:%x:%x", &into->domain, &into->bus, &into->device);
    snprintf(into->legacy, 16, "%04X:%02X:%02X.0", into->domain & 0xFFFF, into->bus & 0xFF, into->device & 0xFF);
    return give(into->text, 32, device->bus);
}
static ret_t give_number(device_t *device, int number, unsigned *into) { CHECK(device); *into = number; return OK; }
#define NUMBER(symbol, field) \
    ret_t symbol(device_t *device, unsigned *into) { return give_number(device, device ? device->field : 0, into); }
NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, generation)
NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, generation)
NUMBER(nvmlDeviceGetCurrPcieLinkWidth, width)
NUMBER(nvmlDeviceGetMaxPcieLinkWidth, width)
NUMBER(nvmlDeviceGetPowerUsage, power)
ret_t nvmlDeviceGetTemperature(device_t *device, int sensor, unsigned *into) {
    return sensor ? BAD_ARGUMENT : give_number(device, device ? device->temperature : 0, into);
}

ret_t nvmlDeviceGetTopologyCommonAncestor(device_t *first, device_t *second, int *into) {
    CHECK(first);
    CHECK(second);
    *into = first->numa == second->numa ? 30 : 50; /* one host bridge, or across sockets */
    return OK;
}
static int count_links(device_t *first, device_t *second) {
    int found = 0;
    for (int link = 0; link < LINKS; link++) found += first->peer[link] == second->number;
    return found;
}
ret_t nvmlDeviceGetP2PStatus(device_t *first, device_t *second, int index, int *into) {
    CHECK(first);
    CHECK(second);
    int is_linked = count_links(first, second) > 0;
    *into = index == 2 ? (is_linked ? 0 : 5) : (is_linked || first->numa == second->numa ? 0 : 3);
    return OK;
}
ret_t nvmlDeviceGetNvLinkState(device_t *device, unsigned link, unsigned *into) {
    CHECK(device);
    if (link >= LINKS || device->peer[link] == -2) return link ? BAD_ARGUMENT : NOT_SUPPORTED;
    *into = device->peer[link] >= 0;
    return OK;
}
ret_t nvmlDeviceGetNvLinkRemotePciInfo_v2(device_t *device, unsigned link, pci_t *into) {
    CHECK(device);
    if (link >= LINKS || device->peer[link] < 0) return BAD_ARGUMENT;
    if (device->peer[link] >= SWITCHES) {
        memset(into, 0, sizeof *into);
        snprintf(into->text, sizeof into->text, "00000000:%02X:00.0", device->peer[link]);
        return OK;
    }
    return nvmlDeviceGetPciInfo_v3(&cards[device->peer[link]], into);
}
