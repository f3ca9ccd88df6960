#define _GNU_SOURCE

#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "packet.h"
#include "schedule.h"

enum {
    FRAME_BYTES = 65536 + 64,       /* no frame of the loopback is longer */
    QUEUE_BYTES = 16 * 1024 * 1024, /* of frames that wait for us */
    NANOSECONDS_IN_SECOND = 1000000000,
};

/* Makes room for the frames that wait for us. SO_RCVBUFFORCE passes the
 * system's limit, for a process that may do so (socket(7)). If we get less
 * room, some frames may be lost, but we can go on. */
static void make_room(int wire) {
    int bytes = QUEUE_BYTES;
    if (setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0)
        (void)setsockopt(wire, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

/* Asks for a time with each frame, and for the loopback's frames only. */
static int set_up(int wire) {
    int yes = 1;
    struct sockaddr_ll loopback = {.sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = (int)if_nametoindex("lo")};
    if (setsockopt(wire, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes) < 0)
        return -1;
    return bind(wire, (struct sockaddr *)&loopback, sizeof loopback);
}

int wire_open(void) {
    /* Protocol 0: no frame comes before bind has said of which interface. */
    int wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (wire < 0)
        return -1;
    make_room(wire);
    if (set_up(wire) < 0) {
        int reason = errno;
        (void)close(wire);
        errno = reason;
        return -1;
    }
    return wire;
}

static bool is_stamp(const struct cmsghdr *part) {
    return part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS;
}

/* When a frame was sent: the kernel's own stamp, which is the only control
 * message that we have asked for. Without a stamp, we take the time now. */
static int64_t stamp_of(struct msghdr *message) {
    struct timespec at;
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (part == NULL || !is_stamp(part))
        return schedule_now();
    memcpy(&at, CMSG_DATA(part), sizeof at);
    return (int64_t)at.tv_sec * NANOSECONDS_IN_SECOND + at.tv_nsec;
}

/* Records a frame, which had length bytes on the wire. */
static void parse_frame(struct record *record, const uint8_t *frame,
                        size_t length, int64_t at) {
    struct packet packet;
    size_t captured = length;
    if (captured > FRAME_BYTES)
        captured = FRAME_BYTES;
    (void)packet_parse(&packet, frame, captured, length);
    record_frame(record, at, &packet);
}

/* Reads one frame. Returns its length on the wire, or -1 if none has come. */
static ssize_t read_frame(int wire, struct record *record) {
    static uint8_t frame[FRAME_BYTES];
    _Alignas(struct cmsghdr) char control[256];
    struct sockaddr_ll from;
    struct iovec room = {frame, sizeof frame};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    /* With MSG_TRUNC we get the whole length, even of a frame that is cut. */
    ssize_t length = recvmsg(wire, &message, MSG_TRUNC);
    if (length < 0)
        return -1;
    /* Each frame passes the loopback twice: when it is sent, and when it
     * arrives. We take the first. */
    bool is_sent = from.sll_pkttype == PACKET_OUTGOING;
    if (is_sent && length > 0 && record != NULL)
        parse_frame(record, frame, (size_t)length, stamp_of(&message));
    return length;
}

int wire_read(int wire, struct record *record) {
    for (;;) {
        ssize_t length = read_frame(wire, record);
        if (length >= 0)
            continue;
        if (errno == EAGAIN)
            return 0; /* no frame is left */
        if (errno != EINTR)
            return -1;
    }
}
