/* Holds the packets that a region sends, because this kernel may lack tc's netem: each for a fixed time and for up to
 * another time more, by chance.
 *
 * usage: delay TUN UPLINK MILLISECONDS JITTER_MILLISECONDS
 *
 * The region's routes lead into TUN; what is read there is sent on through UPLINK when it is due. The packets of one
 * connection keep their order: what was drawn to be early waits for what went before it. Those of different ones pass
 * one another. What does not fit is dropped, as on any link. Prints "ready" once it forwards.
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
#define FLOWS 4096

struct packet {
    long long due_us;
    unsigned long number; /* Of two that are due at once, the one that came first goes first. */
    ssize_t length;
    unsigned char bytes[LONGEST];
};

/* A heap of the waiting packets, the next one due on top; behind `waiting`, places that are free. */
static struct packet packets[SLOTS], *heap[SLOTS];
static unsigned waiting;
static long long last_us[FLOWS];

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int before(const struct packet *a, const struct packet *b) {
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->number < b->number;
}

static void swap(unsigned a, unsigned b) {
    struct packet *was = heap[a];
    heap[a] = heap[b];
    heap[b] = was;
}

/* The packet in the first free place begins to wait. */
static void push(void) {
    for (unsigned at = waiting++; at > 0 && before(heap[at], heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(at, (at - 1) / 2);
}

/* The packet on top has been sent, and its place is free. */
static void pop(void) {
    swap(0, --waiting);
    for (unsigned at = 0;;) {
        unsigned next = 2 * at + 1;
        if (next + 1 < waiting && before(heap[next + 1], heap[next])) next++;
        if (next >= waiting || !before(heap[next], heap[at])) return;
        swap(at, next);
        at = next;
    }
}

/* Which connection it belongs to: addresses, protocol, and the first four bytes behind the header, which are ports. */
static unsigned flow_of(const struct packet *packet) {
    const struct iphdr *head = (const struct iphdr *)packet->bytes;
    const size_t ports_at = head->ihl * 4u;
    unsigned ports = 0;
    if ((size_t)packet->length >= ports_at + sizeof ports) memcpy(&ports, packet->bytes + ports_at, sizeof ports);
    unsigned mixed = (head->saddr * 31u + head->daddr) * 31u + head->protocol * 31u + ports;
    return (mixed * 2654435761u) >> 20;
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
    for (unsigned i = 0; i < SLOTS; i++) heap[i] = &packets[i];
    unsigned long number = 0;
    for (;;) {
        while (waiting > 0 && heap[0]->due_us <= now_us()) {
            struct packet *first = heap[0];
            struct sockaddr_in to = {.sin_family = AF_INET};
            memcpy(&to.sin_addr, first->bytes + offsetof(struct iphdr, daddr), sizeof to.sin_addr);
            (void)!sendto(out, first->bytes, first->length, 0, (struct sockaddr *)&to, sizeof to);
            pop();
        }
        struct timespec wait, *patience = NULL;
        if (waiting > 0) {
            const long long left_us = heap[0]->due_us - now_us();
            const long long us = left_us > 0 ? left_us : 0;
            wait = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
            patience = &wait;
        }
        struct pollfd watched = {.fd = tun, .events = POLLIN};
        if (ppoll(&watched, 1, patience, NULL) < 0 && errno != EINTR) return fail("poll");
        while (waiting < SLOTS) {
            struct packet *next = heap[waiting];
            next->length = read(tun, next->bytes, LONGEST);
            if (next->length < 0) break;
            if (next->length < (ssize_t)sizeof(struct iphdr) || next->bytes[0] >> 4 != 4) continue;
            long long *last = &last_us[flow_of(next)];
            const long long due_us = now_us() + delay_us + (jitter_us > 0 ? random() % jitter_us : 0);
            next->due_us = *last = due_us > *last ? due_us : *last;
            next->number = number++;
            push();
        }
        if (waiting >= SLOTS) {
            unsigned char lost[LONGEST];
            while (read(tun, lost, LONGEST) > 0) {
            }
        }
    }
}
