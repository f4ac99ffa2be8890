/* Preloaded into Janus, which leaves loopback interfaces out of its candidates: getifaddrs without that one flag. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stddef.h>

int getifaddrs(struct ifaddrs **list) {
    int (*libc_getifaddrs)(struct ifaddrs **) = dlsym(RTLD_NEXT, "getifaddrs");
    int code = libc_getifaddrs(list);
    for (struct ifaddrs *address = code == 0 ? *list : NULL; address != NULL; address = address->ifa_next)
        address->ifa_flags &= ~(unsigned)IFF_LOOPBACK;
    return code;
}
