/* A stand-in for NVIDIA's library NVML, libnvidia-ml.so.1, with one GPU.
 *
 * The figures are in the file that the variable FIGURES names, one line, read at each call: the bits of the clock limit
 * reasons in hexadecimal, MHz of the graphics clock, milliwatts, degrees Celsius and percent of utilization. Without the
 * file, the GPU is lost. The functions are those that the collector calls. It treats a missing one as a value that the
 * card does not have, as with ECC, PCIe and XID errors here. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };

typedef struct { unsigned long long limits; unsigned megahertz, milliwatts, celsius, percent; } figures;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;

static int read_figures(figures *now) {
    const char *path = getenv("FIGURES");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) return GPU_IS_LOST;
    int found = fscanf(file, "%llx %u %u %u %u", &now->limits, &now->megahertz, &now->milliwatts, &now->celsius, &now->percent);
    fclose(file);
    return found == 5 ? SUCCESS : GPU_IS_LOST;
}

static int copy(char *to, unsigned length, const char *text) {
    if (strlen(text) >= length) return INSUFFICIENT_SIZE;
    strcpy(to, text);
    return SUCCESS;
}

/* Defines a function that writes one of the figures. */
#define FIGURE(name, type, value) \
    int name(void *device, type *out) { \
        figures now; \
        int failed = read_figures(&now); \
        (void)device; \
        if (!failed) *out = (value); \
        return failed; \
    }

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlSystemGetDriverVersion(char *version, unsigned length) { return copy(version, length, "580.00"); }

int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 1;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    static char card;
    figures now;
    if (index != 0) return INVALID_ARGUMENT;
    *device = &card;
    return read_figures(&now);
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) { (void)device; return copy(name, length, "NVIDIA Test"); }
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) { (void)device; return copy(uuid, length, "GPU-0"); }

FIGURE(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, now.limits)
FIGURE(nvmlDeviceGetPowerUsage, unsigned, now.milliwatts)
FIGURE(nvmlDeviceGetEnforcedPowerLimit, unsigned, 350000)
FIGURE(nvmlDeviceGetUtilizationRates, utilization, ((utilization){now.percent, now.percent / 2}))

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    figures now;
    int failed = read_figures(&now);
    (void)device, (void)sensor;
    if (!failed) *celsius = now.celsius;
    return failed;
}

/* The memory clock stays while the other clocks are throttled. */
int nvmlDeviceGetClockInfo(void *device, int domain, unsigned *megahertz) {
    figures now;
    int failed = read_figures(&now);
    (void)device;
    if (!failed) *megahertz = domain == 2 ? 2619 : now.megahertz;
    return failed;
}

int nvmlDeviceGetMemoryInfo_v2(void *device, memory *out) {
    (void)device;
    out->total = 24ULL << 30;
    out->reserved = 1ULL << 29;
    out->used = 11ULL << 30;
    out->free = out->total - out->reserved - out->used;
    return SUCCESS;
}
