/* Holds the packets that a region sends, because this kernel may lack tc's netem: each for a fixed time and for up to
 * another time more, by chance.
 *
 * usage: delay TUN UPLINK MILLISECONDS JITTER_MILLISECONDS
 *
 * The region's routes lead into TUN; what is read there is sent on through UPLINK when it is due. Packets keep their
 * order: what was drawn to be early waits for what went before it. What does not fit into the queue is dropped, as on any link. Prints "ready" once it forwards.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 8192
#define LONGEST 2048

struct packet {
    long long due_us;
    ssize_t length;
    unsigned char bytes[LONGEST];
};

static struct packet queue[SLOTS];

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int fail(const char *what) {
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: delay TUN UPLINK MILLISECONDS JITTER_MILLISECONDS\n");
        return 2;
    }
    const long long delay_us = atoll(argv[3]) * 1000, jitter_us = atoll(argv[4]) * 1000;
    srandom((unsigned)now_us());
    const int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (tun < 0) return fail("/dev/net/tun");
    struct ifreq wanted = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strncpy(wanted.ifr_name, argv[1], IFNAMSIZ - 1);
    if (ioctl(tun, TUNSETIFF, &wanted) < 0) return fail(argv[1]);
    const int out = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_RAW);
    if (out < 0) return fail("raw socket");
    /* Bound to the uplink, it is not routed back into the tunnel. */
    if (setsockopt(out, SOL_SOCKET, SO_BINDTODEVICE, argv[2], strlen(argv[2]) + 1) < 0) return fail(argv[2]);
    printf("ready\n");
    fflush(stdout);
    unsigned head = 0, tail = 0;
    long long last_us = 0;
    for (;;) {
        while (head != tail && queue[head % SLOTS].due_us <= now_us()) {
            struct packet *first = &queue[head++ % SLOTS];
            struct sockaddr_in to = {.sin_family = AF_INET};
            memcpy(&to.sin_addr, first->bytes + offsetof(struct iphdr, daddr), sizeof to.sin_addr);
            (void)!sendto(out, first->bytes, first->length, 0, (struct sockaddr *)&to, sizeof to);
        }
        struct timespec wait, *patience = NULL;
        if (head != tail) {
            const long long left_us = queue[head % SLOTS].due_us - now_us();
            const long long us = left_us > 0 ? left_us : 0;
            wait = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
            patience = &wait;
        }
        struct pollfd watched = {.fd = tun, .events = POLLIN};
        if (ppoll(&watched, 1, patience, NULL) < 0 && errno != EINTR) return fail("poll");
        while (tail - head < SLOTS) {
            struct packet *next = &queue[tail % SLOTS];
            next->length = read(tun, next->bytes, LONGEST);
            if (next->length < 0) break;
            if (next->length < (ssize_t)sizeof(struct iphdr) || next->bytes[0] >> 4 != 4) continue;
            const long long due_us = now_us() + delay_us + (jitter_us > 0 ? random() % jitter_us : 0);
            next->due_us = last_us = due_us > last_us ? due_us : last_us;
            tail++;
        }
        if (tail - head >= SLOTS) {
            unsigned char lost[LONGEST];
            while (read(tun, lost, LONGEST) > 0) {
            }
        }
    }
}
