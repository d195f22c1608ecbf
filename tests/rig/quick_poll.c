/* pcscd looks at vpcd every 400 ms, where real readers tell of a card at once. Preloaded into the rig's pcscd, this makes
   it look every 20 ms, so that tests don't spend their time waiting for virtual cards to be seen. */
#define _GNU_SOURCE
#include <time.h>

int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    struct timespec slept = *wanted;
    if (slept.tv_sec == 0 && slept.tv_nsec == 400000000)
        slept.tv_nsec = 20000000;
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &slept, left) ? -1 : 0;
}
