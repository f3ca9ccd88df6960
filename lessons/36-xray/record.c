#define _GNU_SOURCE

#include "record.h"

#include "bytes.h"
#include "hello.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MOST_COLUMNS = 6,   /* a process beyond these is drawn in its maker's */
    MOST_EVENTS = 4000, /* of each kind: beyond it they are counted */
    ETHERNET_BYTES = 14,
    ICMP_UNREACHABLE = 3,
    ICMP_PORT_UNREACHABLE = 3,
    ICMP6_UNREACHABLE = 1,
    ICMP6_PORT_UNREACHABLE = 4,
};

/* A process that speaks to itself gets two columns, one for each end of its
 * connection. Until we know, what it does is noted as that of one of the two.
 */
enum { CLIENT, SERVER, SIDES };

static int end_of(int process, bool is_server) {
    return process * SIDES + (is_server ? SERVER : CLIENT);
}

/* Room for one more in an array that grows by doubling; NULL and ENOMEM. */
static void *grow(struct record *record, void *array, size_t count,
                  size_t size) {
    if (count < 16 && count > 0)
        return array;
    if (count >= 16 && (count & (count - 1)) != 0)
        return array;
    void *grown = realloc(array, (count == 0 ? 16 : 2 * count) * size);
    record->no_memory |= grown == NULL;
    return grown;
}

/* A stream that makes a text; NULL and ENOMEM. */
static FILE *open_text(struct record *record, char **text, size_t *length) {
    FILE *out = open_memstream(text, length);
    record->no_memory |= out == NULL;
    return out;
}

/* It may have had no memory for what was written. */
static int close_text(struct record *record, FILE *out, char **text) {
    int result = fclose(out);
    record->no_memory |= result == EOF || *text == NULL;
    return *text == NULL ? EOF : result;
}

int record_add(struct record *record, pid_t pid, int maker, const char *actor) {
    struct record_process *grown =
        grow(record, record->processes, (size_t)record->process_count,
             sizeof *grown);
    if (grown == NULL)
        return -1;
    record->processes = grown;
    grown[record->process_count] =
        (struct record_process){.pid = pid,
                                .maker = maker,
                                .actor = actor,
                                .columns = {PICTURE_NOBODY, PICTURE_NOBODY}};
    return record->process_count++;
}

static int add_event(struct record *record, const struct picture_event *event) {
    struct picture *picture = &record->picture;
    struct picture_event *grown =
        grow(record, picture->events, picture->count, sizeof *grown);
    if (grown == NULL)
        return -1;
    picture->events = grown;
    grown[picture->count] = *event;
    return (int)picture->count++;
}

/* An IPv4 address in IPv6's clothes is that IPv4 address on the wire (RFC 4291,
 * section 2.5.5.2). */
static void unmap(struct packet_end *end) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(end->address, mapped, sizeof mapped) != 0)
        return;
    memmove(end->address, end->address + 12, 4);
    memset(end->address + 4, 0, 12);
}

/* The last use of the socket of that number of the file system, or NULL. */
static struct record_use *use_of(const struct record *record, uint64_t inode) {
    for (size_t i = record->use_count; i-- > 0;)
        if (record->uses[i].endpoint.inode == inode)
            return &record->uses[i];
    return NULL;
}

static bool was_accepted(const struct record *record, uint64_t inode) {
    const struct record_use *last = use_of(record, inode);
    return last != NULL && last->accepted;
}

static void add_use(struct record *record, int process, int64_t at,
                    int descriptor, bool accepted,
                    const struct endpoint *endpoint) {
    const struct record_use *last = use_of(record, endpoint->inode);
    bool secret = last != NULL && last->secret;
    if (endpoint->family != AF_INET && endpoint->family != AF_INET6 &&
        endpoint->family != AF_UNIX)
        return;
    struct record_use *grown =
        grow(record, record->uses, record->use_count, sizeof *grown);
    if (grown == NULL)
        return;
    record->uses = grown;
    struct record_use *use = &grown[record->use_count++];
    *use = (struct record_use){.at = at,
                               .process = process,
                               .descriptor = descriptor,
                               .accepted = accepted,
                               .secret = secret,
                               .endpoint = *endpoint};
    unmap(&use->endpoint.local);
    unmap(&use->endpoint.peer);
}

/* ---- calls ----------------------------------------------------------------*/

static bool is_on_socket(const struct trace_call *call, pid_t pid,
                         struct endpoint *endpoint) {
    enum call_use use = call_use(call);
    *endpoint = (struct endpoint){0};
    return (use == CALL_ON_SOCKET || use == CALL_ON_STREAM) &&
           endpoint_read(pid, (int)call->arguments[0], endpoint) == 0;
}

/* What we ask after each call ourselves: it changes nothing. */
static bool is_question(const struct trace_call *call) {
    return call_is(call, "getsockopt") && call->arguments[1] == IPPROTO_TCP &&
           call->arguments[2] == TCP_INFO;
}

/* AF_NETLINK's data are numbers, AF_PACKET's whole frames, TLS's are encrypted:
 * other ones each time, and no text for a reader. Dots stand for it. A socket's
 * first record of TLS, which begins with 16 03, tells that it speaks TLS. */
static void hide_data(const struct record *record,
                      const struct endpoint *endpoint, char *text) {
    struct record_use *use = use_of(record, endpoint->inode);
    char *first = text == NULL ? NULL : strpbrk(text, "\"<");
    if (first == NULL)
        return;
    if (use != NULL && endpoint->type == SOCK_STREAM &&
        strncmp(first, "<1603", 5) == 0)
        use->secret = true;
    if (endpoint->family != AF_NETLINK && endpoint->family != AF_PACKET &&
        (use == NULL || !use->secret))
        return;
    char *rest = strrchr(first, *first == '<' ? '>' : '"') + 1;
    if (rest - first < 3)
        return; /* nothing in it */
    rest += strncmp(rest, "...", 3) == 0 ? 3 : 0;
    memset(first, '.', 3);
    memmove(first + 3, rest, strlen(rest) + 1);
}

/* Where a connect(2) is headed: nobody knows after it has failed. */
static void keep_target(pid_t task, const struct trace_call *call,
                        struct endpoint *endpoint) {
    struct sockaddr_storage storage = {0};
    uint64_t length = call->arguments[2];
    if (length > sizeof storage)
        length = sizeof storage;
    if (!call_is(call, "connect") ||
        trace_read(task, call->arguments[1], &storage, length) != length)
        return;
    endpoint_keep(&storage, &endpoint->peer);
}

int record_begin(struct record *record, int process, pid_t task, int64_t at,
                 const struct trace_call *call, bool all) {
    struct record_process *self = &record->processes[process];
    struct endpoint endpoint;
    char what[ENDPOINT_TEXT_BYTES];
    size_t length;
    if (call_is(call, "exit_group"))
        self->leaving = at;
    bool on_socket = is_on_socket(call, self->pid, &endpoint);
    enum call_use use = call_use(call);
    self->uses_sockets |=
        on_socket || call_is(call, "socket") || call_is(call, "socketpair");
    if (!all && (!on_socket || is_question(call)) && use != CALL_ALWAYS &&
        (use != CALL_ON_STREAM || call->arguments[0] > STDERR_FILENO))
        return -1;
    if (record->picture.count >= MOST_EVENTS) {
        record->left_out++;
        return -1;
    }
    bool accepted = was_accepted(record, endpoint.inode);
    if (on_socket)
        (void)endpoint_describe(&endpoint, accepted, what);
    struct picture_event event = {
        .kind = PICTURE_CALL,
        .column = end_of(process, accepted || endpoint.listening),
        .began = at,
        .state = ""};
    FILE *out = open_text(record, &event.text, &length);
    if (out == NULL)
        return -1;
    call_write_begin(out, task, call, on_socket ? what : NULL);
    if (close_text(record, out, &event.text) == EOF)
        return -1;
    keep_target(task, call, &endpoint);
    if (on_socket) {
        add_use(record, process, at, (int)call->arguments[0], accepted,
                &endpoint);
        hide_data(record, &endpoint, event.text);
    }
    int number = add_event(record, &event);
    if (number < 0)
        free(event.text);
    return number;
}

/* After close(2): what its descriptor was. */
static const struct endpoint *last_use(const struct record *record, int process,
                                       int descriptor) {
    for (size_t i = record->use_count; i-- > 0;)
        if (record->uses[i].process == process &&
            record->uses[i].descriptor == descriptor)
            return &record->uses[i].endpoint;
    return NULL;
}

/* The state of the socket that a call was on, or that it made, after it. */
static void keep_state(struct record *record, struct picture_event *event,
                       const struct trace_call *call) {
    int process = event->column / SIDES;
    int fd = (int)call->arguments[0];
    bool made = call->result >= 0 &&
                (call_is(call, "accept") || call_is(call, "accept4"));
    enum call_use use = call_use(call);
    struct endpoint endpoint;
    if (made || (call_is(call, "socket") && call->result >= 0))
        fd = (int)call->result;
    else if (use != CALL_ON_SOCKET && use != CALL_ON_STREAM)
        return;
    if (endpoint_read(record->processes[process].pid, fd, &endpoint) == 0) {
        hide_data(record, &endpoint, event->result);
        event->state = endpoint_state_name(endpoint.state);
        event->unacknowledged =
            endpoint.state == TCP_CLOSE ? 0 : endpoint.unacknowledged;
        if (!call_is(call, "connect") || call->result == 0 ||
            endpoint.local.port != 0)
            add_use(record, process, event->ended, fd,
                    made || was_accepted(record, endpoint.inode), &endpoint);
    } else if (call_is(call, "close") &&
               last_use(record, process, fd) != NULL &&
               last_use(record, process, fd)->connected) {
        event->state = endpoint_state_name(
            endpoint_state_after(last_use(record, process, fd)));
    }
}

void record_return(struct record *record, int event, pid_t task,
                   const struct record_times *times,
                   const struct trace_call *call) {
    struct picture_event *kept = &record->picture.events[event];
    size_t length;
    kept->began = times->began;
    kept->ended = times->ended;
    kept->waited = times->waited;
    FILE *out = open_text(record, &kept->result, &length);
    if (out == NULL)
        return;
    call_write_result(out, task, call);
    if (close_text(record, out, &kept->result) == EOF)
        return;
    keep_state(record, kept, call);
    /* Who connects waits for an answer, however fast that comes. */
    if (call_is(call, "connect") && kept->state[0] != '\0' &&
        call->result != -EINPROGRESS)
        kept->waited = true;
}

void record_note(struct record *record, int process, int64_t at,
                 const char *text) {
    struct picture_event event = {.kind = PICTURE_NOTE,
                                  .column = end_of(process, false),
                                  .began = at,
                                  .state = ""};
    event.text = strdup(text);
    if (event.text != NULL)
        event.result = strdup("");
    if (event.result == NULL || add_event(record, &event) < 0) {
        free(event.text);
        free(event.result);
        record->no_memory = true;
    }
}

/* ---- segments -------------------------------------------------------------*/

static void write_segment(FILE *out, const struct packet *packet) {
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = {{PACKET_SYN, "SYN "}, {PACKET_FIN, "FIN "},
                 {PACKET_RST, "RST "}, {PACKET_PSH, "PSH "},
                 {PACKET_ACK, "ACK "}, {PACKET_URG, "URG "}};
    if (packet->kind == PACKET_UDP)
        (void)fputs("UDP ", out);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (packet->kind == PACKET_TCP && packet->flags & flags[i].flag)
            (void)fputs(flags[i].name, out);
    char text[HELLO_TEXT_BYTES];
    if (packet->kind == PACKET_TCP && packet->payload_captured > 0 &&
        hello_describe(packet->payload, packet->payload_captured,
                       packet->payload_length, text) != NULL) {
        (void)fputs(text, out);
        return;
    }
    if (packet->payload_length > 0 || packet->kind == PACKET_UDP)
        bytes_write(out, packet->payload, packet->payload_captured,
                    packet->payload_length);
    if (packet->payload_length > BYTES_AS_TEXT)
        (void)fprintf(out, " %zu bytes", packet->payload_length);
}

/* ICMP tells of a datagram by sending its beginning back: whose was it? */
static void read_icmp(const struct packet *packet, struct record_frame *frame,
                      FILE *out) {
    uint8_t ethernet[ETHERNET_BYTES + 128] = {0};
    struct packet inner;
    bool six = packet->family == AF_INET6;
    size_t length = packet->payload_captured;
    (void)fprintf(out, "ICMP %u, %u", packet->icmp_type, packet->icmp_code);
    if (packet->icmp_type != (six ? ICMP6_UNREACHABLE : ICMP_UNREACHABLE))
        return;
    if (packet->icmp_code ==
        (six ? ICMP6_PORT_UNREACHABLE : ICMP_PORT_UNREACHABLE))
        (void)fputs(": port unreachable", out);
    ethernet[12] = six ? 0x86 : 0x08;
    ethernet[13] = six ? 0xdd : 0x00;
    if (length > 128)
        length = 128;
    memcpy(ethernet + ETHERNET_BYTES, packet->payload, length);
    (void)packet_parse(&inner, ethernet, ETHERNET_BYTES + length,
                       ETHERNET_BYTES + length);
    frame->from = inner.to;
    frame->to = inner.from;
}

void record_frame(struct record *record, int64_t at,
                  const struct packet *packet) {
    struct record_frame frame = {at, packet->family, packet->from, packet->to,
                                 NULL};
    size_t length;
    if (packet->kind != PACKET_TCP && packet->kind != PACKET_UDP &&
        packet->kind != PACKET_ICMP)
        return;
    if (record->frame_count >= MOST_EVENTS) {
        record->left_out++;
        return;
    }
    struct record_frame *grown =
        grow(record, record->frames, record->frame_count, sizeof *grown);
    if (grown == NULL)
        return;
    record->frames = grown;
    FILE *out = open_text(record, &frame.text, &length);
    if (out == NULL)
        return;
    if (packet->kind == PACKET_ICMP)
        read_icmp(packet, &frame, out);
    else
        write_segment(out, packet);
    if (close_text(record, out, &frame.text) == EOF)
        return;
    while (length > 0 && frame.text[length - 1] == ' ')
        frame.text[--length] = '\0';
    grown[record->frame_count++] = frame;
}

static bool is_any(const struct packet_end *end) {
    static const uint8_t any[16];
    return memcmp(end->address, any, sizeof any) == 0;
}

/* How well a use of a socket fits a segment at its end `here`: 0 not at all, 1
 * for a listener and the like, 2 for the connection itself. */
static int fit(const struct endpoint *socket, const struct packet_end *here,
               const struct packet_end *there) {
    bool ours = endpoint_same(&socket->local, here) ||
                (is_any(&socket->local) &&
                 (socket->local.port == here->port || socket->local.port == 0));
    bool theirs = endpoint_same(&socket->peer, there);
    if (ours && theirs)
        return 2;
    return ours && socket->local.port != 0 && socket->peer.port == 0;
}

/* The process at one end of a segment: who used the socket last before it, or
 * else first after it. */
static int owner(const struct record *record, int64_t at,
                 const struct packet_end *here,
                 const struct packet_end *there) {
    int found = PICTURE_NOBODY, best = 0;
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        int fits = fit(&use->endpoint, here, there);
        if (fits > best || (fits == best && fits > 0 && use->at <= at)) {
            best = fits;
            found =
                end_of(use->process, use->accepted || use->endpoint.listening);
        }
    }
    return found;
}

/* ---- the picture ----------------------------------------------------------*/

static bool has_events(const struct record *record, int process) {
    for (size_t i = 0; i < record->picture.count; i++)
        if (record->picture.events[i].column >= 0 &&
            record->picture.events[i].column / SIDES == process)
            return true;
    return false;
}

static bool has_column(const struct record *record, const char *actor) {
    for (int i = 0; i < record->process_count; i++)
        if (record->processes[i].actor == actor &&
            record->processes[i].columns[CLIENT] >= 0)
            return true;
    return false;
}

/* Whether some segment went from it to itself. */
static bool speaks_to_itself(const struct record *record, int process) {
    for (size_t i = 0; i < record->picture.count; i++) {
        const struct picture_event *event = &record->picture.events[i];
        if (event->kind == PICTURE_SEGMENT && event->column >= 0 &&
            event->to >= 0 && event->column / SIDES == process &&
            event->to / SIDES == process)
            return true;
    }
    return false;
}

static int name_column(struct record *record, char *name) {
    struct picture *picture = &record->picture;
    char **grown =
        grow(record, picture->names, picture->columns, sizeof *grown);
    if (grown == NULL) {
        free(name);
        return PICTURE_NOBODY;
    }
    picture->names = grown;
    picture->names[picture->columns] = name;
    return (int)picture->columns++;
}

/* A column of its own; the second process of an actor is "NAME 2". */
static void add_column(struct record *record, int process) {
    struct record_process *self = &record->processes[process];
    char plain[64];
    char *name;
    int number = 1;
    for (int i = 0; i < record->process_count; i++)
        number += record->processes[i].actor == self->actor &&
                  record->processes[i].columns[CLIENT] >= 0;
    (void)snprintf(plain, sizeof plain, number == 1 ? "%s" : "%s %d",
                   self->actor, number);
    if (speaks_to_itself(record, process)) {
        if (asprintf(&name, "%s (server)", plain) > 0)
            self->columns[SERVER] = name_column(record, name);
        if (asprintf(&name, "%s (client)", plain) > 0)
            self->columns[CLIENT] = name_column(record, name);
    } else if (asprintf(&name, "%s", plain) > 0) {
        self->columns[CLIENT] = name_column(record, name);
        self->columns[SERVER] = self->columns[CLIENT];
    }
    record->no_memory |= self->columns[CLIENT] < 0 || self->columns[SERVER] < 0;
}

/* Those with sockets get one, and of an actor without any the first process
 * that did something; whoever comes too late shares its maker's. */
static void choose_columns(struct record *record) {
    for (int i = 0; i < record->process_count; i++)
        for (int k = i; k < record->process_count; k++)
            if (record->processes[k].actor == record->processes[i].actor &&
                record->processes[k].columns[CLIENT] < 0 &&
                record->processes[k].uses_sockets && has_events(record, k) &&
                record->picture.columns < MOST_COLUMNS)
                add_column(record, k); /* beside the others of its actor */
    for (int i = 0; i < record->process_count; i++)
        if (!has_column(record, record->processes[i].actor) &&
            has_events(record, i) && record->picture.columns < MOST_COLUMNS)
            add_column(record, i);
    for (int i = 0; i < record->process_count; i++) {
        struct record_process *self = &record->processes[i];
        if (self->uses_sockets && self->columns[CLIENT] < 0 && self->maker >= 0)
            memcpy(self->columns, record->processes[self->maker].columns,
                   sizeof self->columns);
    }
}

static void add_segments(struct record *record) {
    for (size_t i = 0; i < record->frame_count; i++) {
        struct record_frame *frame = &record->frames[i];
        struct picture_event event = {
            .kind = PICTURE_SEGMENT, .began = frame->at, .state = ""};
        event.column = owner(record, frame->at, &frame->from, &frame->to);
        event.to = owner(record, frame->at, &frame->to, &frame->from);
        if (event.column == PICTURE_NOBODY && event.to == PICTURE_NOBODY)
            continue; /* no business of ours */
        event.text = frame->text;
        if (add_event(record, &event) >= 0)
            frame->text = NULL;
    }
}

/* What became of a process without a column matters to its maker. */
static void adopt_notes(struct record *record) {
    for (size_t i = 0; i < record->picture.count; i++) {
        struct picture_event *event = &record->picture.events[i];
        if (event->kind != PICTURE_NOTE)
            continue;
        const struct record_process *self =
            &record->processes[event->column / SIDES];
        char *text;
        if (self->columns[CLIENT] >= 0 || self->maker < 0 ||
            strncmp(event->text, "killed", 6) != 0)
            continue;
        if (asprintf(&text, "its child is %s", event->text) < 0) {
            record->no_memory = true;
            continue;
        }
        free(event->text);
        event->text = text;
        event->column = end_of(self->maker, false);
    }
}

static int column_of(const struct record *record, int end) {
    return end < 0 ? PICTURE_NOBODY
                   : record->processes[end / SIDES].columns[end % SIDES];
}

void record_finish(struct record *record) {
    struct picture *picture = &record->picture;
    size_t kept = 0;
    add_segments(record);
    choose_columns(record);
    adopt_notes(record);
    for (size_t i = 0; i < picture->count; i++) {
        struct picture_event event = picture->events[i];
        event.column = column_of(record, event.column);
        event.to = event.kind == PICTURE_SEGMENT ? column_of(record, event.to)
                                                 : PICTURE_NOBODY;
        if (event.kind != PICTURE_SEGMENT && event.column < 0) {
            free(event.text);
            free(event.result);
        } else {
            picture->events[kept++] = event;
        }
    }
    picture->count = kept;
    picture_sort(picture);
    record->no_memory |= picture_fold(picture) < 0;
}

/* ---- what is below the picture --------------------------------------------*/

/* When something came last to the column that waits, or 0. */
static int64_t last_arrival(const struct picture *picture, int column) {
    int64_t last = 0;
    for (size_t i = 0; i < picture->count; i++)
        if (picture->events[i].kind == PICTURE_SEGMENT &&
            picture->events[i].to == column && picture->events[i].began > last)
            last = picture->events[i].began;
    return last;
}

static void write_waiting(FILE *out, const struct picture *picture,
                          const struct picture_event *event, int64_t now) {
    int64_t last = last_arrival(picture, event->column);
    int64_t first = picture->events[0].began;
    (void)fprintf(out, "%s is in %s), since %.2f ms",
                  picture->names[event->column], event->text,
                  (double)(event->began - first) / 1e6);
    if (last > 0)
        (void)fprintf(out, "; nothing has come to it since %.2f ms",
                      (double)(last - first) / 1e6);
    (void)fprintf(out, " (the picture ends at %.2f ms).\n",
                  (double)(now - first) / 1e6);
}

/* Of each end of a connection, what TCP_INFO said last. */
static void write_connections(FILE *out, const struct record *record) {
    for (size_t i = 0; i < record->use_count; i++) {
        const struct record_use *use = &record->uses[i];
        const struct endpoint *at = &use->endpoint;
        char what[ENDPOINT_TEXT_BYTES];
        bool last = at->state != 0 && at->connected && at->round_trip > 0;
        for (size_t k = i + 1; k < record->use_count && last; k++)
            last = record->uses[k].endpoint.inode != at->inode ||
                   record->uses[k].process != use->process ||
                   record->uses[k].endpoint.round_trip == 0;
        int column = column_of(
            record, end_of(use->process, use->accepted || at->listening));
        if (!last || column < 0)
            continue;
        (void)fprintf(out,
                      "%s, %s: round trip %.2f ms, congestion window %u, "
                      "unacknowledged %u\n",
                      record->picture.names[column],
                      endpoint_describe(at, use->accepted, what),
                      (double)at->round_trip / 1000, at->window,
                      at->unacknowledged);
    }
}

void record_write_foot(FILE *out, const struct record *record, int64_t now) {
    const struct picture *picture = &record->picture;
    for (size_t i = 0; i < picture->count && now > 0; i++)
        if (picture->events[i].kind == PICTURE_CALL &&
            picture->events[i].result == NULL)
            write_waiting(out, picture, &picture->events[i], now);
    write_connections(out, record);
    if (record->left_out > 0)
        (void)fprintf(out, "%lu more calls and segments were left out.\n",
                      record->left_out);
}

void record_free(struct record *record) {
    for (size_t i = 0; i < record->frame_count; i++)
        free(record->frames[i].text);
    free(record->processes);
    free(record->uses);
    free(record->frames);
    picture_free(&record->picture);
    *record = (struct record){0};
}
