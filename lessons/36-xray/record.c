#define _GNU_SOURCE

#include "record.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "call.h"
#include "membership.h"
#include "message.h"
#include "proc.h"
#include "secret.h"
#include "segment.h"

enum {
    STEP = 128,         /* elements by which an array grows */
    MOST_EVENTS = 4000, /* and as many frames; others are only counted */
};

/* ---- memory ---------------------------------------------------------------*/

/* Returns the array with room for one more element than count, perhaps at a new
 * place; or NULL and ENOMEM, and the array is as it was. */
static void *grow(struct record *record, void *array, size_t count,
                  size_t size) {
    /* The room is always a multiple of STEP. So the array is full only where
     * count is such a multiple, too: at 0, it is NULL. */
    if (count % STEP != 0)
        return array;
    void *grown = realloc(array, (count + STEP) * size);
    if (grown == NULL)
        record->no_memory = true;
    return grown;
}

FILE *record_open_text(struct record *record, char **text, size_t *length) {
    FILE *out = open_memstream(text, length);
    if (out == NULL)
        record->no_memory = true;
    return out;
}

int record_close_text(struct record *record, FILE *out, char **text) {
    if (fclose(out) == EOF) {
        free(*text);
        *text = NULL;
    }
    /* It is NULL as well if the stream had no memory from the beginning. */
    if (*text == NULL) {
        record->no_memory = true;
        return -1;
    }
    return 0;
}

int record_add(struct record *record, pid_t pid, int maker, const char *actor) {
    struct record_process *grown =
        grow(record, record->processes, record->process_count, sizeof *grown);
    if (grown == NULL)
        return -1;
    record->processes = grown;
    size_t number = record->process_count;
    grown[number] =
        (struct record_process){.pid = pid,
                                .maker = maker,
                                .actor = actor,
                                .columns = {PICTURE_NOBODY, PICTURE_NOBODY}};
    record->process_count++;
    return (int)number;
}

int record_add_event(struct record *record, const struct record_event *event) {
    struct record_event *grown =
        grow(record, record->events, record->event_count, sizeof *grown);
    if (grown == NULL)
        return -1;
    record->events = grown;
    size_t number = record->event_count;
    grown[number] = *event;
    record->event_count++;
    return (int)number;
}

struct record_membership *
record_add_membership(struct record *record,
                      const struct record_membership *membership) {
    struct record_membership *grown = grow(
        record, record->memberships, record->membership_count, sizeof *grown);
    if (grown == NULL)
        return NULL;
    record->memberships = grown;
    struct record_membership *added = &grown[record->membership_count];
    *added = *membership;
    record->membership_count++;
    return added;
}

/* ---- which process used which socket --------------------------------------*/

/* An IPv4 address that is written as an IPv6 one is that IPv4 address on the
 * wire (RFC 4291, section 2.5.5.2). */
static void unmap_ipv4(struct packet_end *end) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(end->address, mapped, sizeof mapped) != 0)
        return;
    memmove(end->address, end->address + sizeof mapped, 4);
    memset(end->address + 4, 0, 12);
}

/* The last use of a socket, or NULL. */
static struct record_use *find_socket(const struct record *record,
                                      uint64_t inode) {
    for (size_t i = record->use_count; i > 0; i--) {
        struct record_use *use = &record->uses[i - 1];
        if (use->endpoint.inode == inode)
            return use;
    }
    return NULL;
}

/* The last use of a process's descriptor, or NULL. */
static const struct record_use *find_descriptor(const struct record *record,
                                                int process, int descriptor) {
    for (size_t i = record->use_count; i > 0; i--) {
        const struct record_use *use = &record->uses[i - 1];
        if (use->process == process && use->descriptor == descriptor)
            return use;
    }
    return NULL;
}

static bool was_accepted(const struct record *record, uint64_t inode) {
    const struct record_use *last = find_socket(record, inode);
    return last != NULL && last->accepted;
}

/* Whether a socket is of a family whose segments or messages we draw. */
static bool is_of_drawn_family(const struct endpoint *endpoint) {
    switch (endpoint->family) {
    case AF_INET:
    case AF_INET6:
    case AF_UNIX:
        return true;
    default:
        return false;
    }
}

/* Stores a use. If an earlier use has shown that the socket speaks TLS, so does
 * this one. */
static void add_use(struct record *record, const struct record_use *use) {
    const struct record_use *last = find_socket(record, use->endpoint.inode);
    /* We read it now, because grow may move the uses. */
    bool encrypted = last != NULL && last->encrypted;
    if (!is_of_drawn_family(&use->endpoint))
        return;
    struct record_use *grown =
        grow(record, record->uses, record->use_count, sizeof *grown);
    if (grown == NULL)
        return;
    record->uses = grown;
    struct record_use *added = &grown[record->use_count];
    record->use_count++;
    *added = *use;
    added->encrypted = encrypted;
    unmap_ipv4(&added->endpoint.local);
    unmap_ipv4(&added->endpoint.peer);
}

/* ---- calls that begin -----------------------------------------------------*/

/* The descriptor that a call is made on, which may be that of a socket; or -1.
 */
static int used_descriptor(const struct trace_call *call, pid_t pid) {
    int fd = (int)call->arguments[0];
    size_t second;
    switch (call_use(call)) {
    case CALL_ON_SOCKET:
    case CALL_ON_STREAM:
        return fd;
    case CALL_ON_PIPE:
        if (proc_inode(pid, fd) != 0)
            return fd;
        /* The first one is no socket, so perhaps the second one is. */
        if (call_is_inside(call, &second))
            return (int)call->arguments[second];
        return fd;
    case CALL_ALWAYS:
    case CALL_OTHER:
        break;
    }
    return -1;
}

/* Whether a call is made on a socket; then *use has its descriptor, and what
 * that socket is. */
static bool is_on_socket(const struct trace_call *call, pid_t pid,
                         struct record_use *use) {
    use->descriptor = used_descriptor(call, pid);
    if (use->descriptor < 0)
        return false;
    return endpoint_read(pid, use->descriptor, &use->endpoint) == 0;
}

/* Whether a call asks for the state of TCP, which the picture shows anyway. */
static bool asks_for_state(const struct trace_call *call) {
    return call_is(call, "getsockopt") && call->arguments[1] == IPPROTO_TCP &&
           call->arguments[2] == TCP_INFO;
}

static bool is_kept(const struct trace_call *call, bool on_socket,
                    enum record_choice choice) {
    if (choice == RECORD_ALL_CALLS)
        return true;
    switch (call_use(call)) {
    case CALL_ALWAYS:
    case CALL_ON_PIPE:
        return true;
    case CALL_ON_STREAM:
        if (call->arguments[0] <= STDERR_FILENO)
            return true;
        return on_socket;
    case CALL_ON_SOCKET:
        return on_socket && !asks_for_state(call);
    case CALL_OTHER:
        break;
    }
    return false;
}

/* Stores where a connect(2) goes to as the peer: if the call fails, the socket
 * itself does not tell. */
static void store_target(pid_t task, const struct trace_call *call,
                         struct endpoint *endpoint) {
    struct sockaddr_storage target = {0};
    size_t length = sizeof target;
    if (!call_is(call, "connect"))
        return;
    if (call->arguments[2] < length)
        length = (size_t)call->arguments[2];
    if (trace_read(task, call->arguments[1], &target, length) == length)
        endpoint_copy(&target, &endpoint->peer);
}

/* Says in words what the descriptors of a call are. socket says what the socket
 * is that the call is made on, and is "" if there is none. Only of calls that
 * move bytes inside the kernel, other files and pipes are named too. */
static void find_words(const struct trace_call *call, pid_t pid,
                       const struct record_use *use, const char *socket,
                       const char *words[CALL_DESCRIPTORS]) {
    size_t second;
    words[0] = socket;
    words[1] = "";
    if (!call_is_inside(call, &second))
        return;
    const size_t places[CALL_DESCRIPTORS] = {0, second};
    for (size_t i = 0; i < CALL_DESCRIPTORS; i++) {
        int fd = (int)call->arguments[places[i]];
        bool is_socket = fd == use->descriptor && socket[0] != '\0';
        if (is_socket)
            words[i] = socket;
        else
            words[i] = proc_describe(pid, fd);
    }
}

/* Writes a call into new memory; returns NULL if there is none. use is of the
 * socket that it is made on; its inode is 0 if it is made on none. */
static char *write_beginning(struct record *record, pid_t task,
                             const struct trace_call *call,
                             const struct record_use *use) {
    char socket[ENDPOINT_TEXT_BYTES] = "";
    const char *words[CALL_DESCRIPTORS];
    char *text = NULL;
    size_t length;
    if (use->endpoint.inode != 0)
        (void)endpoint_describe(&use->endpoint, use->accepted, socket);
    find_words(call, record->processes[use->process].pid, use, socket, words);
    FILE *out = record_open_text(record, &text, &length);
    if (out == NULL)
        return NULL;
    call_write_begin(out, task, call, words);
    (void)record_close_text(record, out, &text);
    return text;
}

/* Stores what a call tells of its process: that it ends, or uses sockets. */
static void update_process(struct record_process *process,
                           const struct record_caller *caller,
                           const struct trace_call *call, bool on_socket) {
    bool makes_socket = call_is(call, "socket") || call_is(call, "socketpair");
    if (call_is(call, "exit_group"))
        process->leaving = caller->at;
    if (on_socket || makes_socket)
        process->uses_sockets = true;
}

/* Adds a note that a process makes calls of another architecture, or of x32.
 * Each has its own numbers of calls, and we know only those of ours. */
static void note_foreign(struct record *record,
                         const struct record_caller *caller) {
    struct record_process *process = &record->processes[caller->process];
    if (process->is_foreign)
        return;
    process->is_foreign = true;
    process->uses_sockets = true;
    record_note(record, caller->process, caller->at, RECORD_GOES_ON,
                "calls of another architecture: not shown");
}

/* Adds a note if a call may be on a socket, but the kernel hides the
 * descriptors of its process from us. The calls on its sockets are not in the
 * picture. */
static void note_hidden(struct record *record,
                        const struct record_caller *caller,
                        const struct trace_call *call) {
    struct record_process *process = &record->processes[caller->process];
    if (process->is_hidden || used_descriptor(call, process->pid) < 0)
        return;
    if (!proc_is_hidden(process->pid))
        return;
    process->is_hidden = true;
    process->uses_sockets = true;
    record_note(record, caller->process, caller->at, RECORD_GOES_ON,
                "its sockets are hidden: not shown");
}

/* Adds the use of a socket by a call that begins, and hides the data of the
 * call if they are secret. */
static void begin_use(struct record *record, struct record_event *event,
                      pid_t task, const struct trace_call *call,
                      struct record_use *use) {
    use->closes = call_is(call, "close");
    event->drawn.closes = use->closes;
    use->sends = call_direction(call, use->descriptor) == CALL_SENDS;
    store_target(task, call, &use->endpoint);
    add_use(record, use);
    secret_hide(find_socket(record, use->endpoint.inode), &use->endpoint,
                event->drawn.text);
}

int record_begin(struct record *record, const struct record_caller *caller,
                 const struct trace_call *call, enum record_choice choice) {
    struct record_process *process = &record->processes[caller->process];
    struct record_use use = {.at = caller->at, .process = caller->process};
    if (call->foreign) {
        note_foreign(record, caller);
        return -1;
    }
    struct record_event event = {
        .place = {.process = caller->process},
        .drawn = {.kind = PICTURE_CALL, .began = caller->at, .state = ""}};
    /* A call that never returns sleeps for good, unless it ends the process.
     * For a call that returns, record_return finds out whether it slept. */
    bool ends_process = call_is(call, "exit_group") || call_is(call, "exit");
    event.drawn.slept = !ends_process;
    bool on_socket = is_on_socket(call, process->pid, &use);
    update_process(process, caller, call, on_socket);
    if (!on_socket)
        note_hidden(record, caller, call);
    if (!is_kept(call, on_socket, choice))
        return -1;
    if (record->event_count >= MOST_EVENTS) {
        record->left_out++;
        return -1;
    }
    use.accepted = was_accepted(record, use.endpoint.inode);
    event.place.inode = use.endpoint.inode;
    event.drawn.text = write_beginning(record, caller->task, call, &use);
    if (event.drawn.text == NULL)
        return -1;
    if (on_socket)
        begin_use(record, &event, caller->task, call, &use);
    int number = record_add_event(record, &event);
    if (number < 0)
        free(event.drawn.text);
    return number;
}

/* ---- calls that return ----------------------------------------------------*/

/* The descriptor of the socket that a call was on or has made, or -1. */
static int descriptor_of(const struct trace_call *call, pid_t pid) {
    bool makes_socket = call_is_accept(call) || call_is(call, "socket");
    if (makes_socket && call->result >= 0)
        return (int)call->result;
    return used_descriptor(call, pid);
}

/* After close(2), stores the state of a connection that has no descriptor any
 * more. */
static void store_state_after_close(const struct record *record,
                                    struct record_event *event,
                                    int descriptor) {
    const struct record_use *last =
        find_descriptor(record, event->place.process, descriptor);
    if (last != NULL && last->endpoint.connected)
        event->drawn.state = endpoint_state_name(proc_state(&last->endpoint));
}

/* Stores the state that a call has left its socket in. */
static void store_state(struct record *record, struct record_event *event,
                        const struct endpoint *endpoint) {
    if (event->place.inode == 0)
        event->place.inode = endpoint->inode; /* a socket that the call made */
    secret_hide(find_socket(record, endpoint->inode), endpoint,
                event->drawn.result);
    event->drawn.state = endpoint_state_name(endpoint->state);
    if (endpoint->state != TCP_CLOSE)
        event->drawn.unacknowledged = endpoint->unacknowledged;
}

/* Whether a connect(2) has failed, and has left its socket without a port. */
static bool has_failed_to_connect(const struct trace_call *call,
                                  const struct endpoint *endpoint) {
    return call_is(call, "connect") && call->result != 0 &&
           endpoint->local.port == 0;
}

/* Looks at the socket of a call that has returned: stores its state, and adds
 * the use. */
static void look_at_socket(struct record *record, struct record_event *event,
                           const struct trace_call *call) {
    pid_t pid = record->processes[event->place.process].pid;
    struct record_use use = {.at = event->drawn.ended,
                             .process = event->place.process,
                             .descriptor = descriptor_of(call, pid)};
    struct endpoint *endpoint = &use.endpoint;
    if (use.descriptor < 0)
        return;
    if (endpoint_read(pid, use.descriptor, endpoint) < 0) {
        if (call_is(call, "close"))
            store_state_after_close(record, event, use.descriptor);
        return;
    }
    store_state(record, event, endpoint);
    use.accepted = was_accepted(record, endpoint->inode);
    if (call_is_accept(call) && call->result >= 0) {
        use.accepted = true;
        event->made = endpoint->inode;
    }
    use.received = call->result > 0 &&
                   call_direction(call, use.descriptor) == CALL_RECEIVES;
    /* After a failed connect(2), the last use stays the one with the target,
     * which store_target has read: the socket knows no peer. */
    if (!has_failed_to_connect(call, endpoint))
        add_use(record, &use);
}

void record_return(struct record *record, int number, pid_t task,
                   const struct record_times *times,
                   const struct trace_call *call) {
    struct record_event *event = &record->events[number];
    struct picture_event *drawn = &event->drawn;
    size_t length;
    drawn->began = times->began;
    drawn->ended = times->ended;
    drawn->waited = times->waited;
    drawn->slept = times->waited;
    FILE *out = record_open_text(record, &drawn->result, &length);
    if (out == NULL)
        return;
    call_write_result(out, task, call);
    if (record_close_text(record, out, &drawn->result) < 0)
        return;
    look_at_socket(record, event, call);
    /* A connect(2) of TCP is always drawn in two rows, even if the call did not
     * wait for the answer. Then the segments that it sends stand between the
     * two, and the state that they bring about stands in the second one. */
    if (call_is(call, "connect") && drawn->state[0] != '\0')
        drawn->waited = true;
    message_add(record, number, task, call);
    membership_add(record, number, task, call);
}

/* ---- notes and frames -----------------------------------------------------*/

void record_note(struct record *record, int process, int64_t at,
                 enum record_fate fate, const char *text) {
    struct record_event event = {.place = {.process = process},
                                 .is_death = fate == RECORD_IS_KILLED,
                                 .drawn = {.kind = PICTURE_NOTE,
                                           .began = at,
                                           .ends = fate != RECORD_GOES_ON,
                                           .state = ""}};
    event.drawn.text = strdup(text);
    event.drawn.result = strdup("");
    bool has_texts = event.drawn.text != NULL && event.drawn.result != NULL;
    if (!has_texts || record_add_event(record, &event) < 0) {
        free(event.drawn.text);
        free(event.drawn.result);
        record->no_memory = true;
    }
}

/* The step in a talk with a proxy that a frame may answer: that of the last
 * frame of its connection with data, if it went the other way. */
static enum socks_step step_before(const struct record *record,
                                   const struct record_frame *frame) {
    for (size_t i = record->frame_count; i > 0; i--) {
        const struct record_frame *last = &record->frames[i - 1];
        if (last->step == SOCKS_SILENCE)
            continue;
        if (endpoint_same(&last->from, &frame->to) &&
            endpoint_same(&last->to, &frame->from))
            return last->step;
        if (endpoint_same(&last->from, &frame->from) &&
            endpoint_same(&last->to, &frame->to))
            return SOCKS_OTHER;
    }
    return SOCKS_OTHER;
}

void record_frame(struct record *record, int64_t at,
                  const struct packet *packet) {
    struct record_frame frame = {.at = at,
                                 .family = packet->family,
                                 .is_datagram = packet->kind == PACKET_UDP};
    size_t length;
    /* membership_report makes a note of a report; it is no segment. */
    bool is_report = membership_report(record, at, packet);
    if (is_report || !segment_is_shown(packet))
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
    segment_find_ends(packet, &frame.from, &frame.to);
    FILE *out = record_open_text(record, &frame.text, &length);
    if (out == NULL)
        return;
    frame.step = segment_write(out, packet, step_before(record, &frame));
    if (record_close_text(record, out, &frame.text) < 0)
        return;
    grown[record->frame_count] = frame;
    record->frame_count++;
}

void record_free(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        free(record->events[i].drawn.text);
        free(record->events[i].drawn.result);
        free(record->events[i].drawn.extra);
    }
    for (size_t i = 0; i < record->frame_count; i++)
        free(record->frames[i].text);
    free(record->processes);
    free(record->uses);
    free(record->events);
    free(record->frames);
    free(record->memberships);
    *record = (struct record){0};
}
