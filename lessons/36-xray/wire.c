#define _GNU_SOURCE

#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "packet.h"
#include "schedule.h"

enum {
    FRAME_BYTES = 65536 + 64, /* no frame of the loopback is longer */
    QUEUE_BYTES = 16 << 20,   /* of frames that wait for us */
};

/* Makes room for the frames that wait for us. With less room some are lost, so
 * this is not an error; SO_RCVBUFFORCE passes the system's limit, for those who
 * may (socket(7)). */
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

/* When a frame was sent: the kernel's own stamp, which is the only control
 * message that we have asked for. */
static int64_t stamp_of(struct msghdr *message) {
    struct timespec at;
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    if (part == NULL || part->cmsg_level != SOL_SOCKET ||
        part->cmsg_type != SCM_TIMESTAMPNS)
        return schedule_now();
    memcpy(&at, CMSG_DATA(part), sizeof at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* Reads one frame. Returns its length on the wire, or -1 if none has come. */
static ssize_t read_frame(int wire, struct record *record) {
    static uint8_t frame[FRAME_BYTES];
    char control[256];
    struct sockaddr_ll from;
    struct iovec room = {frame, sizeof frame};
    struct msghdr message = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    ssize_t length = recvmsg(wire, &message, MSG_TRUNC);
    /* Each frame passes the loopback twice: when it is sent, and when it
     * arrives. We take the first. */
    if (length <= 0 || from.sll_pkttype != PACKET_OUTGOING || record == NULL)
        return length;
    struct packet packet;
    size_t captured = (size_t)length;
    if (captured > sizeof frame)
        captured = sizeof frame;
    (void)packet_parse(&packet, frame, captured, (size_t)length);
    record_frame(record, stamp_of(&message), &packet);
    return length;
}

void wire_read(int wire, struct record *record) {
    ssize_t length;
    do
        length = read_frame(wire, record);
    while (length >= 0);
}
